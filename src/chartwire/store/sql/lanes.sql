-- name: claim_lanes
-- Up to $3 ready lanes of one organisation that failed nothing lately, oldest first; counts the attempt in its own commit.
-- `< 'infinity'` repeats what `<= now()` says, for the planner: without it no partial index is used.
with first as (
    select org_id from lane
     where kind = $1 and ready_at < 'infinity' and ready_at <= now() and not_before <= now() and attempts = 0
       and (lease_until is null or lease_until < now())
     order by ready_at limit 1
), pick as (
    select lane_id from lane
     where kind = $1 and ready_at < 'infinity' and ready_at <= now() and not_before <= now() and attempts = 0
       and (lease_until is null or lease_until < now()) and org_id = (select org_id from first)
     order by ready_at limit $3
       for update skip locked
)
update lane l
   set owner = $2, fence = fence + 1, attempts = attempts + 1, lease_until = now() + make_interval(secs => $4)
  from pick where l.lane_id = pick.lane_id
returning l.lane_id, l.org_id, l.fence, l.attempts;

-- name: claim_suspect_lane
-- One ready lane whose last claim did not end well: it is worked alone, so that a message that kills takes nobody along.
with pick as (
    select lane_id from lane
     where kind = $1 and ready_at < 'infinity' and ready_at <= now() and not_before <= now() and attempts > 0
       and (lease_until is null or lease_until < now())
     order by ready_at limit 1
       for update skip locked
)
update lane l
   set owner = $2, fence = fence + 1, attempts = attempts + 1, lease_until = now() + make_interval(secs => $3)
  from pick where l.lane_id = pick.lane_id
returning l.lane_id, l.org_id, l.fence, l.attempts;

-- name: extend_leases
-- Keep the leases that this owner still holds. A row that is locked is left for the next time: it waits for nobody, and
-- whoever holds it keeps others from claiming it too.
with mine as (
    select lane_id from lane where owner = $1 and lane_id = any($3::uuid[]) order by lane_id for update skip locked
)
update lane l set lease_until = now() + make_interval(secs => $2) from mine where l.lane_id = mine.lane_id;

-- name: lane_owners
-- Who holds leases now.
select distinct owner from lane where owner is not null;

-- name: try_owner_lock
-- Whether the owner's session lock is free, which means that the owner is dead.
select pg_try_advisory_lock($1);

-- name: hold_owner_lock
-- The session lock that says: this owner lives.
select pg_advisory_lock($1);

-- name: drop_owner_lock
-- Give the session lock back.
select pg_advisory_unlock($1);

-- name: free_lanes_of_owner
-- The lanes of a dead owner are claimable at once; the attempt stays counted.
with pick as (
    select lane_id from lane where owner = $1 order by lane_id for update skip locked
)
update lane l set owner = null, lease_until = null from pick where l.lane_id = pick.lane_id;

-- name: lock_lanes
-- The lanes of a unit of work, in one order for everyone, with the fence that decides whether they are still ours.
select lane_id, fence from lane where lane_id = any($1::uuid[]) order by lane_id for update;

-- name: take_lanes_over
-- Whoever works these lanes has lost them; run after lock_lanes.
update lane set fence = fence + 1, owner = null, lease_until = null where lane_id = any($1::uuid[]);

-- name: release_lanes
-- Give lanes back after their jobs are done: ready again where jobs wait, idle where none do. Run after lock_lanes.
update lane l
   set owner = null, lease_until = null, attempts = 0, not_before = '-infinity', touched_at = now(),
       ready_at = case when exists (select 1 from job j where j.org_id = l.org_id and j.lane_id = l.lane_id)
                       then least(l.ready_at, now()) else 'infinity' end
 where l.lane_id = any($1::uuid[]);

-- name: park_lane
-- A merge heads this lane but not yet its others: wait until the last of them gets there (it runs the merge for all).
update lane set owner = null, lease_until = null, attempts = 0, ready_at = 'infinity', touched_at = now()
 where lane_id = $1;

-- name: back_off_lane
-- Hold one lane after a transient failure, $3 seconds; no one else waits for it.
update lane set owner = null, lease_until = null, not_before = now() + make_interval(secs => $3)
 where lane_id = $1 and fence = $2;

-- name: give_back_lanes
-- Undo a claim that came to nothing (shutdown, transaction rolled back for reasons outside the lane).
update lane l set owner = null, lease_until = null, attempts = greatest(attempts - 1, 0)
  from unnest($1::uuid[], $2::bigint[]) as mine (lane_id, fence)
 where l.lane_id = mine.lane_id and l.fence = mine.fence;

-- name: wake_lane
-- Make a lane ready (deliveries put into it, a review released).
insert into lane (lane_id, org_id, kind, seq, ready_at) values ($1, $2, $3, 1, $4)
    on conflict (lane_id) do update
   set seq = lane.seq + 1, ready_at = least(lane.ready_at, excluded.ready_at);
