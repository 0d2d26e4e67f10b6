-- name: bound_statement_time
-- No statement of this transaction takes longer than 15 s.
select set_config('statement_timeout', '15000', true);

-- name: hours_of_messages
-- What became of messages, by hour of arrival (UTC), from the id $2 on.
select to_char(received_at at time zone 'utc', 'YYYY-MM-DD"T"HH24') as hour, source_id, state, count(*) as messages
  from message where org_id = $1 and id >= $2 group by 1, 2, 3 order by 1, 2, 3;

-- name: hours_of_deliveries
-- What became of deliveries, by hour of their event (UTC), from the event id $2 on.
select to_char(created_at at time zone 'utc', 'YYYY-MM-DD"T"HH24') as hour, destination_id, state, count(*) as deliveries
  from delivery where org_id = $1 and event_id >= $2 group by 1, 2, 3 order by 1, 2, 3;

-- name: dead_by_code
-- Dead messages by the code of their error.
select coalesce(error_code, '') as code, count(*) as messages
  from message where org_id = $1 and state = 'dead' group by 1 order by 2 desc, 1;

-- name: open_reviews_by_kind
-- Cases that wait for a decision.
select kind, count(*) as cases, min(created_at) as oldest from review
 where org_id = $1 and state = 'open' group by kind order by kind;

-- name: lanes_by_standing
-- Lanes of all organisations by kind: all, ready, leased, backing off (as chartwire_engine).
select kind, count(*) as lanes, count(*) filter (where ready_at <= now()) as ready,
       count(*) filter (where lease_until > now()) as leased, count(*) filter (where not_before > now()) as backing_off
  from lane group by kind order by kind;

-- name: table_statistics
-- Every table: rows, scans, and when it was cleaned last.
select s.relname::text as name, pg_total_relation_size(s.relid) as bytes, n_live_tup as live, n_dead_tup as dead,
       seq_scan, seq_tup_read, coalesce(idx_scan, 0) as idx_scan, n_tup_ins, n_tup_upd, n_tup_hot_upd, n_tup_del,
       last_autovacuum, last_autoanalyze
  from pg_stat_user_tables s where s.schemaname = 'public' order by 1;

-- name: index_statistics
-- Every index: size and how often it was used.
select s.indexrelname::text as name, s.relname::text as "table", pg_relation_size(s.indexrelid) as bytes, s.idx_scan
  from pg_stat_user_indexes s where s.schemaname = 'public' order by 1;

-- name: changed_settings
-- Settings of the server that are not at their defaults, those that hold paths, names or commands left out.
select name, setting, unit from pg_settings
 where source <> 'default' and vartype in ('bool', 'integer', 'real', 'enum') order by name;
