-- The FHIR search index: a row for each value that a search parameter finds in a resource (record/fhir_index).
--
-- `key` names type and parameter in eight bytes; text is compared byte by byte. The primary keys lead from a value to its
-- resources, the second indexes from a resource to its values: for sorting, `:missing`, references to include, and ranges
-- within candidates. Those are not led by org_id, since a plan that took the organisation alone would read all its rows.

create table fhir_token (
    org_id      uuid not null,
    key         bigint not null,
    value       text collate "C" not null,
    resource_id uuid not null,
    primary key (org_id, key, value, resource_id)
);
create index fhir_token_resource on fhir_token (resource_id, key, org_id);

create table fhir_string (
    org_id      uuid not null,
    key         bigint not null,
    value       text collate "C" not null,
    resource_id uuid not null,
    primary key (org_id, key, value, resource_id)
);
create index fhir_string_resource on fhir_string (resource_id, key, org_id);

-- From `low` on, until before `high`. `code` is the token of a composite, else empty.
create table fhir_date (
    org_id      uuid not null,
    key         bigint not null,
    code        text collate "C" not null default '',
    low         timestamptz not null,
    high        timestamptz not null,
    resource_id uuid not null,
    primary key (org_id, key, code, low, high, resource_id)
);
create index fhir_date_resource on fhir_date (resource_id, key, org_id) include (low, high);

-- From `low` to `high`, both included. `unit` is empty for the bare number, `code` for what is no composite.
create table fhir_number (
    org_id      uuid not null,
    key         bigint not null,
    code        text collate "C" not null default '',
    unit        text collate "C" not null default '',
    low         double precision not null,
    high        double precision not null,
    resource_id uuid not null,
    primary key (org_id, key, code, unit, low, high, resource_id)
);
create index fhir_number_resource on fhir_number (resource_id, key, org_id) include (low, high);

-- That `status final` is common and an MRN is not.
create statistics fhir_token_words (mcv) on key, value from fhir_token;
alter statistics fhir_token_words set statistics 500;
create statistics fhir_string_words (mcv) on key, value from fhir_string;

-- Which rules (RULES of record/fhir_index) a resource's rows were made by; null where a release before wrote it last.
alter table resource add column indexed smallint;
create index resource_not_indexed on resource (org_id, id) where indexed is null or indexed < 1;

do $$
declare
    name text;
begin
    foreach name in array array['fhir_token', 'fhir_string', 'fhir_date', 'fhir_number']
    loop
        execute format('alter table %I enable row level security', name);
        execute format('alter table %I force row level security', name);
        execute format(
            'create policy organisation_only on %I for all '
            'using (org_id = nullif(current_setting(''chartwire.org_id'', true), '''')::uuid)', name);
    end loop;
end
$$;
grant select, insert, update, delete on fhir_token, fhir_string, fhir_date, fhir_number to chartwire_app;

-- record_save and record_flush as in 0017, with the rules of the index that the rows were made by.
create function record_save(
    p_type text[], p_id uuid[], p_version integer[], p_updated timestamptz[], p_deleted boolean[], p_patient uuid[],
    p_original uuid[], p_message uuid[], p_actor text[], p_body text[], p_lineage text[], p_indexed smallint)
returns integer
language plpgsql
set plan_cache_mode = force_generic_plan
as $$
declare
    v_org uuid := nullif(current_setting('chartwire.org_id', true), '')::uuid;
    v_changed integer := 0;
    v_created integer := 0;
begin
    if 1 < any (p_version) then
        insert into resource_history
        select v_org, i.type, i.id, r.version, r.updated_at, r.xid, r.deleted, r.patient_id, r.original_subject,
               r.message_id, r.actor, r.body, r.lineage
          from unnest(p_type, p_id, p_version) as i (type, id, version)
         cross join lateral (
                select * from resource where org_id = v_org and type = i.type and id = i.id limit 1
               ) r
         where i.version > 1;

        update resource r
           set version = i.version, updated_at = i.updated, xid = pg_current_xact_id(), deleted = i.deleted,
               patient_id = i.patient, original_subject = i.original, message_id = i.message, actor = i.actor,
               body = i.body, lineage = i.lineage, indexed = p_indexed
          from unnest(p_type, p_id, p_version, p_updated, p_deleted, p_patient, p_original, p_message, p_actor, p_body,
                      p_lineage)
               as i (type, id, version, updated, deleted, patient, original, message, actor, body, lineage)
         cross join lateral (
                select o.ctid from resource o where o.org_id = v_org and o.type = i.type and o.id = i.id limit 1
               ) as standing
         where i.version > 1 and r.ctid = standing.ctid and r.version = i.version - 1;
        get diagnostics v_changed = row_count;
    end if;

    if 1 = any (p_version) then
        insert into resource (org_id, type, id, version, updated_at, deleted, patient_id, original_subject, message_id,
                              actor, body, lineage, indexed)
        select v_org, i.type, i.id, i.version, i.updated, i.deleted, i.patient, i.original, i.message, i.actor, i.body,
               i.lineage, p_indexed
          from unnest(p_type, p_id, p_version, p_updated, p_deleted, p_patient, p_original, p_message, p_actor, p_body,
                      p_lineage)
               as i (type, id, version, updated, deleted, patient, original, message, actor, body, lineage)
         where i.version = 1;
        get diagnostics v_created = row_count;
    end if;

    if v_changed + v_created <> cardinality(p_id) then
        raise exception 'version_conflict' using errcode = '40001';
    end if;
    return v_changed + v_created;
end
$$;


-- The release before knows nothing of this index: what it writes is indexed again later.
create or replace function record_save(
    p_type text[], p_id uuid[], p_version integer[], p_updated timestamptz[], p_deleted boolean[], p_patient uuid[],
    p_original uuid[], p_message uuid[], p_actor text[], p_body text[], p_lineage text[])
returns integer
language sql
as $$
    select record_save(p_type, p_id, p_version, p_updated, p_deleted, p_patient, p_original, p_message, p_actor, p_body,
                       p_lineage, null::smallint)
$$;

create function record_flush(
    p_key_type text[], p_key uuid[], p_key_resource uuid[], p_key_original uuid[],
    p_type text[], p_id uuid[], p_version integer[], p_updated timestamptz[], p_deleted boolean[], p_patient uuid[],
    p_original uuid[], p_message uuid[], p_actor text[], p_body text[], p_lineage text[],
    p_gone_type text[], p_gone_param text[], p_gone_value text[], p_gone_id uuid[],
    p_new_type text[], p_new_param text[], p_new_value text[], p_new_id uuid[], p_indexed smallint)
returns void
language plpgsql
set plan_cache_mode = force_generic_plan
as $$
declare
    v_org uuid := nullif(current_setting('chartwire.org_id', true), '')::uuid;
begin
    if cardinality(p_key) > 0 then
        insert into source_key (org_id, type, key, resource_id, original_id)
        select v_org, k.type, k.key, k.resource_id, k.original_id
          from unnest(p_key_type, p_key, p_key_resource, p_key_original) as k (type, key, resource_id, original_id)
         order by k.type, k.key;
    end if;
    if cardinality(p_id) > 0 then
        perform record_save(p_type, p_id, p_version, p_updated, p_deleted, p_patient, p_original, p_message, p_actor,
                            p_body, p_lineage, p_indexed);
    end if;
    if cardinality(p_gone_id) > 0 then
        delete from search_value s
         using unnest(p_gone_type, p_gone_param, p_gone_value, p_gone_id) as v (type, param, value, resource_id)
         cross join lateral (
                select o.ctid from search_value o
                 where o.org_id = v_org and o.type = v.type and o.param = v.param and o.value = v.value
                   and o.resource_id = v.resource_id
                 limit 1
               ) as standing
         where s.ctid = standing.ctid;
    end if;
    if cardinality(p_new_id) > 0 then
        insert into search_value (org_id, type, param, value, resource_id)
        select v_org, v.type, v.param, v.value, v.resource_id
          from unnest(p_new_type, p_new_param, p_new_value, p_new_id) as v (type, param, value, resource_id)
            on conflict do nothing;
    end if;
end
$$;


-- Rows of the index that are gone and new, table by table, as columns: values parted by U+001F, which no value holds. That
-- is by far the quickest form for the driver; a single empty text arrives as null. Each row that is gone is looked up by
-- itself; a new one that is there already is an error: the writer did not know what stands.
create function index_tokens(
    p_gone_key text, p_gone_value text, p_gone_id text,
    p_new_key text, p_new_value text, p_new_id text)
returns void
language plpgsql
set plan_cache_mode = force_generic_plan
as $$
declare
    v_org uuid := nullif(current_setting('chartwire.org_id', true), '')::uuid;
begin
    if p_gone_id <> '' then
        delete from fhir_token s
         using unnest(string_to_array(p_gone_key, E'\x1f')::bigint[], string_to_array(p_gone_value, E'\x1f'),
                      string_to_array(p_gone_id, E'\x1f')::uuid[])
                   as v (key, value, resource_id)
         cross join lateral (
                select o.ctid from fhir_token o
                 where o.org_id = v_org and o.key = v.key and o.value = coalesce(v.value, '')
                   and o.resource_id = v.resource_id
                 limit 1
               ) as standing
         where s.ctid = standing.ctid;
    end if;
    if p_new_id <> '' then
        insert into fhir_token (org_id, key, value, resource_id)
        select v_org, v.key, coalesce(v.value, ''), v.resource_id
          from unnest(string_to_array(p_new_key, E'\x1f')::bigint[], string_to_array(p_new_value, E'\x1f'),
                      string_to_array(p_new_id, E'\x1f')::uuid[])
                   as v (key, value, resource_id);
    end if;
end
$$;

create function index_strings(
    p_gone_key text, p_gone_value text, p_gone_id text,
    p_new_key text, p_new_value text, p_new_id text)
returns void
language plpgsql
set plan_cache_mode = force_generic_plan
as $$
declare
    v_org uuid := nullif(current_setting('chartwire.org_id', true), '')::uuid;
begin
    if p_gone_id <> '' then
        delete from fhir_string s
         using unnest(string_to_array(p_gone_key, E'\x1f')::bigint[], string_to_array(p_gone_value, E'\x1f'),
                      string_to_array(p_gone_id, E'\x1f')::uuid[])
                   as v (key, value, resource_id)
         cross join lateral (
                select o.ctid from fhir_string o
                 where o.org_id = v_org and o.key = v.key and o.value = coalesce(v.value, '')
                   and o.resource_id = v.resource_id
                 limit 1
               ) as standing
         where s.ctid = standing.ctid;
    end if;
    if p_new_id <> '' then
        insert into fhir_string (org_id, key, value, resource_id)
        select v_org, v.key, coalesce(v.value, ''), v.resource_id
          from unnest(string_to_array(p_new_key, E'\x1f')::bigint[], string_to_array(p_new_value, E'\x1f'),
                      string_to_array(p_new_id, E'\x1f')::uuid[])
                   as v (key, value, resource_id);
    end if;
end
$$;

create function index_dates(
    p_gone_key text, p_gone_low text, p_gone_high text, p_gone_code text, p_gone_id text,
    p_new_key text, p_new_low text, p_new_high text, p_new_code text, p_new_id text)
returns void
language plpgsql
set plan_cache_mode = force_generic_plan
as $$
declare
    v_org uuid := nullif(current_setting('chartwire.org_id', true), '')::uuid;
begin
    if p_gone_id <> '' then
        delete from fhir_date s
         using unnest(string_to_array(p_gone_key, E'\x1f')::bigint[],
                      string_to_array(p_gone_low, E'\x1f')::timestamptz[],
                      string_to_array(p_gone_high, E'\x1f')::timestamptz[], string_to_array(p_gone_code, E'\x1f'),
                      string_to_array(p_gone_id, E'\x1f')::uuid[])
                   as v (key, low, high, code, resource_id)
         cross join lateral (
                select o.ctid from fhir_date o
                 where o.org_id = v_org and o.key = v.key and o.low = v.low and o.high = v.high
                   and o.code = coalesce(v.code, '') and o.resource_id = v.resource_id
                 limit 1
               ) as standing
         where s.ctid = standing.ctid;
    end if;
    if p_new_id <> '' then
        insert into fhir_date (org_id, key, low, high, code, resource_id)
        select v_org, v.key, v.low, v.high, coalesce(v.code, ''), v.resource_id
          from unnest(string_to_array(p_new_key, E'\x1f')::bigint[],
                      string_to_array(p_new_low, E'\x1f')::timestamptz[],
                      string_to_array(p_new_high, E'\x1f')::timestamptz[], string_to_array(p_new_code, E'\x1f'),
                      string_to_array(p_new_id, E'\x1f')::uuid[])
                   as v (key, low, high, code, resource_id);
    end if;
end
$$;

create function index_numbers(
    p_gone_key text, p_gone_low text, p_gone_high text, p_gone_unit text, p_gone_code text, p_gone_id text,
    p_new_key text, p_new_low text, p_new_high text, p_new_unit text, p_new_code text, p_new_id text)
returns void
language plpgsql
set plan_cache_mode = force_generic_plan
as $$
declare
    v_org uuid := nullif(current_setting('chartwire.org_id', true), '')::uuid;
begin
    if p_gone_id <> '' then
        delete from fhir_number s
         using unnest(string_to_array(p_gone_key, E'\x1f')::bigint[],
                      string_to_array(p_gone_low, E'\x1f')::double precision[],
                      string_to_array(p_gone_high, E'\x1f')::double precision[],
                      string_to_array(p_gone_unit, E'\x1f'), string_to_array(p_gone_code, E'\x1f'),
                      string_to_array(p_gone_id, E'\x1f')::uuid[])
                   as v (key, low, high, unit, code, resource_id)
         cross join lateral (
                select o.ctid from fhir_number o
                 where o.org_id = v_org and o.key = v.key and o.low = v.low and o.high = v.high
                   and o.unit = coalesce(v.unit, '') and o.code = coalesce(v.code, '')
                   and o.resource_id = v.resource_id
                 limit 1
               ) as standing
         where s.ctid = standing.ctid;
    end if;
    if p_new_id <> '' then
        insert into fhir_number (org_id, key, low, high, unit, code, resource_id)
        select v_org, v.key, v.low, v.high, coalesce(v.unit, ''), coalesce(v.code, ''), v.resource_id
          from unnest(string_to_array(p_new_key, E'\x1f')::bigint[],
                      string_to_array(p_new_low, E'\x1f')::double precision[],
                      string_to_array(p_new_high, E'\x1f')::double precision[], string_to_array(p_new_unit, E'\x1f'),
                      string_to_array(p_new_code, E'\x1f'), string_to_array(p_new_id, E'\x1f')::uuid[])
                   as v (key, low, high, unit, code, resource_id);
    end if;
end
$$;

-- What the index holds of resources under these keys of a table (`token`, `string`, `date`, `number`) goes. Arrays run in
-- parallel.
create function index_wipe(p_table text[], p_key bigint[], p_id uuid[])
returns void
language plpgsql
set plan_cache_mode = force_generic_plan
as $$
declare
    v_org uuid := nullif(current_setting('chartwire.org_id', true), '')::uuid;
begin
    if cardinality(p_id) = 0 then
        return;
    end if;
    delete from fhir_token s
     using unnest(p_table, p_key, p_id) as v ("table", key, resource_id)
     where v."table" = 'token' and s.resource_id = v.resource_id and s.key = v.key and s.org_id = v_org;
    delete from fhir_string s
     using unnest(p_table, p_key, p_id) as v ("table", key, resource_id)
     where v."table" = 'string' and s.resource_id = v.resource_id and s.key = v.key and s.org_id = v_org;
    delete from fhir_date s
     using unnest(p_table, p_key, p_id) as v ("table", key, resource_id)
     where v."table" = 'date' and s.resource_id = v.resource_id and s.key = v.key and s.org_id = v_org;
    delete from fhir_number s
     using unnest(p_table, p_key, p_id) as v ("table", key, resource_id)
     where v."table" = 'number' and s.resource_id = v.resource_id and s.key = v.key and s.org_id = v_org;
end
$$;
