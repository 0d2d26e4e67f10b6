-- name: server_settings
-- Settings of the server in force here, of those that $1 names.
select name, setting from pg_settings where name = any($1::text[]);

-- name: database_clock
-- The instant of the server's clock.
select clock_timestamp();

-- name: partitions_wanting
-- Tables partitioned by month: whether the month $1 (YYYY_MM) has no partition, and whether rows lie in the default one,
-- as far as the server's statistics know.
select c.relname::text as name, to_regclass(format('public.%s_%s', c.relname, $1::text)) is null as without_next,
       t.partdefid <> 0 and pg_stat_get_live_tuples(t.partdefid) > 0 as spilled
  from pg_partitioned_table t
  join pg_class c on c.oid = t.partrelid
  join pg_attribute key on key.attrelid = c.oid and key.attnum = t.partattrs[0]
 where t.partstrat = 'r' and t.partnatts = 1 and key.atttypid = 'uuid'::regtype
   and c.relnamespace = 'public'::regnamespace
 order by c.relname;

-- name: server_load
-- Sessions of all databases and how many there may be; the oldest open transaction that this role may see, in seconds;
-- transactions since rows of this database were last frozen.
select (select coalesce(sum(numbackends), 0)::integer from pg_stat_database) as sessions,
       current_setting('max_connections')::integer as sessions_max,
       (select coalesce(extract(epoch from now() - min(xact_start)), 0)::float8 from pg_stat_activity
         where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend') as transaction_s,
       (select age(datfrozenxid) from pg_database where datname = current_database()) as unfrozen;

-- name: tables_of_dead_rows
-- Tables with more dead rows than live ones, and with many: vacuum does not keep up.
select relname::text as name, n_live_tup as live, n_dead_tup as dead, last_autovacuum
  from pg_stat_user_tables where n_dead_tup > 100000 and n_dead_tup > n_live_tup order by n_dead_tup desc limit 20;

-- name: slots_behind
-- Receivers of the log that are away, and the bytes of the log that are kept for them.
select slot_name::text as name, coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::bigint as bytes
  from pg_replication_slots where not active order by 1;

-- name: lane_leases
-- Who holds these lanes and until when; `session` is the server process by which its owner shows life, null for a dead one
-- (as chartwire_engine).
select l.lane_id, l.owner, l.lease_until, a.pid as session, a.application_name as program, host(a.client_addr) as address,
       a.state_change as last_sign
  from lane l
  left join pg_locks k on k.locktype = 'advisory' and k.granted and k.objsubid = 1
                      and k.database = (select oid from pg_database where datname = current_database())
                      and (k.classid::bigint << 32 | k.objid::bigint) = l.owner
  left join pg_stat_activity a on a.pid = k.pid
 where l.lane_id = any($1::uuid[]) and l.owner is not null;

-- name: endpoints_standing
-- Endpoints of an organisation: how they stand, what is open for them, and the last attempt of the oldest open delivery.
select d.id, d.name, d.state, d.state_reason, d.failing_since, d.disabled_at,
       w.waiting, w.due_since, oldest.event_id, a.started_at as tried_at, a.outcome, a.status, a.error
  from destination d
 cross join lateral (
       select count(*) as waiting, min(next_attempt_at) filter (where next_attempt_at <= now()) as due_since
         from delivery where org_id = $1 and destination_id = d.id and state in ('pending', 'retrying', 'unknown')) as w
  left join lateral (
       select event_id from delivery
        where org_id = $1 and destination_id = d.id and state in ('pending', 'retrying', 'unknown')
        order by event_id limit 1) as oldest on true
  left join lateral (
       select started_at, outcome, status, error from delivery_attempt
        where org_id = $1 and event_id = oldest.event_id and destination_id = d.id order by number desc limit 1) as a on true
 where d.org_id = $1 and d.deleted_at is null order by d.id;

-- name: oldest_in_ledger
-- When the oldest entry of the intake ledger came.
select min(received_at) from intake_key where org_id = $1;
