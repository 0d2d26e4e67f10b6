-- The rules of the catalog lint. Each query returns one text a violation. Settings come from chartwire/store/lint.py.

-- name: tenant_table_without_forced_rls
-- A tenant table has row-level security enabled and forced; only the declared tables go without, and they must exist.
select format('table %s lacks %s', c.relname,
              case when c.relrowsecurity then 'FORCE ROW LEVEL SECURITY' else 'ENABLE ROW LEVEL SECURITY' end)
  from pg_class c
 where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
   and c.relname <> all (string_to_array(current_setting('lint.without_rls'), ','))
   and not (c.relrowsecurity and c.relforcerowsecurity);

-- name: table_without_org_id
-- A table is either declared to go without row-level security or belongs to organisations by a uuid org_id, not null.
select format('table %s has no column org_id uuid not null and is not declared in WITHOUT_RLS', c.relname)
  from pg_class c
 where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
   and c.relname <> all (string_to_array(current_setting('lint.without_rls'), ','))
   and not exists (select 1 from pg_attribute a
                    where a.attrelid = c.oid and a.attname = 'org_id' and a.atttypid = 'uuid'::regtype and a.attnotnull
                      and not a.attisdropped);

-- name: declared_table_missing
-- What is declared to go without row-level security exists: a stale exemption waits for a table of its name.
select format('table %s is declared in WITHOUT_RLS and does not exist', name)
  from unnest(string_to_array(current_setting('lint.without_rls'), ',')) as name
 where to_regclass('public.' || name) is null;

-- name: declared_table_with_text_of_tenants
-- Tables without row-level security hold ids, times, numbers and closed codes: no json, and no bytes but a key's hash.
select format('table %s is without row-level security but column %s can hold a tenant''s data', c.relname, a.attname)
  from pg_class c join pg_attribute a on a.attrelid = c.oid
 where c.relnamespace = 'public'::regnamespace and a.attnum > 0 and not a.attisdropped
   and c.relname = any (string_to_array(current_setting('lint.without_rls'), ','))
   and c.relname <> 'chartwire_migration'
   and (a.atttypid in ('json'::regtype, 'jsonb'::regtype, 'xml'::regtype)
        or a.atttypid = 'bytea'::regtype and (c.relname, a.attname) <> ('credential', 'key_hash')
        or a.attname in ('name', 'label', 'body', 'detail', 'settings', 'raw', 'url'));

-- name: policy_not_the_one
-- A tenant table has exactly one policy: permissive, FOR ALL, TO PUBLIC, the one expression, no separate WITH CHECK.
select format('table %s has policy %s, which is not the one policy', c.relname, p.polname)
  from pg_policy p join pg_class c on c.oid = p.polrelid
 where c.relnamespace = 'public'::regnamespace
   and not (p.polcmd = '*' and p.polpermissive and p.polroles = '{0}'
            and p.polwithcheck is null
            and pg_get_expr(p.polqual, p.polrelid) = current_setting('lint.policy'));

-- name: policy_count
-- None missing, none besides: permissive policies add up.
select format('table %s has %s policies, not 1', c.relname, count(p.oid))
  from pg_class c left join pg_policy p on p.polrelid = c.oid
 where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
   and c.relname <> all (string_to_array(current_setting('lint.without_rls'), ','))
 group by c.relname having count(p.oid) <> 1;

-- name: serving_role_attributes
-- A role that serves requests exists and can neither pass row-level security nor make roles or databases.
select format('role %s %s', wanted.name, case when r.oid is null then 'does not exist' else 'is too powerful' end)
  from unnest(string_to_array(current_setting('lint.serving'), ',')) as wanted (name)
  left join pg_roles r on r.rolname = wanted.name
 where r.oid is null or r.rolsuper or r.rolbypassrls or r.rolcreaterole or r.rolcreatedb or r.rolreplication;

-- name: serving_role_membership
-- A role that serves requests is a member of no other role: SET ROLE would take on its rights.
select format('role %s is a member of %s', m.member::regrole, m.roleid::regrole)
  from pg_auth_members m
 where m.member::regrole::text = any (string_to_array(current_setting('lint.serving'), ','));

-- name: serving_role_owns
-- A role that serves requests owns nothing, but for chartwire_engine's SECURITY DEFINER functions.
select format('role %s owns %s', o.owner::regrole, o.what)
  from (select relowner, format('%s %s', case relkind when 'v' then 'view' when 'm' then 'materialized view' else 'relation' end,
               relname) from pg_class where relnamespace = 'public'::regnamespace
        union all select nspowner, 'schema ' || nspname from pg_namespace
        union all select typowner, 'type ' || typname from pg_type where typnamespace = 'public'::regnamespace and typtype in ('d', 'e')
        union all select proowner, 'function ' || proname from pg_proc
                   where pronamespace = 'public'::regnamespace
                     and not (prosecdef and proowner::regrole::text = 'chartwire_engine')
        union all select datdba, 'database ' || datname from pg_database) as o (owner, what)
 where o.owner::regrole::text = any (string_to_array(current_setting('lint.serving'), ','));

-- name: serving_role_creates
-- A role that serves requests may create nothing in a schema, itself or as PUBLIC.
select format('role %s may CREATE in schema %s', role, n.nspname)
  from pg_namespace n, unnest(string_to_array(current_setting('lint.serving'), ',')) as role
 where n.nspname !~ '^pg_(toast|temp|toast_temp)'
   and exists (select 1 from pg_roles r where r.rolname = role)
   and case when exists (select 1 from pg_roles r where r.rolname = role)
            then has_schema_privilege(role, n.oid, 'create') end;

-- name: grant_on_partition
-- Partitions do not inherit row-level security: nobody but the owner has a right on one, at any depth.
select format('partition %s grants %s to %s', c.relname, x.privilege_type,
              case when x.grantee = 0 then 'PUBLIC' else x.grantee::regrole::text end)
  from pg_inherits i join pg_class c on c.oid = i.inhrelid, aclexplode(c.relacl) as x
 where c.relkind in ('r', 'p', 'f') and x.grantee <> c.relowner
union all
select format('partition %s grants %s on column %s', c.relname, x.privilege_type, a.attname)
  from pg_inherits i join pg_class c on c.oid = i.inhrelid join pg_attribute a on a.attrelid = c.oid,
       aclexplode(a.attacl) as x
 where c.relkind in ('r', 'p', 'f') and x.grantee <> c.relowner;

-- name: grant_to_public
-- PUBLIC has no right on a table, view or sequence.
select format('%s grants %s to PUBLIC', c.relname, x.privilege_type)
  from pg_class c, aclexplode(c.relacl) as x
 where c.relnamespace = 'public'::regnamespace and x.grantee = 0;

-- name: grant_too_strong
-- TRUNCATE passes row-level security, TRIGGER and REFERENCES reach past it: no serving role has them.
select format('table %s grants %s to %s', c.relname, x.privilege_type, x.grantee::regrole)
  from pg_class c, aclexplode(c.relacl) as x
 where c.relnamespace = 'public'::regnamespace
   and x.privilege_type in ('TRUNCATE', 'TRIGGER', 'REFERENCES', 'MAINTAIN')
   and x.grantee::regrole::text = any (string_to_array(current_setting('lint.serving'), ','));

-- name: engine_reads_tenant_table
-- chartwire_engine works before an organisation is known: it has rights on the declared tables only.
select format('table %s grants %s to chartwire_engine', c.relname, x.privilege_type)
  from pg_class c, aclexplode(c.relacl) as x
 where c.relnamespace = 'public'::regnamespace and x.grantee::regrole::text = 'chartwire_engine'
   and c.relname <> all (string_to_array(current_setting('lint.without_rls'), ','))
union all
select format('table %s grants %s on column %s to chartwire_engine', c.relname, x.privilege_type, a.attname)
  from pg_class c join pg_attribute a on a.attrelid = c.oid, aclexplode(a.attacl) as x
 where c.relnamespace = 'public'::regnamespace and x.grantee::regrole::text = 'chartwire_engine'
   and c.relname <> all (string_to_array(current_setting('lint.without_rls'), ','));

-- name: unique_key_across_organisations
-- Primary and unique keys of tenant tables start with org_id: any other tells that another organisation has a value.
select format('index %s of %s does not start with org_id', x.indexrelid::regclass, c.relname)
  from pg_index x join pg_class c on c.oid = x.indrelid
 where c.relnamespace = 'public'::regnamespace and x.indisunique and not c.relispartition
   and c.relname <> all (string_to_array(current_setting('lint.without_rls'), ','))
   and coalesce((select a.attname from pg_attribute a where a.attrelid = c.oid and a.attnum = x.indkey[0]), '') <> 'org_id';

-- name: exclusion_across_organisations
-- An exclusion constraint tells of other rows as a unique key does: it holds org_id.
select format('exclusion constraint %s of %s lacks org_id', o.conname, c.relname)
  from pg_constraint o join pg_class c on c.oid = o.conrelid
 where o.contype = 'x' and c.relnamespace = 'public'::regnamespace
   and not exists (select 1 from pg_attribute a
                    where a.attrelid = c.oid and a.attname = 'org_id' and a.attnum = any (o.conkey));

-- name: foreign_key_across_organisations
-- A foreign key between tenant tables pairs org_id with org_id: checks and cascades pass row-level security.
select format('foreign key %s of %s does not pair org_id with org_id', o.conname, c.relname)
  from pg_constraint o
  join pg_class c on c.oid = o.conrelid
  join pg_attribute own on own.attrelid = o.conrelid and own.attname = 'org_id'
  left join pg_attribute theirs on theirs.attrelid = o.confrelid and theirs.attname = 'org_id'
 where o.contype = 'f' and c.relnamespace = 'public'::regnamespace
   and not exists (select 1 from unnest(o.conkey, o.confkey) as k (mine, his)
                    where k.mine = own.attnum and k.his = theirs.attnum);

-- name: foreign_key_into_partitions
-- No foreign key points at a partitioned table or a partition: DROP of a month fails under one.
select format('foreign key %s of %s points at partitioned table %s', o.conname, o.conrelid::regclass, t.relname)
  from pg_constraint o join pg_class t on t.oid = o.confrelid
 where o.contype = 'f' and o.connamespace = 'public'::regnamespace and (t.relkind = 'p' or t.relispartition);

-- name: materialized_view
-- A materialized view holds the rows of all organisations and cannot have policies.
select format('materialized view %s', relname)
  from pg_class where relnamespace = 'public'::regnamespace and relkind = 'm';

-- name: view_with_rights_of_its_owner
-- A view reads with its reader's rights (security_invoker), never its owner's.
select format('view %s lacks security_invoker = true', relname)
  from pg_class
 where relnamespace = 'public'::regnamespace and relkind = 'v'
   and not coalesce(reloptions, '{}') && array['security_invoker=true', 'security_invoker=on', 'security_invoker=1'];

-- name: rewrite_rule
-- No rules: they rewrite a statement with their owner's rights.
select format('rule %s on %s', r.rulename, c.relname)
  from pg_rewrite r join pg_class c on c.oid = r.ev_class
 where c.relnamespace = 'public'::regnamespace and c.relkind <> 'v' and c.relkind <> 'm';

-- name: security_definer
-- SECURITY DEFINER only for functions of chartwire_engine, which sees no tenant table, with a pinned search_path.
select format('function %s is SECURITY DEFINER and %s', p.oid::regprocedure,
              case when p.proowner::regrole::text <> 'chartwire_engine' then 'owned by ' || p.proowner::regrole
                   else 'its search_path is not pinned' end)
  from pg_proc p
 where p.prosecdef and p.pronamespace = 'public'::regnamespace
   and (p.proowner::regrole::text <> 'chartwire_engine'
        or not exists (select 1 from unnest(p.proconfig) as s where s ~ '^search_path=pg_catalog'));

-- name: security_definer_for_public
-- Who may call a SECURITY DEFINER function is named, role by role.
select format('function %s is SECURITY DEFINER and open to PUBLIC', p.oid::regprocedure)
  from pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) as x
 where p.prosecdef and p.pronamespace = 'public'::regnamespace and x.grantee = 0;

-- name: leakproof_function
-- LEAKPROOF lets a function see rows before the policy has judged them.
select format('function %s is LEAKPROOF', p.oid::regprocedure)
  from pg_proc p
 where p.proleakproof and p.pronamespace not in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace);

-- name: leakproof_builtin
-- No function of PostgreSQL became LEAKPROOF here: initdb gives it oids below 16384 and fixes the flag per release.
select format('function %s was made LEAKPROOF', p.oid::regprocedure)
  from pg_proc p
 where p.proleakproof and p.pronamespace = 'pg_catalog'::regnamespace
   and p.proname in ('textlike', 'textnlike', 'texticlike', 'texticnlike', 'textregexeq', 'jsonb_contains',
                     'jsonb_exists', 'arrayoverlap', 'arraycontains', 'lower', 'upper', 'ts_match_vq');

-- name: function_in_policy
-- A policy calls nothing but what PostgreSQL brings: an IMMUTABLE helper freezes one organisation into a cached plan.
select format('policy %s of %s uses function %s', y.polname, c.relname, d.refobjid::regprocedure)
  from pg_policy y join pg_class c on c.oid = y.polrelid
  join pg_depend d on d.classid = 'pg_policy'::regclass and d.objid = y.oid and d.refclassid = 'pg_proc'::regclass;

-- name: immutable_reader_of_settings
-- No function that reads the organisation is IMMUTABLE: its answer would be kept for the next organisation.
select format('function %s is IMMUTABLE and reads chartwire.org_id', p.oid::regprocedure)
  from pg_proc p
 where p.provolatile = 'i' and p.pronamespace = 'public'::regnamespace
   and (p.prosrc ~ 'current_setting' or pg_get_functiondef(p.oid) ~ 'current_setting');

-- name: organisation_set_in_advance
-- No role, database or function starts with an organisation set: a fresh session sees no rows.
select format('%s has chartwire.org_id set', coalesce(nullif(s.setrole, 0)::regrole::text, 'a database'))
  from pg_db_role_setting s, unnest(s.setconfig) as setting where setting ~* '^chartwire\.org_id='
union all
select format('function %s sets chartwire.org_id', p.oid::regprocedure)
  from pg_proc p, unnest(p.proconfig) as setting where setting ~* '^chartwire\.org_id=';
