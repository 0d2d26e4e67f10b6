-- name: insert_destination
-- A new webhook endpoint; its secrets come sealed.
insert into destination (org_id, id, kind, name, url, event_types, secrets, api_version)
values ($1, $2, $3, $4, $5, $6, $7, $8);

-- name: furnish_destination
-- Settings, sealed headers and the ages of the secrets of a new endpoint.
update destination set settings = $3, headers = $4, secret_times = $5 where org_id = $1 and id = $2;

-- name: list_destinations
-- Endpoints of this organisation, oldest first, without their secrets.
select id, kind, name, url, event_types, api_version, state, state_reason, created_at, settings, headers, version,
       updated_at, disabled_at, failing_since, notice, probed_at, probe_answer
  from destination where org_id = $1 and deleted_at is null order by id limit $2;

-- name: read_destination
-- One endpoint, without its secrets.
select id, kind, name, url, event_types, api_version, state, state_reason, created_at, settings, headers, version,
       updated_at, disabled_at, failing_since, notice, probed_at, probe_answer
  from destination where org_id = $1 and id = $2 and deleted_at is null;

-- name: lock_destination
-- As read_destination, locked for a change.
select id, kind, name, url, event_types, api_version, state, state_reason, created_at, settings, headers, version,
       updated_at, disabled_at, failing_since, notice, probed_at, probe_answer
  from destination where org_id = $1 and id = $2 and deleted_at is null for update;

-- name: change_destination
-- What an owner may change, as the next version; headers come sealed.
update destination
   set name = $3, url = $4, event_types = $5, api_version = $6, settings = $7, headers = $8, version = version + 1,
       updated_at = now()
 where org_id = $1 and id = $2;

-- name: lock_destination_secrets
-- The sealed secrets of one endpoint, locked for a change.
select secrets, secret_times from destination where org_id = $1 and id = $2 and deleted_at is null for update;

-- name: set_destination_secrets
-- New sealed secrets of one endpoint.
update destination set secrets = $3, secret_times = $4, version = version + 1, updated_at = now()
 where org_id = $1 and id = $2;

-- name: set_destination_state
-- Enable or disable an endpoint, with the reason; enabling begins a clean record.
update destination
   set state = $3, state_reason = $4, version = version + 1, updated_at = now(),
       disabled_at = case when $3 = 'enabled' then null else coalesce(disabled_at, clock_timestamp()) end,
       failing_since = case when $3 = 'enabled' then null else failing_since end,
       notice = case when $3 = 'enabled' then 0 else notice end,
       probed_at = case when $3 = 'enabled' then null else probed_at end,
       probe_answer = case when $3 = 'enabled' then null else probe_answer end
 where org_id = $1 and id = $2 and deleted_at is null returning id;

-- name: delete_destination
-- An endpoint goes for good: nothing that could sign or authenticate stays; the name stays for the log.
update destination
   set state = 'disabled', state_reason = 'deleted', deleted_at = now(), secrets = '', headers = null,
       version = version + 1, updated_at = now(), failing_since = null, notice = 0
 where org_id = $1 and id = $2 and deleted_at is null returning id;

-- name: close_deliveries_of
-- What was open for an endpoint that went for good will not be sent.
update delivery set state = 'dead', finished_at = now()
 where org_id = $1 and destination_id = $2 and state in ('pending', 'retrying', 'unknown');

-- name: enabled_destinations
-- Where events of this organisation may go.
select id, kind, event_types, api_version, settings, version
  from destination where org_id = $1 and state = 'enabled';

-- name: insert_deliveries
-- One delivery an event and destination, with the body that every attempt will carry; an order key where the endpoint
-- wants the events of one resource in order.
insert into delivery (org_id, event_id, destination_id, state, next_attempt_at, created_at, message_id, body, order_key)
select $1, d.event_id, d.destination_id, 'pending', $2, $2, d.message_id, d.body, d.order_key
  from unnest($3::uuid[], $4::uuid[], $5::uuid[], $6::bytea[], $7::uuid[])
       as d (event_id, destination_id, message_id, body, order_key)
    on conflict do nothing;

-- name: sources_of_messages
-- Which source each message came from.
select id, source_id from message where org_id = $1 and id = any($2::uuid[]);

-- name: bodies_of_versions
-- Resources as named versions had them.
select r.type, r.id, r.version, r.body
  from unnest($2::text[], $3::uuid[], $4::integer[]) as wanted (type, id, version)
  join resource r
    on r.org_id = $1 and r.type = wanted.type and r.id = wanted.id and r.version = wanted.version
 union all
select r.type, r.id, r.version, r.body
  from unnest($2::text[], $3::uuid[], $4::integer[]) as wanted (type, id, version)
  join resource_history r
    on r.org_id = $1 and r.type = wanted.type and r.id = wanted.id and r.version = wanted.version;

-- name: read_event
-- One event.
select id, created_at, type, resource_type, resource_id, version, patient_id, changed, message_id, mode, detail
  from event where org_id = $1 and id = $2;

-- name: claim_due
-- Rows of the schedule of one kind that are due, leased for $2 seconds (as chartwire_engine).
update schedule s
   set lease_until = now() + make_interval(secs => $2), fence = fence + 1
 where (org_id, id) in (
       select org_id, id from schedule
        where kind = $1 and due_at <= now() and (lease_until is null or lease_until < now())
        order by due_at limit $3 for update skip locked)
returning s.org_id, s.id, s.kind, s.fence;

-- name: schedule_again
-- The next time of a row of the schedule, under the fence of its claim; none where $4 is null.
update schedule set due_at = coalesce($4::timestamptz, 'infinity'), lease_until = null where org_id = $1 and id = $2 and fence = $3;

-- name: schedule_no_more
-- A row of the schedule has had its last time, under the fence of its claim.
delete from schedule where org_id = $1 and id = $2 and fence = $3;

-- name: schedule_at
-- A row of the schedule is due at $4, or earlier where it was due earlier.
insert into schedule (org_id, id, kind, due_at) values ($1, $2, $3, $4)
    on conflict (org_id, id) do update set due_at = least(schedule.due_at, excluded.due_at);

-- name: set_destination_notice
-- The step of the ladder that was told, as the next version.
update destination set notice = $3, version = version + 1 where org_id = $1 and id = $2 returning version;

-- name: disable_failing_destination
-- The last step of the ladder: nothing is sent there until its owner says so.
update destination
   set state = 'disabled', state_reason = 'failing', disabled_at = clock_timestamp()
 where org_id = $1 and id = $2 and state = 'enabled';

-- name: set_destination_probe
-- How a disabled endpoint answered when it was asked.
update destination set probed_at = $3, probe_answer = $4 where org_id = $1 and id = $2;

-- name: delivery_log
-- Deliveries, newest event first, with the name of their destination. Event ids carry their time: $9 to $10 bound it.
select d.event_id, d.destination_id, d.state, d.attempts, d.created_at, d.next_attempt_at, d.finished_at, d.message_id,
       d.replay_id, e.type, e.resource_type, e.resource_id, e.version, t.name as destination_name
  from delivery d
  left join event e on e.org_id = d.org_id and e.id = d.event_id
  left join destination t on t.org_id = d.org_id and t.id = d.destination_id
 where d.org_id = $1 and (d.event_id, d.destination_id) < ($2, $3) and d.event_id >= $9 and d.event_id < $10
   and ($4::text[] is null or d.state = any($4)) and ($5::uuid is null or d.destination_id = $5)
   and ($6::uuid is null or d.event_id = $6)
   and ($7::text[] is null or e.type = any($7) or split_part(e.type, '.', 1) || '.*' = any($7))
   and ($8::integer is null or exists (
        select 1 from delivery_attempt a
         where a.org_id = d.org_id and a.event_id = d.event_id and a.destination_id = d.destination_id
           and a.status = $8))
 order by d.event_id desc, d.destination_id desc limit $11;

-- name: read_delivery
-- One delivery with what it sends.
select d.event_id, d.destination_id, d.state, d.attempts, d.created_at, d.next_attempt_at, d.finished_at, d.message_id,
       d.replay_id, d.body, e.type, e.resource_type, e.resource_id, e.version, t.name as destination_name
  from delivery d
  left join event e on e.org_id = d.org_id and e.id = d.event_id
  left join destination t on t.org_id = d.org_id and t.id = d.destination_id
 where d.org_id = $1 and d.event_id = $2 and d.destination_id = $3;

-- name: delivery_attempts
-- Every attempt of these deliveries, in order, with the start of each answer.
select a.event_id, a.destination_id, a.number, a.started_at, a.outcome, a.status, a.duration_ms, a.error, a.response
  from unnest($2::uuid[], $3::uuid[]) as wanted (event_id, destination_id)
  join delivery_attempt a
    on a.org_id = $1 and a.event_id = wanted.event_id and a.destination_id = wanted.destination_id
 order by a.event_id, a.destination_id, a.number;

-- name: traffic_of
-- Attempts to one endpoint since a time, by outcome and duration.
select outcome, within_ms, sum(attempts)::bigint as attempts
  from webhook_traffic where org_id = $1 and destination_id = $2 and at >= $3
 group by outcome, within_ms order by within_ms;

-- name: open_deliveries_of
-- How many deliveries to one endpoint are open, and since when the oldest of them is due.
select count(*) as waiting, min(next_attempt_at) filter (where next_attempt_at <= now()) as due_since
  from delivery where org_id = $1 and destination_id = $2 and state in ('pending', 'retrying', 'unknown');

-- name: forget_traffic
-- Figures older than $2.
delete from webhook_traffic where org_id = $1 and at < $2;

-- name: insert_webhook_replay
-- A replay that begins.
insert into webhook_replay (org_id, id, destination_id, state, since, until, states, event_types, historical, cursor_id,
                            expected, seen, queued, created_by, finished_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12, $13, case when $4 = 'done' then now() end);

-- name: read_replay
-- One replay, and how its deliveries fare.
select r.*, t.name as destination_name
  from webhook_replay r left join destination t on t.org_id = r.org_id and t.id = r.destination_id
 where r.org_id = $1 and r.id = $2;

-- name: list_replays
-- Replays of one endpoint (of all where $3 is null), newest first.
select r.*, t.name as destination_name
  from webhook_replay r left join destination t on t.org_id = r.org_id and t.id = r.destination_id
 where r.org_id = $1 and r.id < $2 and ($3::uuid is null or r.destination_id = $3)
 order by r.id desc limit $4;

-- name: lock_replay
-- One replay, locked for its next step. It is settled once every transaction that ran when it began has ended: until
-- then one of them could add an event behind the cursor.
select *, bound_xid < pg_snapshot_xmin(pg_current_snapshot()) as settled
  from webhook_replay where org_id = $1 and id = $2 for update;

-- name: cancel_replay
-- Queue nothing more.
update webhook_replay set state = 'cancelled', finished_at = now()
 where org_id = $1 and id = $2 and state = 'running' returning id;

-- name: advance_replay
-- How far a replay came.
update webhook_replay
   set cursor_id = $3, seen = seen + $4, queued = queued + $5, state = case when $6 then 'done' else state end,
       finished_at = case when $6 then now() end
 where org_id = $1 and id = $2;

-- name: open_replay_deliveries
-- How many deliveries that replays queued for an endpoint are still open.
select count(*) from delivery
 where org_id = $1 and destination_id = $2 and replay_id is not null and state in ('pending', 'retrying', 'unknown');

-- name: events_to_replay
-- Events behind a cursor and before a bound, with the state of their delivery to one endpoint (`missing`: none was made).
select e.id, e.created_at, e.type, e.resource_type, e.resource_id, e.version, e.patient_id, e.changed, e.message_id,
       e.mode, e.detail, coalesce(d.state, 'missing') as delivery_state
  from event e left join delivery d on d.org_id = e.org_id and d.event_id = e.id and d.destination_id = $2
 where e.org_id = $1 and e.id > $3 and e.id < $4
 order by e.id limit $5;

-- name: count_events_to_replay
-- How many events of a range there are, by what decides whether they are replayed.
select e.type, e.resource_type, e.mode, coalesce(d.state, 'missing') as delivery_state, count(*) as events
  from event e left join delivery d on d.org_id = e.org_id and d.event_id = e.id and d.destination_id = $2
 where e.org_id = $1 and e.id > $3 and e.id < $4
 group by 1, 2, 3, 4;

-- name: queue_again
-- Deliveries are sent again under their id and body, from the beginning of the schedule.
update delivery
   set state = 'pending', next_attempt_at = clock_timestamp(), finished_at = null, replay_id = $4,
       attempts_before = attempts
 where org_id = $1 and destination_id = $2 and event_id = any($3::uuid[]);

-- name: queue_missing
-- Deliveries that were never made, queued by a replay.
insert into delivery (org_id, event_id, destination_id, state, next_attempt_at, created_at, message_id, body, order_key,
                      replay_id)
select $1, d.event_id, $2, 'pending', clock_timestamp(), d.created_at, d.message_id, d.body, d.order_key, $3
  from unnest($4::uuid[], $5::timestamptz[], $6::uuid[], $7::bytea[], $8::uuid[])
       as d (event_id, created_at, message_id, body, order_key)
    on conflict do nothing;
