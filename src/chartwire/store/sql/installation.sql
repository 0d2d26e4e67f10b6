-- name: database_identity
-- What tells this database from a copy of it elsewhere: its cluster, and its number within the cluster.
select s.system_identifier::text || '/' || d.oid::text
  from pg_control_system() s, pg_database d where d.datname = current_database();

-- name: read_installation
-- Whether this installation may speak, and since when and why (not).
select fingerprint, armed, reason, changed_at, disarmed_at from installation where org_id = $1 and id = $1;

-- name: first_installation
-- A database that was never armed belongs to the first that starts on it.
insert into installation (org_id, id, fingerprint, armed, reason) values ($1, $1, $2, true, 'new')
on conflict do nothing;

-- name: disarm_stranger
-- Disarm when the row was armed for another fingerprint than $2.
update installation set armed = false, reason = 'copied', changed_at = now(), disarmed_at = now()
 where org_id = $1 and id = $1 and armed and fingerprint <> $2;

-- name: disarm_installation
-- Nothing leaves from now on; $2 says why.
insert into installation (org_id, id, fingerprint, armed, reason, disarmed_at) values ($1, $1, '', false, $2, now())
on conflict (org_id, id) do update
   set armed = false, reason = excluded.reason, changed_at = now(),
       disarmed_at = case when installation.armed then now() else installation.disarmed_at end;

-- name: arm_installation
-- From now on it may speak, as long as it has the fingerprint $2.
update installation set armed = true, reason = 'by_operator', fingerprint = $2, changed_at = now()
 where org_id = $1 and id = $1;

-- name: deliveries_in_question
-- By endpoint: open deliveries from before $2.
select d.destination_id, t.name, count(*) as open, min(d.created_at) as oldest, max(d.created_at) as newest
  from delivery d join destination t on t.org_id = d.org_id and t.id = d.destination_id
 where d.org_id = $1 and d.state in ('pending', 'retrying', 'unknown') and d.created_at < $2
 group by d.destination_id, t.name order by d.destination_id;

-- name: give_up_deliveries
-- Up to $3 open deliveries from before $2 become dead, with the reason as their last attempt; answers how many.
with chosen as (
    select event_id, destination_id, attempts from delivery
     where org_id = $1 and state in ('pending', 'retrying', 'unknown') and created_at < $2
     order by event_id limit $3 for update
), ended as (
    update delivery d set state = 'dead', attempts = c.attempts + 1, finished_at = now()
      from chosen c where d.org_id = $1 and d.event_id = c.event_id and d.destination_id = c.destination_id
    returning d.event_id, d.destination_id, d.attempts
), noted as (
    insert into delivery_attempt (org_id, event_id, destination_id, number, started_at, outcome, duration_ms, error)
    select $1, event_id, destination_id, attempts, now(), 'dead', 0, 'restored' from ended
)
select count(*) from ended;
