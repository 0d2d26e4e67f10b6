-- name: lock_months
-- Whether this session may remove months; false while another one does.
select pg_try_advisory_lock(hashtextextended('chartwire retention of months', 0));

-- name: monthly_partitions
-- The months of a partitioned table ($1), oldest first (as the owner).
select c.relname::text as name, pg_total_relation_size(c.oid) as bytes
  from pg_inherits i join pg_class c on c.oid = i.inhrelid
 where i.inhparent = $1::regclass and c.relname ~ '_\d{4}_\d{2}$'
 order by c.relname;

-- name: note_removal
-- What went of one class of this organisation; a run that goes on adds to its row.
insert into retention_run (org_id, id, class, how, before, rows, bytes) values ($1, $2, $3, $4, $5, $6, $7)
on conflict (org_id, id) do update
   set rows = retention_run.rows + excluded.rows, bytes = retention_run.bytes + excluded.bytes, at = now();

-- name: removals
-- What retention removed of this organisation, newest first.
select class, how, at, before, rows, bytes from retention_run where org_id = $1 order by at desc limit $2;

-- name: expired_at
-- When what this class held of the instant $3 was removed; null when it was not.
select min(at) from retention_run where org_id = $1 and class = $2 and before > $3;

-- name: due_bodies
-- Bodies of the class $3 older than $2, but for those of messages that still wait. What is on legal hold is of another
-- class.
select count(*) as rows, coalesce(sum(octet_length(b.raw)), 0)::bigint as bytes
  from message_body b left join message m on m.org_id = $1 and m.id = b.id
 where b.org_id = $1 and b.class = $3 and b.id < $2 and coalesce(m.state, '') not in ('received', 'held');

-- name: expire_bodies
-- Remove up to $4 of them; how many, and their bytes.
with gone as (
    delete from message_body b
     using (select b.id from message_body b left join message m on m.org_id = $1 and m.id = b.id
             where b.org_id = $1 and b.class = $3 and b.id < $2 and coalesce(m.state, '') not in ('received', 'held')
             order by b.id limit $4) due
     where b.org_id = $1 and b.id = due.id and b.class = $3
    returning octet_length(b.raw) as bytes)
select count(*) as rows, coalesce(sum(bytes), 0)::bigint as bytes from gone;

-- name: due_deliveries_bodies
-- Bodies of ended deliveries of events older than $2.
select count(*) as rows, coalesce(sum(octet_length(body)), 0)::bigint as bytes
  from delivery where org_id = $1 and event_id < $2 and state in ('delivered', 'dead') and body <> '';

-- name: expire_deliveries_bodies
-- Blank up to $3 of them.
with due as (
    select event_id, destination_id, octet_length(body) as bytes from delivery
     where org_id = $1 and event_id < $2 and state in ('delivered', 'dead') and body <> ''
     order by event_id limit $3 for update skip locked
), blanked as (
    update delivery d set body = '' from due
     where d.org_id = $1 and d.event_id = due.event_id and d.destination_id = due.destination_id
    returning due.bytes)
select count(*) as rows, coalesce(sum(bytes), 0)::bigint as bytes from blanked;

-- name: due_quarantine
-- Messages of unknown peers older than $2.
select count(*) as rows, coalesce(sum(octet_length(raw)), 0)::bigint as bytes
  from quarantine where org_id = $1 and id < $2;

-- name: expire_quarantine
-- Remove up to $3 of them.
with gone as (
    delete from quarantine q
     using (select id from quarantine where org_id = $1 and id < $2 order by id limit $3) due
     where q.org_id = $1 and q.id = due.id
    returning octet_length(q.raw) as bytes)
select count(*) as rows, coalesce(sum(bytes), 0)::bigint as bytes from gone;

-- name: due_contents
-- Contents older than $2 that no resource shows any more.
select count(*) as rows, coalesce(sum(size_bytes), 0)::bigint as bytes
  from content c
 where c.org_id = $1 and c.created_at < $2
   and not exists (select 1 from content_link l where l.org_id = $1 and l.content_id = c.id);

-- name: expire_contents
-- Remove up to $3 of them.
select rows, bytes from expire_contents($1, $2, $3);

-- name: retention_terms
-- This organisation's own terms in days by class, as JSON.
select coalesce(settings::jsonb -> 'retention', '{}')::text from organisation where org_id = $1;

-- name: set_retention_terms
-- Replace this organisation's own terms.
update organisation set settings = (settings::jsonb || jsonb_build_object('retention', $2::text::jsonb))::text
 where org_id = $1 returning org_id;
