-- name: open_search
-- Bind the transaction, credential checked, and plan each search for its values: a plan for any value is up to a hundred
-- times slower than one that knows how common the value is.
select access_open($1, $2), set_config('plan_cache_mode', 'force_custom_plan', true);

-- name: settled_until
-- Before when no change can come to light any more that statements after this one do not see. A transaction times its
-- versions after it began, so whatever is older than each that runs was committed, or never will be.
select least(statement_timestamp(), min(s.xact_start))
  from pg_stat_get_activity(null) s
 where s.datid = (select oid from pg_database where datname = current_database()) and s.pid <> pg_backend_pid();

-- name: read_resource
-- The current version of one resource, credential checked: one round trip.
select version, updated_at, deleted, patient_id, message_id, actor, body from read_resource($1, $2, $3, $4);

-- name: search_resources
-- Resources that one index value names, credential checked: one round trip.
select id, version, updated_at, deleted, patient_id, message_id, actor, body, null::text as sort_value
  from search_resources($1, $2, $3, $4, $5, $6, $7, $8);

-- name: read_version
-- One version of a resource, present or superseded.
select id, version, updated_at, deleted, patient_id, message_id, actor, body
  from resource where org_id = $1 and type = $2 and id = $3 and version = $4
 union all
select id, version, updated_at, deleted, patient_id, message_id, actor, body
  from resource_history where org_id = $1 and type = $2 and id = $3 and version = $4;

-- name: read_lineage
-- Which fields made the elements of each version of a resource, newest first.
select version, updated_at, patient_id, message_id, actor, lineage
  from resource where org_id = $1 and type = $2 and id = $3
 union all
select version, updated_at, patient_id, message_id, actor, lineage
  from resource_history where org_id = $1 and type = $2 and id = $3
 order by version desc limit $4;

-- name: coverages_of
-- The insurance of patients.
select patient_id, body from resource
 where org_id = $1 and type = 'Coverage' and patient_id = any($2::uuid[]) and not deleted
 order by patient_id, id limit $3;

-- name: survivors_of
-- Where chains of merges end, for patients that were merged into another. At most 64 links a chain.
with recursive chain (loser_id, survivor_id, links) as (
    select m.loser_id, m.survivor_id, 1
      from merge m where m.org_id = $1 and m.loser_id = any($2::uuid[]) and m.undone_at is null
     union all
    select c.loser_id, m.survivor_id, c.links + 1
      from chain c join merge m on m.org_id = $1 and m.loser_id = c.survivor_id and m.undone_at is null
     where c.links < 64
)
select distinct on (loser_id) loser_id, survivor_id from chain order by loser_id, links desc;

-- name: read_message
-- One message with all that is known about it, but its bytes.
select m.id, m.source_id, s.name as source_name, m.received_at, m.processed_at, m.state, m.event, m.control_id, m.mrn,
       m.charset, m.body_bytes, m.mode, m.ack_code, m.parent_id, m.patient_id, m.error_code, m.error_location,
       m.error_text, m.outcome, m.decision,
       case when m.state = 'dead'
            then dead_letter_fingerprint(m.source_id, m.event, m.error_code, m.error_location) end as cause_id
  from message m left join source s on s.org_id = m.org_id and s.id = m.source_id
 where m.org_id = $1 and m.id = $2;

-- name: read_message_body
-- The bytes of a message as they arrived; no row once they were blanked or dropped.
select raw from message_body where org_id = $1 and id = $2 limit 1;

-- name: read_children
-- The replays of a message, by its id and the time from which they can exist.
select id, received_at, state, mode from message
 where org_id = $1 and parent_id = $2 and id > $2 order by id desc limit $3;

-- name: deliveries_of_message
-- What a message caused to be sent: its events were made in a transaction that ended between two moments.
select d.event_id, d.destination_id, d.state, d.attempts, d.created_at, d.next_attempt_at, d.finished_at, d.message_id,
       e.type, e.resource_type, e.resource_id, e.version, t.name as destination_name
  from event e
  join delivery d on d.org_id = e.org_id and d.event_id = e.id
  left join destination t on t.org_id = d.org_id and t.id = d.destination_id
 where e.org_id = $1 and e.message_id = $2 and e.id between $3 and $4
 order by d.event_id, d.destination_id limit $5;

-- name: lineage_of_versions
-- The lineage of named versions of resources.
select r.type, r.id, r.version, r.lineage
  from unnest($2::text[], $3::uuid[], $4::integer[]) as wanted (type, id, version)
  join resource r
    on r.org_id = $1 and r.type = wanted.type and r.id = wanted.id and r.version = wanted.version
 union all
select r.type, r.id, r.version, r.lineage
  from unnest($2::text[], $3::uuid[], $4::integer[]) as wanted (type, id, version)
  join resource_history r
    on r.org_id = $1 and r.type = wanted.type and r.id = wanted.id and r.version = wanted.version;

-- name: partitions_of_this_month
-- Partitioned tables without a partition for this month (UTC), and those of them that could not store a row at all.
select count(*) filter (where missing) as missing, count(*) filter (where missing and partdefid = 0) as barred
  from (select t.partdefid,
               to_regclass(format('public.%s_%s', c.relname, to_char(now() at time zone 'utc', 'YYYY_MM'))) is null
                   as missing
          from pg_partitioned_table t join pg_class c on c.oid = t.partrelid
         where t.partstrat = 'r' and c.relnamespace = 'public'::regnamespace) as tables;

-- name: intake_lag
-- Since when the oldest intake lane waits that nobody works and nothing holds back, in seconds.
select coalesce(extract(epoch from now() - min(ready_at)), 0)::float8 from lane
 where kind = 'intake' and ready_at < 'infinity' and ready_at <= now() and not_before <= now()
   and (lease_until is null or lease_until < now());
