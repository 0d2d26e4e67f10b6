-- name: commits_wait_for_backup
-- Every commit waits until the backup has it on disk (as a superuser; in force after reload_configuration).
alter system set synchronous_standby_names = 'chartwire_backup';

-- name: commits_wait_for_nobody
-- A commit waits for this server's disk only.
alter system reset synchronous_standby_names;

-- name: reload_configuration
-- Take up what alter system changed.
select pg_reload_conf();

-- name: log_flushed
-- How far the log is on this server's disk, as bytes from its beginning.
select (pg_current_wal_flush_lsn() - '0/0'::pg_lsn)::bigint;

-- name: backup_slots
-- Whether there is a slot of this name.
select count(*) from pg_replication_slots where slot_name = $1 and not active;

-- name: applied_migrations
-- What has made this schema.
select name, sha256 from chartwire_migration order by name;

-- name: recovered_until
-- Time of the last commit that the recovery applied, and the position where it ended.
select pg_last_xact_replay_timestamp() as last_commit, (pg_last_wal_replay_lsn() - '0/0'::pg_lsn)::bigint as lsn;

-- name: recovered_rows
-- How much there is of what matters, over all organisations (as a superuser).
select (select count(*) from organisation) as organisations, (select count(*) from message) as messages,
       (select count(*) from resource) as resources, (select count(*) from event) as events,
       (select count(*) from delivery) as deliveries, (select count(*) from audit) as audit_rows;
