-- name: lock_retention
-- Holds and removals of one organisation take turns, until the transaction ends.
select pg_advisory_xact_lock(hashtextextended('chartwire retention ' || $1::uuid, 0));

-- name: place_legal_hold
-- A hold that stands from now on; no row when one on this subject stands already.
insert into legal_hold (org_id, id, kind, subject_id, reason, placed_by) values ($1, $2, $3, $4, $5, $6)
on conflict (org_id, subject_id) where released_at is null do nothing returning id;

-- name: release_legal_hold
-- A hold stands no longer; no row when none stood on this subject.
update legal_hold set released_at = now(), released_by = $4, release_reason = $5
 where org_id = $1 and kind = $2 and subject_id = $3 and released_at is null returning id;

-- name: legal_holds
-- The holds of this organisation, newest first; with $2 only those that stand.
select id, kind, subject_id, reason, placed_at, placed_by, released_at, released_by, release_reason
  from legal_hold where org_id = $1 and (released_at is null or not $2) order by id desc limit $3;

-- name: knows_patient
-- Whether there is, or was, a patient of this id.
select exists (select 1 from resource where org_id = $1 and type = 'Patient' and id = $2);

-- name: knows_body
-- Whether the bytes of this message are there still.
select exists (select 1 from message_body where org_id = $1 and id = $2);

-- name: hold_bodies
-- Up to $2 bodies that a hold covers move to the class `hold`; how many.
with recursive family (id) as (
    select subject_id from legal_hold where org_id = $1 and kind = 'patient' and released_at is null
    union
    select case when m.loser_id = f.id then m.survivor_id else m.loser_id end
      from family f join merge m on m.org_id = $1 and f.id in (m.loser_id, m.survivor_id)
), covered as (
    select subject_id as id from legal_hold where org_id = $1 and kind = 'message' and released_at is null
    union
    select m.id from family f join message m on m.org_id = $1 and m.patient_id = f.id
), chosen as (
    select b.id from covered c join message_body b on b.org_id = $1 and b.id = c.id and b.class in ('raw', 'dead')
     order by b.id limit $2
), locked as (
    select m.id from message m where m.org_id = $1 and m.id in (select id from chosen) order by m.id for update
), moved as (
    update message_body set class = 'hold'
     where org_id = $1 and id in (select id from locked) and class in ('raw', 'dead') returning id)
select count(*) from moved;

-- name: let_bodies_go
-- Up to $2 bodies on hold that no hold covers any more go back to their class; how many.
with recursive family (id) as (
    select subject_id from legal_hold where org_id = $1 and kind = 'patient' and released_at is null
    union
    select case when m.loser_id = f.id then m.survivor_id else m.loser_id end
      from family f join merge m on m.org_id = $1 and f.id in (m.loser_id, m.survivor_id)
), free as (
    select b.id, m.state
      from message_body b join message m on m.org_id = $1 and m.id = b.id
     where b.org_id = $1 and b.class = 'hold'
       and (m.patient_id is null or m.patient_id not in (select id from family))
       and not exists (select 1 from legal_hold h
                        where h.org_id = $1 and h.kind = 'message' and h.subject_id = b.id and h.released_at is null)
     order by b.id limit $2
), moved as (
    update message_body b set class = case when free.state = 'dead' then 'dead' else 'raw' end
      from free where b.org_id = $1 and b.id = free.id and b.class = 'hold' returning b.id)
select count(*) from moved;
