-- Hot paths, one round trip each. Every function runs with its caller's rights; the one exception is named.

-- The only SECURITY DEFINER function: who holds this key? Owned by chartwire_engine, which sees no tenant table.
create function authenticate(p_key_hash bytea)
returns table (credential_id uuid, org_id uuid, scopes text[])
language sql stable security definer set search_path = pg_catalog, public
as $$
    select c.credential_id, c.org_id, c.scopes
      from public.credential c
     where c.key_hash = p_key_hash
       and c.revoked_at is null
       and (c.expires_at is null or c.expires_at > now())
$$;
revoke all on function authenticate(bytea) from public;
grant execute on function authenticate(bytea) to chartwire_app;

grant create on schema public to chartwire_engine;
alter function authenticate(bytea) owner to chartwire_engine;
revoke create on schema public from chartwire_engine;

-- One group commit of the intake: for each organisation in it, the ledger, messages, bodies, lanes and jobs.
-- Arrays run in parallel, one element a message, in order of arrival. `p_partners` holds the further lanes of a merge as
-- an array literal ('{uuid,uuid}'), null for all else. Answers a row for each message that is no plain new one:
-- `resend` (known: nothing stored, see intake_answers) or `reused` (stored, but its control id came before with another
-- body; where `p_reuse_ack` is given the message is kept as dead and answered with that). An empty control id is none.
create function intake_flush(
    p_org uuid[], p_source uuid[], p_id uuid[], p_received timestamptz[], p_state text[], p_event text[],
    p_control text[], p_hash bytea[], p_mrn text[], p_lane uuid[], p_partners text[], p_charset text[], p_mode text[],
    p_ack_code text[], p_ack bytea[], p_reuse_ack bytea[], p_error_code text[], p_error_location text[],
    p_error_text text[], p_raw bytea[])
returns table ("position" integer, outcome text)
language plpgsql
-- The planner takes a group for a row or two: with nested loops, 512 messages would cost 262,144 comparisons.
set enable_nestloop = off
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
    v_org uuid;
    v_count integer;
    v_reused bigint[];
    v_new uuid[];
    v_all boolean;
begin
    for v_org, v_count in select o, count(*) from unnest(p_org) as o group by o order by o loop
        perform set_config('chartwire.org_id', v_org::text, true);

        select coalesce(array_agg(i.n), '{}') into v_reused
          from (select u.n, u.source, u.control, u.hash,
                       first_value(u.hash) over (partition by u.source, u.control order by u.n) as first_hash
                  from unnest(p_org, p_source, p_control, p_hash) with ordinality as u (org, source, control, hash, n)
                 where u.org = v_org and u.control <> '') as i
         where i.first_hash <> i.hash
            or exists (select 1 from intake_key k
                        where k.org_id = v_org and k.source_id = i.source and k.control_id = i.control
                          and k.body_hash <> i.hash);

        with keyed as (
            insert into intake_key (org_id, source_id, control_id, body_hash, message_id, received_at, ack)
            select v_org, i.source, i.control, i.hash, i.id, i.received,
                   case when i.n = any (v_reused) then coalesce(i.reuse_ack, i.ack) else i.ack end
              from unnest(p_org, p_source, p_id, p_received, p_control, p_hash, p_ack, p_reuse_ack) with ordinality
                   as i (org, source, id, received, control, hash, ack, reuse_ack, n)
             where i.org = v_org
             order by i.source, i.control, i.hash, i.n
                on conflict do nothing
            returning message_id
        )
        select coalesce(array_agg(message_id), '{}') into v_new from keyed;
        v_all := cardinality(v_new) = v_count;

        insert into message (org_id, id, source_id, received_at, state, event, control_id, mrn, lane_id, charset,
                             body_bytes, mode, ack_code, error_code, error_location, error_text)
        select v_org, i.id, i.source, i.received, case when r.refused then 'dead' else i.state end, i.event, i.control,
               i.mrn, i.lane, i.charset, octet_length(i.raw), i.mode, case when r.refused then 'AE' else i.ack_code end,
               case when r.refused then 'control_id_reused' else i.error_code end,
               case when r.refused then 'MSH-10' else i.error_location end,
               case when r.refused then 'this control id came before with another body' else i.error_text end
          from unnest(p_org, p_source, p_id, p_received, p_state, p_event, p_control, p_mrn, p_lane, p_charset, p_mode,
                      p_ack_code, p_reuse_ack, p_error_code, p_error_location, p_error_text, p_raw) with ordinality
               as i (org, source, id, received, state, event, control, mrn, lane, charset, mode, ack_code, reuse_ack,
                     error_code, error_location, error_text, raw, n)
         cross join lateral (select i.reuse_ack is not null and i.n = any (v_reused) as refused) as r
         where i.org = v_org and (v_all or i.id = any (v_new));

        insert into message_body (org_id, id, class, raw)
        select v_org, i.id,
               case when i.state = 'dead' or i.reuse_ack is not null and i.n = any (v_reused) then 'dead' else 'raw' end,
               i.raw
          from unnest(p_org, p_id, p_state, p_reuse_ack, p_raw) with ordinality as i (org, id, state, reuse_ack, raw, n)
         where i.org = v_org and (v_all or i.id = any (v_new));

        with item as (
            select i.n, i.id, i.lane, i.partners
              from unnest(p_org, p_id, p_state, p_lane, p_partners, p_reuse_ack) with ordinality
                   as i (org, id, state, lane, partners, reuse_ack, n)
             where i.org = v_org and i.state = 'received' and i.lane is not null and (v_all or i.id = any (v_new))
               and not (i.reuse_ack is not null and i.n = any (v_reused))
        ), ticket as (
            select i.n, i.id, i.lane as lane_id, null::uuid[] as ticket_lanes from item i where i.partners is null
            union all
            select i.n, i.id, t.lane_id, a.lane_ids
              from item i
             cross join lateral (select array_prepend(i.lane, i.partners::uuid[])) as a (lane_ids)
             cross join lateral (select distinct l from unnest(a.lane_ids) as l) as t (lane_id)
             where i.partners is not null
        ), lanes as (
            insert into lane (lane_id, org_id, kind, seq, ready_at)
            select t.lane_id, v_org, 'intake', count(*), clock_timestamp()
              from ticket t group by t.lane_id order by t.lane_id
                on conflict (lane_id) do update
                   set seq = lane.seq + excluded.seq, ready_at = least(lane.ready_at, excluded.ready_at)
            returning lane_id, seq
        )
        insert into job (org_id, lane_id, seq, message_id, ticket_lanes)
        select v_org, t.lane_id,
               l.seq - count(*) over (partition by t.lane_id) + row_number() over (partition by t.lane_id order by t.n),
               t.id, t.ticket_lanes
          from ticket t join lanes l using (lane_id);

        if not v_all or cardinality(v_reused) > 0 then
            return query
            select i.n::integer, case when i.id = any (v_new) then 'reused' else 'resend' end
              from unnest(p_org, p_id) with ordinality as i (org, id, n)
             where i.org = v_org and (not i.id = any (v_new) or i.n = any (v_reused));
        end if;
    end loop;
end
$$;

-- The stored answers of resends, in a statement of its own so that it sees what a concurrent flush committed.
create function intake_answers(p_org uuid[], p_source uuid[], p_control text[], p_hash bytea[])
returns table ("position" integer, ack bytea, message_id uuid)
language plpgsql
as $$
#variable_conflict use_column
declare
    v_org uuid;
begin
    for v_org in select distinct o from unnest(p_org) as o order by o loop
        perform set_config('chartwire.org_id', v_org::text, true);
        return query
        select i.ordinality::integer, k.ack, k.message_id
          from unnest(p_org, p_source, p_control, p_hash) with ordinality as i (org, source, control, hash)
          join intake_key k
            on k.org_id = v_org and k.source_id = i.source and k.control_id = i.control and k.body_hash = i.hash
         where i.org = v_org;
    end loop;
end
$$;

-- New versions of resources: what stands moves to the history, the new body takes its place. Arrays run in parallel.
-- Raises `version_conflict` (SQLSTATE 40001) when a resource is no longer at the version before the one given.
create function record_save(
    p_type text[], p_id uuid[], p_version integer[], p_updated timestamptz[], p_deleted boolean[], p_patient uuid[],
    p_original uuid[], p_message uuid[], p_actor text[], p_body text[], p_lineage text[])
returns integer
language plpgsql
as $$
declare
    v_org uuid := nullif(current_setting('chartwire.org_id', true), '')::uuid;
    v_count integer;
    v_created integer;
begin
    insert into resource_history
    select r.org_id, r.type, r.id, r.version, r.updated_at, r.xid, r.deleted, r.patient_id, r.original_subject,
           r.message_id, r.actor, r.body, r.lineage
      from unnest(p_type, p_id, p_version) as i (type, id, version)
      join resource r on r.org_id = v_org and r.type = i.type and r.id = i.id
     where i.version > 1;

    update resource r
       set version = i.version, updated_at = i.updated, xid = pg_current_xact_id(), deleted = i.deleted,
           patient_id = i.patient, original_subject = i.original, message_id = i.message, actor = i.actor,
           body = i.body, lineage = i.lineage
      from unnest(p_type, p_id, p_version, p_updated, p_deleted, p_patient, p_original, p_message, p_actor, p_body,
                  p_lineage)
           as i (type, id, version, updated, deleted, patient, original, message, actor, body, lineage)
     where i.version > 1 and r.org_id = v_org and r.type = i.type and r.id = i.id and r.version = i.version - 1;
    get diagnostics v_count = row_count;

    insert into resource (org_id, type, id, version, updated_at, deleted, patient_id, original_subject, message_id,
                          actor, body, lineage)
    select v_org, i.type, i.id, i.version, i.updated, i.deleted, i.patient, i.original, i.message, i.actor, i.body,
           i.lineage
      from unnest(p_type, p_id, p_version, p_updated, p_deleted, p_patient, p_original, p_message, p_actor, p_body,
                  p_lineage)
           as i (type, id, version, updated, deleted, patient, original, message, actor, body, lineage)
     where i.version = 1;
    get diagnostics v_created = row_count;

    if v_count + v_created <> cardinality(p_id) then
        raise exception 'version_conflict' using errcode = '40001';
    end if;
    return v_count + v_created;
end
$$;

-- One group commit of audit rows, for each organisation in it. Committed before the answers they tell of leave.
create function audit_flush(
    p_org uuid[], p_id uuid[], p_at timestamptz[], p_actor text[], p_purpose text[], p_action text[], p_type text[],
    p_shape text[], p_count integer[], p_patients text[], p_status integer[], p_request text[])
returns void
language plpgsql
as $$
declare
    v_org uuid;
begin
    for v_org in select distinct o from unnest(p_org) as o order by o loop
        perform set_config('chartwire.org_id', v_org::text, true);
        insert into audit (org_id, id, at, actor, purpose, action, resource_type, query_shape, row_count, patient_ids,
                           status, request_id)
        select v_org, i.id, i.at, i.actor, i.purpose, i.action, i.type, i.shape, i.row_count,
               i.patients::uuid[], i.status, i.request
          from unnest(p_org, p_id, p_at, p_actor, p_purpose, p_action, p_type, p_shape, p_count, p_patients, p_status,
                      p_request)
               as i (org, id, at, actor, purpose, action, type, shape, row_count, patients, status, request)
         where i.org = v_org;
    end loop;
end
$$;
