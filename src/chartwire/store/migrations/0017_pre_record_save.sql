-- record_save as in 0002 and record_flush as in 0008, with every row looked up by itself. Joined on a table that nobody has
-- counted yet, each save read all resources of the organisation: 0.4 ms at a thousand of them, and rising.

-- New versions of resources; their former ones go to the history. Arrays run in parallel. Raises 40001
-- (`version_conflict`) where the stored version is not the one before. Answers how many were written.
create or replace function record_save(
    p_type text[], p_id uuid[], p_version integer[], p_updated timestamptz[], p_deleted boolean[], p_patient uuid[],
    p_original uuid[], p_message uuid[], p_actor text[], p_body text[], p_lineage text[])
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
               body = i.body, lineage = i.lineage
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
                              actor, body, lineage)
        select v_org, i.type, i.id, i.version, i.updated, i.deleted, i.patient, i.original, i.message, i.actor, i.body,
               i.lineage
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

-- What a unit of work writes in most cases, in one round trip: source keys, one version each of some resources, index rows
-- that are gone and new. Arrays of one prefix run in parallel.
create or replace function record_flush(
    p_key_type text[], p_key uuid[], p_key_resource uuid[], p_key_original uuid[],
    p_type text[], p_id uuid[], p_version integer[], p_updated timestamptz[], p_deleted boolean[], p_patient uuid[],
    p_original uuid[], p_message uuid[], p_actor text[], p_body text[], p_lineage text[],
    p_gone_type text[], p_gone_param text[], p_gone_value text[], p_gone_id uuid[],
    p_new_type text[], p_new_param text[], p_new_value text[], p_new_id uuid[])
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
                            p_body, p_lineage);
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
