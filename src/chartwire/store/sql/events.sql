-- name: insert_events
-- The outbox: what changed, in the transaction of the change.
insert into event (org_id, id, created_at, type, resource_type, resource_id, version, patient_id, changed, message_id,
                   mode, detail)
select $1, e.id, $2, e.type, e.resource_type, e.resource_id, e.version, e.patient_id, e.changed::text[], e.message_id,
       e.mode, e.detail
  from unnest($3::uuid[], $4::text[], $5::text[], $6::uuid[], $7::integer[], $8::uuid[], $9::text[], $10::uuid[],
              $11::text[], $12::text[])
       as e (id, type, resource_type, resource_id, version, patient_id, changed, message_id, mode, detail);

-- name: wake_delivery_lanes
-- The lanes of these destinations are ready. Last statement of a transaction: the rows are hot.
insert into lane (lane_id, org_id, kind, seq, ready_at)
select d.id, $1, 'delivery', 1, clock_timestamp() from unnest($2::uuid[]) as d (id) order by d.id
    on conflict (lane_id) do update set seq = lane.seq + 1, ready_at = least(lane.ready_at, excluded.ready_at);

-- name: events_after
-- The change feed below the commit horizon: nothing that commits later can come before what this shows.
select id, xid::text as xid, created_at, type, resource_type, resource_id, version, patient_id, changed, message_id,
       mode, detail
  from event
 where org_id = $1 and (xid, id) > ($2::xid8, $3::uuid) and xid < pg_snapshot_xmin(pg_current_snapshot())
 order by xid, id limit $4;
