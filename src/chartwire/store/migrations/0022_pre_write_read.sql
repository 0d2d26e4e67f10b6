-- What the writes of one transaction need to know, in one round trip: where source keys lead, and the resources that are
-- written (locked, each after the patient whose it is) or named. It locks in one order for everyone: patients by id, then
-- what is written by type and id. Every row is looked up by itself, as in resolve_keys.
--
-- Arrays of one prefix run in parallel. `p_key_use` says what becomes of what a key leads to: `written`, `named`, or
-- `number` (only whether it leads somewhere). `p_patient` are patients, `p_written` and `p_named` resources of other types,
-- no one of them twice. Answers rows of three kinds: `key` (type, key, id, original_id), `resource`, and `policy` (in
-- body) where that is asked for. Raises 40001 (`changed_meanwhile`) where a key that a merge moved leads elsewhere once all
-- is locked, or a resource is another patient's.
create function write_read(
    p_key_type text[], p_key uuid[], p_key_use text[], p_patient uuid[], p_written_type text[], p_written_id uuid[],
    p_named_type text[], p_named_id uuid[], p_policy boolean)
returns table (what text, type text, id uuid, key uuid, original_id uuid, version integer, updated_at timestamptz,
               deleted boolean, patient_id uuid, original_subject uuid, body text, lineage text, indexed smallint)
language plpgsql
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
    v_org uuid := nullif(current_setting('chartwire.org_id', true), '')::uuid;
    v_patient uuid[] := p_patient;
    v_written_type text[] := p_written_type;
    v_written_id uuid[] := p_written_id;
    v_named_type text[] := p_named_type;
    v_named_id uuid[] := p_named_id;
    v_moved_type text[] := '{}';
    v_moved_key uuid[] := '{}';
    v_moved_led uuid[] := '{}';
    r record;
begin
    if p_policy then
        what := 'policy';
        select (o.settings::jsonb -> 'fhir')::text into body from organisation o where o.org_id = v_org;
        return next;
    end if;

    if cardinality(p_key) > 0 then
        for r in select w.type, w.key, w.use, k.resource_id, k.original_id
                   from unnest(p_key_type, p_key, p_key_use) as w (type, key, use)
                  cross join lateral (
                        select s.resource_id, s.original_id from source_key s
                         where s.org_id = v_org and s.type = w.type and s.key = w.key limit 1
                       ) k
        loop
            what := 'key'; type := r.type; key := r.key; id := r.resource_id; original_id := r.original_id; body := null;
            return next;
            if r.resource_id <> r.original_id then
                v_moved_type := v_moved_type || r.type;
                v_moved_key := v_moved_key || r.key;
                v_moved_led := v_moved_led || r.resource_id;
            end if;
            if r.use = 'number' then
                continue;
            elsif r.type = 'Patient' then
                v_patient := v_patient || r.resource_id;
            elsif r.use = 'written' then
                v_written_type := v_written_type || r.type;
                v_written_id := v_written_id || r.resource_id;
            else
                v_named_type := v_named_type || r.type;
                v_named_id := v_named_id || r.resource_id;
            end if;
        end loop;
    end if;

    if cardinality(v_written_id) > 0 then
        select v_patient || array_agg(o.patient_id) filter (where o.patient_id is not null) into v_patient
          from unnest(v_written_type, v_written_id) as w (type, id)
         cross join lateral (
                select o.patient_id from resource o where o.org_id = v_org and o.type = w.type and o.id = w.id limit 1
               ) o;
    end if;
    if cardinality(v_patient) > 0 then
        return query
        select 'resource', o.type, o.id, null::uuid, null::uuid, o.version, o.updated_at, o.deleted, o.patient_id,
               o.original_subject, o.body, o.lineage, o.indexed
          from (select distinct p.id from unnest(v_patient) as p (id) order by p.id) as w
         cross join lateral (
                select * from resource o where o.org_id = v_org and o.type = 'Patient' and o.id = w.id limit 1 for update
               ) o;
    end if;
    if cardinality(v_written_id) > 0 then
        what := 'resource'; key := null; original_id := null;
        for type, id, version, updated_at, deleted, patient_id, original_subject, body, lineage, indexed in
            select o.type, o.id, o.version, o.updated_at, o.deleted, o.patient_id, o.original_subject, o.body, o.lineage,
                   o.indexed
              from (select distinct p.type, p.id from unnest(v_written_type, v_written_id) as p (type, id)
                     order by p.type, p.id) as w
             cross join lateral (
                    select * from resource o where o.org_id = v_org and o.type = w.type and o.id = w.id limit 1 for update
                   ) o
        loop
            if patient_id is not null and not patient_id = any (v_patient) then
                raise exception 'changed_meanwhile' using errcode = '40001';
            end if;
            return next;
        end loop;
    end if;
    if cardinality(v_named_id) > 0 then
        return query
        select 'resource', o.type, o.id, null::uuid, null::uuid, o.version, o.updated_at, o.deleted, o.patient_id,
               o.original_subject, o.body, o.lineage, o.indexed
          from unnest(v_named_type, v_named_id) as w (type, id)
         cross join lateral (
                select * from resource o where o.org_id = v_org and o.type = w.type and o.id = w.id limit 1
               ) o;
    end if;

    if cardinality(v_moved_key) > 0 and exists (
            select 1
              from unnest(v_moved_type, v_moved_key, v_moved_led) as k (type, key, led)
              left join lateral (
                    select s.resource_id from source_key s
                     where s.org_id = v_org and s.type = k.type and s.key = k.key limit 1
                   ) s on true
             where s.resource_id is distinct from k.led) then
        raise exception 'changed_meanwhile' using errcode = '40001';
    end if;
end
$$;

revoke all on function write_read(text[], uuid[], text[], uuid[], text[], uuid[], text[], uuid[], boolean) from public;
grant execute on function write_read(text[], uuid[], text[], uuid[], text[], uuid[], text[], uuid[], boolean)
    to chartwire_app;
