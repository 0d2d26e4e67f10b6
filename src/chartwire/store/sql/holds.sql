-- name: sources_on_hold
-- Which of these sources are on hold, under a shared lock of each until the transaction ends.
select sources_on_hold as id from sources_on_hold($1, $2::uuid[]);

-- name: lock_open_reviews
-- Which of these cases are open; whoever decides one waits until the transaction ends.
select id from review where org_id = $1 and id = any($2::uuid[]) and state = 'open' order by id for share;

-- name: case_of_lanes
-- An open case for which one of these lanes waits.
select h.review_id from lane_hold h
  join review r on r.org_id = $1 and r.id = h.review_id and r.state = 'open'
 where h.org_id = $1 and h.lane_id = any($2::uuid[]) limit 1;

-- name: hold_lanes
-- Park lanes; run after lock_lanes.
select hold_lanes($1, $2::uuid[], $3::uuid[], $4::uuid[]);

-- name: lock_source
-- Wait until nobody carries messages of a source, and keep it so until the transaction ends.
select pg_advisory_xact_lock(source_lock_key($1));

-- name: insert_halt
-- One reason why a source stands still. The same one again only tells its reason and end anew.
insert into source_halt (org_id, source_id, mode, window_id, reason, actor, since, until)
values ($1, $2, $3, $4, $5, $6, $7, $8)
    on conflict (org_id, source_id, mode, window_id) do update
   set reason = excluded.reason, actor = excluded.actor, until = excluded.until;

-- name: delete_halt
-- One reason less.
delete from source_halt where org_id = $1 and source_id = $2 and mode = $3 and window_id = $4;

-- name: apply_halts
-- Whether a source stands still, by the reasons that there are; no row where there is no such source.
update source s
   set on_hold = exists (select 1 from source_halt h
                          where h.org_id = $1 and h.source_id = $2 and h.mode = 'hold'),
       paused = exists (select 1 from source_halt h
                         where h.org_id = $1 and h.source_id = $2 and h.mode = 'pause')
 where s.org_id = $1 and s.id = $2
returning s.id;

-- name: halts_of_organisation
-- Why sources stand still; of one source where $2 names it.
select source_id, mode, window_id, reason, actor, since, until from source_halt
 where org_id = $1 and ($2::uuid is null or source_id = $2) order by source_id, mode, since;

-- name: source_standing
-- Whether a source stands still.
select id, name, on_hold, paused from source where org_id = $1 and id = $2;

-- name: source_ids
-- The sources of an organisation.
select id from source where org_id = $1 order by id;

-- name: lanes_to_free
-- Lanes whose source is on hold no more, or whose case is decided.
select h.lane_id from lane_hold h
 where h.org_id = $1
   and not exists (select 1 from source s where s.org_id = $1 and s.id = h.source_id and s.on_hold)
   and not exists (select 1 from review r where r.org_id = $1 and r.id = h.review_id and r.state = 'open')
 order by h.lane_id limit $2;

-- name: free_lanes
-- Lanes wait no more; run after lock_lanes.
with gone as (
    delete from lane_hold where org_id = $1 and lane_id = any($2::uuid[]) returning lane_id
)
update lane l set ready_at = least(l.ready_at, now()) from gone where l.lane_id = gone.lane_id;

-- name: unmark_released
-- Messages of sources that are on hold no more show as received again, up to $2.
update message m
   set state = 'received', error_code = null, error_text = null
  from (select w.id from source s
         cross join lateral (
                select id from message
                 where org_id = $1 and source_id = s.id and state = 'held' and error_code = 'source_on_hold'
                 order by id limit $2) as w
         where s.org_id = $1 and not s.on_hold limit $2) as waiting
 where m.org_id = $1 and m.id = waiting.id and m.state = 'held' and m.error_code = 'source_on_hold';

-- name: schedule_holds
-- Have the holds and windows of an organisation looked at, at $3 at the latest.
insert into schedule (org_id, id, kind, due_at) values ($1, $2, 'holds', $3)
    on conflict (org_id, id) do update
   set due_at = least(schedule.due_at, excluded.due_at), fence = schedule.fence + 1;

-- name: claim_due_holds
-- Organisations whose holds are due at $1, taken for half a minute (as chartwire_engine).
with due as (
    select org_id, id from schedule where kind = 'holds' and due_at <= $1 order by due_at limit 20
       for update skip locked
)
update schedule s set due_at = $1::timestamptz + interval '30 s'
  from due where s.org_id = due.org_id and s.id = due.id
returning s.org_id, s.fence;

-- name: schedule_holds_next
-- The next look, unless somebody has asked for one meanwhile.
update schedule set due_at = $4 where org_id = $1 and id = $2 and fence = $3;

-- name: windows_of_organisation
-- Every maintenance window of an organisation.
select id, source_id, mode, starts_at, ends_at, weekly_zone, reason, actor, created_at
  from maintenance_window where org_id = $1 order by id;

-- name: list_windows
-- Maintenance windows, newest first.
select id, source_id, mode, starts_at, ends_at, weekly_zone, reason, actor, created_at
  from maintenance_window where org_id = $1 and id < $2 and ($3::uuid is null or source_id = $3)
 order by id desc limit $4;

-- name: read_window
-- One maintenance window.
select id, source_id, mode, starts_at, ends_at, weekly_zone, reason, actor, created_at
  from maintenance_window where org_id = $1 and id = $2;

-- name: write_window
-- A maintenance window, new or changed.
insert into maintenance_window (org_id, id, source_id, mode, starts_at, ends_at, weekly_zone, reason, actor, created_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
    on conflict (org_id, id) do update
   set source_id = excluded.source_id, mode = excluded.mode, starts_at = excluded.starts_at,
       ends_at = excluded.ends_at, weekly_zone = excluded.weekly_zone, reason = excluded.reason, actor = excluded.actor;

-- name: delete_window
-- A maintenance window is no more.
delete from maintenance_window where org_id = $1 and id = $2;

-- name: lanes_that_wait
-- Lanes with work, those with the oldest message first: what stands at their head, and what keeps it; where $2 names a
-- source, lanes in which messages of it wait. Found by the oldest 50,000 messages that wait and that are held; those of a lane are counted
-- up to 1,001.
with waiting as (
    (select id, lane_id from message
      where org_id = $1 and state = 'received' and ($2::uuid is null or source_id = $2) order by id limit 50000)
    union all
    (select id, lane_id from message
      where org_id = $1 and state = 'held' and error_code in ('source_on_hold', 'waits_for_review')
        and ($2::uuid is null or source_id = $2) order by id limit 50000)
), oldest as (
    select lane_id from (select distinct on (lane_id) lane_id, id from waiting order by lane_id, id) as first
     order by id limit $3
)
select l.lane_id, l.owner is not null and l.lease_until > now() as in_work, l.lease_until, l.attempts,
       nullif(l.not_before, '-infinity') as retries_at, l.ready_at = 'infinity' as parked,
       j.message_id, j.ticket_lanes, m.source_id, m.event, m.received_at,
       h.source_id as held_source, h.review_id as held_review,
       (select count(*)
          from (select 1 from job w where w.org_id = $1 and w.lane_id = l.lane_id limit 1001) as counted) as waiting
  from oldest o
  join lane l on l.lane_id = o.lane_id
 cross join lateral (
        select message_id, ticket_lanes from job where org_id = $1 and lane_id = l.lane_id order by seq limit 1) as j
  left join message m on m.org_id = $1 and m.id = j.message_id
  left join lane_hold h on h.org_id = $1 and h.lane_id = l.lane_id
 order by m.received_at nulls first, l.lane_id;

-- name: count_waiting
-- Messages that wait and their lanes, up to 100,000 messages counted, and the oldest; of one source where $2 names it.
select count(*) as messages, count(distinct lane_id) as lanes, min(received_at) as oldest
  from ((select lane_id, received_at from message
          where org_id = $1 and state = 'received' and ($2::uuid is null or source_id = $2) order by id limit 100000)
        union all
        (select lane_id, received_at from message
          where org_id = $1 and state = 'held' and error_code in ('source_on_hold', 'waits_for_review')
            and ($2::uuid is null or source_id = $2) order by id limit 100000)
        limit 100000) as counted;
