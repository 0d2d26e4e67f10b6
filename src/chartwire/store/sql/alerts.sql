-- name: alert_rules_of
-- The rules that an organisation wrote, by name; one alone where $2.
select id, name, settings, version, created_at, updated_at from alert_rule
 where org_id = $1 and ($2::uuid is null or id = $2) order by name;

-- name: insert_alert_rule
-- A rule; no row where there is one of its name.
insert into alert_rule (org_id, id, name, settings) values ($1, $2, $3, $4)
    on conflict (org_id, name) do nothing
returning id;

-- name: change_alert_rule
-- New settings of a rule, where it still has the version $5 (any for null).
update alert_rule set name = $3, settings = $4, version = version + 1, updated_at = now()
 where org_id = $1 and id = $2 and ($5::integer is null or version = $5)
returning version;

-- name: delete_alert_rule
-- A rule is no more, where it still has the version $3 (any for null).
delete from alert_rule where org_id = $1 and id = $2 and ($3::integer is null or version = $3) returning id;

-- name: alert_channel_names
-- The channels that are not switched off, by name.
select id, name from alert_channel where org_id = $1 and state = 'enabled' order by name;

-- name: insert_alert_notice
-- A notice on its way, due at $6.
insert into alert_notice (org_id, id, alert_id, channel_id, kind, send_at) values ($1, $2, $3, $4, $5, $6);

-- name: withdraw_waiting_notices
-- Notices of an alert that wait for opening hours ($3 is now) and that nobody has tried to send.
update alert_notice set state = 'withdrawn', finished_at = $3
 where org_id = $1 and alert_id = $2 and state = 'pending' and attempts = 0 and send_at > $3;

-- name: channels_told
-- The channels that were told of an alert, or are just being told.
select distinct channel_id from alert_notice
 where org_id = $1 and alert_id = $2 and kind in ('start', 'escalation', 'reminder') and state in ('pending', 'sent')
 order by channel_id;

-- name: list_alerts
-- Alerts before the id $2, in the states $3, of a rule and a severity where not null; the newest first.
select id, rule, key, state, severity, summary, value, since, seen_at, fired_at, recovered_at, acknowledged_at,
       acknowledged_by, note, snoozed_until, escalated
  from alert
 where org_id = $1 and id < $2 and state = any($3::text[])
   and ($4::text is null or rule = $4) and ($5::text is null or severity = $5)
 order by id desc limit $6;

-- name: lock_alert
-- One alert, for one who changes it.
select id, rule, key, state, severity, summary, value, since, seen_at, fired_at, recovered_at, acknowledged_at,
       acknowledged_by, note, snoozed_until, escalated
  from alert where org_id = $1 and id = $2 for update;

-- name: acknowledge_alert
-- Somebody knows of an alert; the first one stays named.
update alert
   set state = 'acknowledged', acknowledged_at = coalesce(acknowledged_at, $3),
       acknowledged_by = coalesce(acknowledged_by, $4), note = coalesce($5, note)
 where org_id = $1 and id = $2;

-- name: snooze_alert
-- Nobody is reminded of an alert before $3.
update alert set snoozed_until = $3 where org_id = $1 and id = $2;

-- name: open_alerts
-- Every bout that is not over, for the evaluator.
select id, rule, key, state, severity, summary, value, since, seen_at, fired_at, well_since, recovered_at,
       snoozed_until, escalated, reminded_at
  from alert where org_id = $1 and state in ('pending', 'firing', 'acknowledged') order by id for update;

-- name: write_alert
-- A bout after a look, new or changed; what people said about it stays.
insert into alert (org_id, id, rule, key, state, severity, summary, value, since, seen_at, fired_at, well_since,
                   recovered_at, snoozed_until, escalated, reminded_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
    on conflict (org_id, id) do update
   set state = excluded.state, severity = excluded.severity, summary = excluded.summary, value = excluded.value,
       seen_at = excluded.seen_at, fired_at = excluded.fired_at, well_since = excluded.well_since,
       recovered_at = excluded.recovered_at, escalated = excluded.escalated, reminded_at = excluded.reminded_at;

-- name: attend_feeds
-- The feeds that may send are looked at, at $2; the watch of one that was last looked at before $3 was broken since.
insert into feed_watch as w (org_id, source_id, since, looked_at)
select $1, s.id, $2, $2 from source s
 where s.org_id = $1 and s.retired_at is null and not s.paused and not s.on_hold
    on conflict (org_id, source_id) do update
   set since = case when w.looked_at < $3 then excluded.since else w.since end,
       broken_from = case when w.looked_at < $3 then w.looked_at else w.broken_from end,
       looked_at = excluded.looked_at;

-- name: feeds_to_learn
-- At most $5 feeds that are watched at $4, with slots to learn before $2; of one that is new, when its first message from
-- the id $3 on came.
select s.id as source_id, coalesce(s.settings::json ->> 'timezone', 'UTC') as zone, w.since, w.broken_from,
       r.counted_until, r.means, r.variances, r.weeks, first.received_at as first_at
  from source s
  join feed_watch w on w.org_id = s.org_id and w.source_id = s.id
  left join feed_rhythm r on r.org_id = s.org_id and r.source_id = s.id
  left join lateral (
        select m.received_at from message m
         where r.source_id is null and m.org_id = $1 and m.source_id = s.id and m.id >= $3 and m.parent_id is null
         order by m.id limit 1) as first on true
 where s.org_id = $1 and w.looked_at = $4 and (r.counted_until < $2 or first.received_at < $2)
 order by r.counted_until nulls first, s.id limit $5;

-- name: count_arrivals
-- Messages of a feed by slot, those that came from $5 until $6; ids from $3 until $4 hold them. Replays did not come.
select date_bin('15 minutes', received_at, 'epoch') as slot, count(*) as messages from message
 where org_id = $1 and source_id = $2 and id >= $3 and id < $4 and received_at >= $5 and received_at < $6
   and parent_id is null
 group by 1;

-- name: write_rhythm
-- What a feed usually does, learned until $6.
insert into feed_rhythm (org_id, source_id, means, variances, weeks, counted_until) values ($1, $2, $3, $4, $5, $6)
    on conflict (org_id, source_id) do update
   set means = excluded.means, variances = excluded.variances, weeks = excluded.weeks,
       counted_until = excluded.counted_until;

-- name: feed_silences
-- Feeds that may send and have sent: since when they are watched, and when the last message came.
select s.id as source_id, s.name, coalesce(s.settings::json ->> 'timezone', 'UTC') as zone, w.since,
       last.received_at as last_at
  from source s
  join feed_watch w on w.org_id = s.org_id and w.source_id = s.id
 cross join lateral (
        select m.received_at from message m
         where m.org_id = $1 and m.source_id = s.id and m.parent_id is null order by m.id desc limit 1) as last
 where s.org_id = $1 and s.retired_at is null and not s.paused and not s.on_hold
 order by s.id;

-- name: rhythms_of
-- What these feeds usually do.
select source_id, means, variances, weeks from feed_rhythm where org_id = $1 and source_id = any($2::uuid[]);

-- name: usual_now
-- The mean of one slot a feed, of feeds that learned at least $4 slots and usually send in that slot.
select r.source_id, r.means[i.slot + 1]::double precision as mean
  from unnest($2::uuid[], $3::integer[]) as i (source_id, slot)
  join feed_rhythm r on r.org_id = $1 and r.source_id = i.source_id
 where r.means[i.slot + 1] > 0 and (select count(*) from unnest(r.weeks) as w where w >= 1) >= $4;

-- name: enroll_organisations
-- Have every organisation looked at in rounds of its own; nothing for those that are.
insert into schedule (org_id, id, kind, due_at)
select r.org_id, $1, $2, now() from route r where r.kind = 'organisation'
    on conflict (org_id, id) do nothing;

-- name: take_turn
-- The next round of an organisation, under the fence of this one's claim; no row where another took it over.
update schedule set due_at = $4, lease_until = null where org_id = $1 and id = $2 and fence = $3 returning fence;

-- name: halted_feeds
-- Feeds that a person halted, without an end.
select h.source_id, s.name, h.mode, h.since
  from source_halt h join source s on s.org_id = h.org_id and s.id = h.source_id
 where h.org_id = $1 and h.window_id = '00000000-0000-0000-0000-000000000000' and h.until is null
   and s.retired_at is null
 order by h.source_id, h.mode;

-- name: ack_errors
-- Feeds with at least $3 messages from the id $2 on that were answered with an error, and how many came (up to $4).
select e.source_id, s.name, e.errors,
       greatest(e.errors, (select count(*) from (
           select 1 from message m where m.org_id = $1 and m.source_id = e.source_id and m.id >= $2 limit $4
       ) as few)) as messages
  from (select source_id, count(*) as errors from message
         where org_id = $1 and state = 'dead' and id >= $2 and ack_code in ('AE', 'AR', 'CE', 'CR')
         group by source_id having count(*) >= $3) as e
  join source s on s.org_id = $1 and s.id = e.source_id;

-- name: last_heads
-- The first $4 bytes of the last $3 messages of each feed, of those from the id $2 on.
select s.id as source_id, s.name, s.settings::json ->> 'timezone' as zone, last.received_at, last.head
  from source s
 cross join lateral (
        select m.received_at, substring(b.raw from 1 for $4) as head
          from message m join message_body b on b.org_id = m.org_id and b.id = m.id
         where m.org_id = $1 and m.source_id = s.id and m.id >= $2 and m.parent_id is null
         order by m.id desc limit $3) as last
 where s.org_id = $1 and s.retired_at is null;

-- name: oldest_waiting
-- When the oldest message came that waits in a lane which nothing holds; the $2 lanes that wait longest are looked at.
select min(m.received_at)
  from (select lane_id from lane
         where org_id = $1 and kind = 'intake' and ready_at < 'infinity' order by ready_at limit $2) as l
 cross join lateral (
        select message_id from job where org_id = $1 and lane_id = l.lane_id order by seq limit 1) as j
  join message m on m.org_id = $1 and m.id = j.message_id;

-- name: dead_by_feed
-- Open dead letters by feed.
select m.source_id, coalesce(s.name, 'unknown') as name, count(*) as messages
  from message m left join source s on s.org_id = m.org_id and s.id = m.source_id
 where m.org_id = $1 and m.state = 'dead' and m.decision is null
 group by m.source_id, s.name order by m.source_id;

-- name: dead_causes
-- Open causes of dead letters, at most $2 of them, those with most messages first.
select dead_letter_fingerprint(m.source_id, m.event, m.error_code, m.error_location) as fingerprint,
       count(*) as messages, m.event, m.error_code, coalesce(min(s.name), 'unknown') as name
  from message m left join source s on s.org_id = m.org_id and s.id = m.source_id
 where m.org_id = $1 and m.state = 'dead' and m.decision is null
 group by 1, m.event, m.error_code order by 2 desc, 1 limit $2;

-- name: open_cases
-- How many cases are open, up to $2.
select count(*) from (select 1 from review where org_id = $1 and state = 'open' limit $2) as counted;

-- name: oldest_held_by_case
-- Since when a lane has waited for the decision of a case; null where none does.
select min(since) from lane_hold where org_id = $1 and review_id is not null;

-- name: failing_endpoints
-- Endpoints that are switched on and without a success since.
select id, name, failing_since as since from destination
 where org_id = $1 and deleted_at is null and state = 'enabled' and failing_since is not null order by id;

-- name: disabled_endpoints
-- Endpoints that were switched off by what they answered.
select id, name, state_reason, disabled_at as since from destination
 where org_id = $1 and deleted_at is null and state = 'disabled' and state_reason in ('failing', 'gone')
   and disabled_at is not null
 order by id;

-- name: overdue_deliveries
-- By endpoint, since when its oldest delivery has been due at $2.
select d.id, d.name, due.next_attempt_at as since
  from destination d
 cross join lateral (
        select next_attempt_at from delivery
         where org_id = $1 and destination_id = d.id and state in ('pending', 'retrying', 'unknown')
         order by next_attempt_at limit 1) as due
 where d.org_id = $1 and d.deleted_at is null and d.state = 'enabled' and due.next_attempt_at <= $2
 order by d.id;

-- name: keys_that_end
-- Keys with an end after $2 that were not withdrawn. `credential` has no row-level security: the organisation is named.
select c.credential_id, l.name, c.last_four, c.expires_at
  from credential c left join credential_label l on l.org_id = c.org_id and l.credential_id = c.credential_id
 where c.org_id = $1 and c.revoked_at is null and c.expires_at > $2
 order by c.credential_id;

-- name: drop_alert
-- A bout that nobody was told of.
delete from alert where org_id = $1 and id = $2;

-- name: forget_alerts
-- Alerts that began before $2 and are over, with their notices.
with gone as (
    delete from alert where org_id = $1 and since < $2 and state = 'recovered' returning id
)
delete from alert_notice n using gone where n.org_id = $1 and n.alert_id = gone.id;

-- name: observe_alerts
-- How many alerts of this organisation burn, by severity.
select severity, count(*) as alerts from alert
 where state in ('firing', 'acknowledged') group by severity;

-- name: observe_alert_rounds
-- For how many seconds the organisation that waits longest has been due to be looked at (as chartwire_engine).
select coalesce(extract(epoch from greatest(now() - min(due_at), interval '0')), 0)::double precision
  from schedule where kind = 'alerts';
