-- name: alert_channels_of
-- One channel, or for null every one, by name; without what is sealed.
select id, name, kind, settings, state, secret_names, version, created_at, updated_at
  from alert_channel where org_id = $1 and (id = $2 or $2::uuid is null) order by name;

-- name: sealed_of_alert_channel
-- The sealed secrets of a channel, locked for a change.
select sealed from alert_channel where org_id = $1 and id = $2 for update;

-- name: insert_alert_channel
-- A new channel; no row where the organisation has one of this name.
insert into alert_channel (org_id, id, name, kind, settings, state, sealed, secret_names)
values ($1, $2, $3, $4, $5, $6, $7, $8)
    on conflict (org_id, name) do nothing
returning id;

-- name: change_alert_channel
-- A channel as it now is; no row where it is not of version $9 any more.
update alert_channel
   set name = $3, kind = $4, settings = $5, state = $6, sealed = $7, secret_names = $8, version = version + 1,
       updated_at = now()
 where org_id = $1 and id = $2 and version = $9
returning id;

-- name: delete_alert_channel
-- A channel goes, its secrets with it.
delete from alert_channel where org_id = $1 and id = $2;

-- name: withdraw_notices_of_channel
-- Nothing that waits is sent to a channel that goes.
update alert_notice set state = 'withdrawn', finished_at = now(), error = 'channel_gone'
 where org_id = $1 and channel_id = $2 and state = 'pending';

-- name: alert_rules_that_name
-- The rules that tell the channel named $2, at first or by a step.
select name from alert_rule
 where org_id = $1
   and (settings::jsonb -> 'channels' ? $2
        or exists (select 1 from jsonb_array_elements(settings::jsonb -> 'escalation') step
                    where step -> 'channels' ? $2))
 order by name;

-- name: claim_notices
-- Up to $3 notices that are due at $2, leased until $4, with all that a channel tells. One waits while an earlier one of
-- its bout to its channel is due or being tried: a recovery never overtakes its start.
with due as (
    select n.id, n.alert_id, n.channel_id
      from alert_notice n
     where n.org_id = $1 and n.state = 'pending' and n.send_at <= $2
       and not exists (select 1 from alert_notice earlier
                        where earlier.org_id = $1 and earlier.alert_id = n.alert_id
                          and earlier.channel_id = n.channel_id and earlier.id < n.id and earlier.state = 'pending'
                          and (earlier.attempts > 0 or earlier.send_at <= $2))
     order by n.id limit $3 for update of n skip locked
), claimed as (
    update alert_notice n set attempts = attempts + 1, send_at = $4
      from due where n.org_id = $1 and n.id = due.id
    returning n.id, n.alert_id, n.channel_id, n.kind, n.attempts, n.created_at
)
select d.id, d.alert_id, d.channel_id, d.kind, d.attempts, d.created_at, a.rule, a.key, a.severity, a.summary, a.since,
       a.note, a.recovered_at, a.acknowledged_at, coalesce(r.settings::jsonb ->> 'kind', a.rule) as rule_kind,
       o.name as organisation, c.kind as channel_kind, c.settings, c.sealed,
       c.state as channel_state
  from claimed d
  join alert a on a.org_id = $1 and a.id = d.alert_id
  join organisation o on o.org_id = $1
  left join alert_rule r on r.org_id = $1 and r.name = a.rule
  left join alert_channel c on c.org_id = $1 and c.id = d.channel_id
 order by d.id;

-- name: settle_notice
-- What came of try $3 of a notice, and when the next one is due; nothing where it was taken by another or withdrawn meanwhile.
update alert_notice
   set state = $4, error = $5, send_at = coalesce($6, now()), finished_at = case when $4 <> 'pending' then now() end
 where org_id = $1 and id = $2 and attempts = $3 and state = 'pending';

-- name: notices_of_alert
-- What people were told of an alert, the first first.
select n.id, n.kind, n.state, n.send_at, n.attempts, n.error, n.created_at, n.finished_at, n.channel_id,
       c.name as channel_name
  from alert_notice n left join alert_channel c on c.org_id = $1 and c.id = n.channel_id
 where n.org_id = $1 and n.alert_id = $2 order by n.id limit $3;

-- name: channel_for_test
-- A channel with what is sealed, and the name of its organisation.
select c.id as channel_id, c.kind as channel_kind, c.settings, c.sealed, o.name as organisation
  from alert_channel c join organisation o on o.org_id = $1
 where c.org_id = $1 and c.id = $2;
