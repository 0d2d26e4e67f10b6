-- Reading through FHIR: histories of a type and of all types, newest first; resources that are linked to others.

create index resource_changes on resource (org_id, type, updated_at, id);
create index resource_history_changes on resource_history (org_id, type, updated_at, id, version);

-- Resources that are linked to others: those that the values of reference parameters of `p_from` lead to (of the type
-- `p_from_target`, where it is not empty), and those of type `p_to_source` that refer to `p_to` (`Type/uuid`). At most
-- `p_limit`, without order. Arrays of one prefix run in parallel. Refuses (28000) a credential that was withdrawn.
create function fhir_linked(
    p_credential uuid, p_org uuid, p_from uuid[], p_from_key bigint[], p_from_target text[],
    p_to text[], p_to_key bigint[], p_to_source text[], p_limit integer)
returns table (type text, id uuid, version integer, updated_at timestamptz, deleted boolean, patient_id uuid,
               message_id uuid, actor text, body text)
language plpgsql
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
begin
    perform access_open(p_credential, p_org);
    return query
    with linked as materialized (
        select split_part(t.value, '/', 1) as type, right(t.value, 36)::uuid as id
          from unnest(p_from, p_from_key, p_from_target) as f (id, key, target)
         cross join lateral (
                select case when t.value ~ '^[A-Z][A-Za-z]+/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
                            then t.value end as value
                  from fhir_token t where t.resource_id = f.id and t.key = f.key and t.org_id = p_org offset 0
               ) as t
         where t.value is not null and (f.target = '' or split_part(t.value, '/', 1) = f.target)
         union
        select t.source, s.resource_id
          from unnest(p_to, p_to_key, p_to_source) as t (value, key, source)
         cross join lateral (
                select s.resource_id from fhir_token s
                 where s.org_id = p_org and s.key = t.key and s.value = t.value limit p_limit
               ) as s
         limit p_limit
    )
    select l.type, r.id, r.version, r.updated_at, r.deleted, r.patient_id, r.message_id, r.actor, r.body
      from linked l
     cross join lateral (
            select * from resource r where r.org_id = p_org and r.type = l.type and r.id = l.id limit 1
           ) as r
     where not r.deleted;
end
$$;

revoke all on function fhir_linked(uuid, uuid, uuid[], bigint[], text[], text[], bigint[], text[], integer) from public;
grant execute on function fhir_linked(uuid, uuid, uuid[], bigint[], text[], text[], bigint[], text[], integer)
    to chartwire_app;

-- Resources that belong to a patient, by type and id behind a position: those that name the patient under one of
-- `p_key` (each with the type that it is of), and the patient. Changed at `p_since` or later; of those with dates under
-- `p_care`, which overlap what is from `p_start` on until before `p_end`. Refuses (28000) a withdrawn credential.
create function fhir_everything(
    p_credential uuid, p_org uuid, p_patient uuid, p_key bigint[], p_type text[], p_self boolean, p_since timestamptz,
    p_care bigint[], p_start timestamptz, p_end timestamptz, p_after_type text, p_after_id uuid, p_limit integer)
returns table (type text, id uuid, version integer, updated_at timestamptz, deleted boolean, patient_id uuid,
               message_id uuid, actor text, body text)
language plpgsql
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
    v_value text := 'Patient/' || p_patient;
begin
    perform access_open(p_credential, p_org);
    return query
    with belonging as (
        select distinct k.type, t.resource_id as id
          from unnest(p_key, p_type) as k (key, type)
         cross join lateral (
                select t.resource_id from fhir_token t
                  join resource r on r.org_id = p_org and r.type = k.type and r.id = t.resource_id
                 where t.org_id = p_org and t.key = k.key and t.value = v_value
                   and (k.type > p_after_type or t.resource_id > p_after_id) and not r.deleted
                   and r.updated_at >= p_since
                   and (cardinality(p_care) = 0
                        or not exists (select from fhir_date d
                                        where d.org_id = p_org and d.resource_id = r.id and d.key = any (p_care))
                        or exists (select from fhir_date d
                                    where d.org_id = p_org and d.resource_id = r.id and d.key = any (p_care)
                                      and d.low < p_end and d.high > p_start))
                 order by t.resource_id limit p_limit
               ) as t
         where k.type >= p_after_type
         union
        select 'Patient', p_patient
         where p_self and ('Patient' > p_after_type or 'Patient' = p_after_type and p_patient > p_after_id)
         order by 1, 2 limit p_limit
    )
    select b.type, r.id, r.version, r.updated_at, r.deleted, r.patient_id, r.message_id, r.actor, r.body
      from belonging b
     cross join lateral (
            select * from resource r where r.org_id = p_org and r.type = b.type and r.id = b.id limit 1
           ) as r
     where not r.deleted and r.updated_at >= p_since
     order by b.type, b.id;
end
$$;

revoke all on function fhir_everything(uuid, uuid, uuid, bigint[], text[], boolean, timestamptz, bigint[], timestamptz,
    timestamptz, text, uuid, integer) from public;
grant execute on function fhir_everything(uuid, uuid, uuid, bigint[], text[], boolean, timestamptz, bigint[],
    timestamptz, timestamptz, text, uuid, integer) to chartwire_app;
