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
