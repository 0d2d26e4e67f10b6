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
