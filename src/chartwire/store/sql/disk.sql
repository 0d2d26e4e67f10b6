-- name: table_sizes
-- Bytes of every table with its indexes and out-of-line values; a partition counts for the table at its top.
select coalesce(pg_partition_root(c.oid)::regclass::text, c.relname) as name, sum(pg_total_relation_size(c.oid))::bigint as bytes
  from pg_class c
 where c.relnamespace = 'public'::regnamespace and c.relkind = 'r'
 group by 1;

-- name: database_size
-- Bytes of this database on disk.
select pg_database_size(current_database());

-- name: sample_rows
-- What came in between two ids ($2 at least, less than $3): messages with their raw bytes, events, deliveries, audit rows.
select (select count(*) from message where org_id = $1 and id >= $2 and id < $3) as messages,
       (select coalesce(sum(body_bytes), 0)::bigint from message where org_id = $1 and id >= $2 and id < $3) as message_bytes,
       (select count(*) from event where org_id = $1 and id >= $2 and id < $3) as events,
       (select count(*) from delivery where org_id = $1 and event_id >= $2 and event_id < $3) as deliveries,
       (select count(*) from audit where org_id = $1 and id >= $2 and id < $3) as audit;

-- name: keep_sample
-- One day's figure of one class.
insert into disk_sample (org_id, day, class, rows, bytes) values ($1, $2, $3, $4, $5)
on conflict (org_id, day, class) do update set rows = excluded.rows, bytes = excluded.bytes;

-- name: last_sampled
-- The newest day of which the figure of a class is kept, and whether one of the day $3 is.
select max(day) as last, coalesce(bool_or(day = $3), false) as done from disk_sample where org_id = $1 and class = $2;

-- name: samples_since
-- Figures by class since a day.
select day, class, rows, bytes from disk_sample where org_id = $1 and day >= $2 order by day;
