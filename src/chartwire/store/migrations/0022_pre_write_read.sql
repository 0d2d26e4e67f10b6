-- What the writes of one transaction need to know, in one round trip: where source keys lead, and the resources that are
-- written (locked, each after the patient whose it is) or named. It locks in one order for everyone: patients by id, then
-- what is written by type and id. Every row is looked up by itself, as in resolve_keys.
--
-- Keys and resources come as arrays that run in parallel. `p_use` says what becomes of what a key leads to: `written`,
-- `named`, or `number` (only whether it leads somewhere). Answers rows of two kinds: `key` (type, key, id, original_id)
-- and `resource`. Raises 40001 (`changed_meanwhile`) where a key that a merge moved leads elsewhere once all is locked, or
-- a resource is another patient's.
create function write_read(
    p_key_type text[], p_key uuid[], p_use text[], p_type text[], p_id uuid[], p_written boolean[])
returns table (what text, type text, id uuid, key uuid, original_id uuid, version integer, updated_at timestamptz,
               deleted boolean, patient_id uuid, original_subject uuid, body text, lineage text, indexed smallint)
language plpgsql
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
    v_org uuid := nullif(current_setting('chartwire.org_id', true), '')::uuid;
    v_led uuid[] := '{}';
    v_original uuid[] := '{}';
    v_type text[] := p_type;
    v_id uuid[] := p_id;
    v_written boolean[] := p_written;
    v_patients uuid[];
begin
    if cardinality(p_key) > 0 then
        select array_agg(k.resource_id order by w.n), array_agg(k.original_id order by w.n) into v_led, v_original
          from unnest(p_key_type, p_key) with ordinality as w (type, key, n)
          left join lateral (
                select s.resource_id, s.original_id from source_key s
                 where s.org_id = v_org and s.type = w.type and s.key = w.key limit 1
               ) k on true;
        return query
        select 'key', k.type, k.id, k.key, k.original, null::integer, null::timestamptz, null::boolean, null::uuid,
               null::uuid, null::text, null::text, null::smallint
          from unnest(p_key_type, v_led, p_key, v_original) as k (type, id, key, original) where k.id is not null;
        select v_type || coalesce(array_agg(k.type), '{}'), v_id || coalesce(array_agg(k.id), '{}'),
               v_written || coalesce(array_agg(k.use = 'written'), '{}')
          into v_type, v_id, v_written
          from unnest(p_key_type, v_led, p_use) as k (type, id, use) where k.id is not null and k.use <> 'number';
    end if;

    if cardinality(v_id) > 0 then
        select array_agg(distinct case when w.type = 'Patient' then w.id else r.patient_id end) into v_patients
          from unnest(v_type, v_id, v_written) as w (type, id, written)
          left join lateral (
                select o.patient_id from resource o
                 where w.written and w.type <> 'Patient' and o.org_id = v_org and o.type = w.type and o.id = w.id limit 1
               ) r on true;
        return query
        select 'resource', r.type, r.id, null::uuid, null::uuid, r.version, r.updated_at, r.deleted, r.patient_id,
               r.original_subject, r.body, r.lineage, r.indexed
          from (select p.id from unnest(v_patients) as p (id) where p.id is not null order by p.id) as w
         cross join lateral (
                select * from resource o where o.org_id = v_org and o.type = 'Patient' and o.id = w.id limit 1 for update
               ) r;
        return query
        select 'resource', r.type, r.id, null::uuid, null::uuid, r.version, r.updated_at, r.deleted, r.patient_id,
               r.original_subject, r.body, r.lineage, r.indexed
          from (select distinct p.type, p.id from unnest(v_type, v_id, v_written) as p (type, id, written)
                 where p.written and p.type <> 'Patient' order by p.type, p.id) as w
         cross join lateral (
                select * from resource o where o.org_id = v_org and o.type = w.type and o.id = w.id limit 1 for update
               ) r;
        return query
        select 'resource', r.type, r.id, null::uuid, null::uuid, r.version, r.updated_at, r.deleted, r.patient_id,
               r.original_subject, r.body, r.lineage, r.indexed
          from (select p.type, p.id from unnest(v_type, v_id, v_written) as p (type, id, written)
                 group by p.type, p.id having not bool_or(p.written) and p.type <> 'Patient') as w
         cross join lateral (
                select * from resource o where o.org_id = v_org and o.type = w.type and o.id = w.id limit 1
               ) r;
    end if;

    if exists (select 1 from unnest(v_type, v_id, v_written) as w (type, id, written)
                cross join lateral (
                       select o.patient_id from resource o
                        where w.written and w.type <> 'Patient' and o.org_id = v_org and o.type = w.type
                          and o.id = w.id limit 1
                      ) r
                where r.patient_id is not null and not r.patient_id = any (v_patients)) then
        raise exception 'changed_meanwhile' using errcode = '40001';
    end if;
    if v_led is distinct from v_original and exists (
            select 1
              from unnest(p_key_type, p_key, v_led, v_original) as k (type, key, id, original)
              left join lateral (
                    select s.resource_id from source_key s
                     where s.org_id = v_org and s.type = k.type and s.key = k.key limit 1
                   ) s on true
             where k.id is distinct from k.original and s.resource_id is distinct from k.id) then
        raise exception 'changed_meanwhile' using errcode = '40001';
    end if;
end
$$;

revoke all on function write_read(text[], uuid[], text[], text[], uuid[], boolean[]) from public;
grant execute on function write_read(text[], uuid[], text[], text[], uuid[], boolean[]) to chartwire_app;
