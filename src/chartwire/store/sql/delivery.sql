-- name: outbound_settings
-- What decides where this organisation's traffic may go.
select kind, settings from organisation where org_id = $1;

-- name: load_destination
-- What a sender needs of an endpoint and its organisation.
select d.kind, d.url, d.secrets, d.headers, d.settings, d.api_version, d.state, d.deleted_at, o.kind as organisation_kind,
       o.settings as organisation_settings
  from destination d join organisation o on o.org_id = d.org_id
 where d.org_id = $1 and d.id = $2;

-- name: due_deliveries
-- Due deliveries of one destination that its worker does not hold ($3) yet, longest due first: up to $4 of its events,
-- then up to $5 of its replays. One with an order key waits for those of the same key that are open and older.
select d.event_id, d.attempts, d.attempts_before, d.created_at, d.message_id, d.replay_id, d.body,
       d.replay_id is null and coalesce(e.mode = 'record-only', false) as historical
  from ((select event_id, attempts, attempts_before, created_at, message_id, replay_id, body, next_attempt_at
           from delivery w
          where org_id = $1 and destination_id = $2 and state in ('pending', 'retrying', 'unknown')
            and replay_id is null and next_attempt_at <= clock_timestamp() and event_id <> all ($3::uuid[])
            and (order_key is null or not exists (
                 select 1 from delivery o
                  where o.org_id = $1 and o.destination_id = $2 and o.order_key = w.order_key
                    and o.state in ('pending', 'retrying', 'unknown') and o.event_id < w.event_id))
          order by next_attempt_at limit $4)
        union all
        (select event_id, attempts, attempts_before, created_at, message_id, replay_id, body, next_attempt_at
           from delivery w
          where org_id = $1 and destination_id = $2 and state in ('pending', 'retrying', 'unknown')
            and replay_id is not null and next_attempt_at <= clock_timestamp() and event_id <> all ($3::uuid[])
            and (order_key is null or not exists (
                 select 1 from delivery o
                  where o.org_id = $1 and o.destination_id = $2 and o.order_key = w.order_key
                    and o.state in ('pending', 'retrying', 'unknown') and o.event_id < w.event_id))
          order by next_attempt_at limit $5)) d
  left join event e on e.org_id = $1 and e.id = d.event_id
 order by d.next_attempt_at;

-- name: record_attempts
-- Results of attempts, fenced; answers which were recorded. See delivery_flush.
select event_id, destination_id from delivery_flush($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13);

-- name: extend_delivery_leases
-- Renew leases; answers the lanes that are still ours.
update lane l set lease_until = now() + make_interval(secs => $2)
  from unnest($3::uuid[], $4::bigint[]) as mine (lane_id, fence)
 where l.owner = $1 and l.lane_id = mine.lane_id and l.fence = mine.fence
returning l.lane_id;

-- name: lane_turns
-- How often the lanes of this owner were woken.
select lane_id, seq from lane where owner = $1;

-- name: free_other_lanes_of_owner
-- Lanes of this owner but the ones it knows of: claimed by a statement whose answer was lost.
update lane set owner = null, lease_until = null where owner = $1 and lane_id <> all ($2::uuid[]);

-- name: release_delivery_lane
-- End a claim on a destination: when it has something due again. See delivery_release.
select delivery_release($1, $2, $3, $4);
