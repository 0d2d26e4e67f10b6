-- name: observe_lanes
-- By kind of lane: how many have work that is due, and for how many seconds the oldest of them (as chartwire_engine).
select k.kind, count(l.lane_id) as ready,
       coalesce(extract(epoch from now() - min(l.ready_at)), 0)::double precision as age_s
  from (values ('intake'), ('delivery')) as k (kind)
  left join lane l on l.kind = k.kind and l.ready_at < 'infinity' and l.ready_at <= now() and l.not_before <= now()
 group by k.kind;

-- name: observe_organisations
-- The first $1 organisations, by id (as chartwire_engine).
select org_id from route where kind = 'organisation' order by org_id limit $1;

-- name: observe_open_deliveries
-- How many deliveries of this organisation are open.
select count(*) from delivery where state in ('pending', 'retrying', 'unknown');

-- name: observe_has_messages
-- Whether this organisation ever took a message in.
select exists (select 1 from message);
