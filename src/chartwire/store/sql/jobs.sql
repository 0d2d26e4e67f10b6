-- name: load_jobs
-- The first $3 jobs of each lane, with the message and its raw bytes, in lane order. A job whose message or bytes are gone
-- is here too: it has to end as a dead letter, or its lane would never be empty.
-- What waits comes without its bytes: its source is on hold, or its lane waits for an open case and nobody has decided
-- about this message itself.
-- Each is looked up by itself (limit 1): joined on a table without statistics, all messages would be read for a few.
-- After $4 bytes the rest is left for the next claim; one message comes however large it is.
with head as (
    select j.*, m.source_id, m.mode, m.parent_id,
           sum(m.body_bytes) over (order by j.lane_id, j.seq) - m.body_bytes as bytes_before
      from unnest($2::uuid[]) as wanted (lane_id)
     cross join lateral (
            select * from job where org_id = $1 and lane_id = wanted.lane_id order by seq limit $3
           ) j
      left join lateral (
            select source_id, mode, parent_id, body_bytes from message where org_id = $1 and id = j.message_id limit 1
           ) m on true
)
select j.lane_id, j.seq, j.message_id, j.ticket_lanes, j.decision, j.source_id, j.mode, j.parent_id,
       coalesce(s.on_hold, false) as source_on_hold, w.review_id as under_review, b.raw
  from head j
  left join lateral (select on_hold from source where org_id = $1 and id = j.source_id limit 1) s on true
  left join lateral (
        select h.review_id from lane_hold h
          join review r on r.org_id = $1 and r.id = h.review_id and r.state = 'open'
         where h.org_id = $1 and h.lane_id = j.lane_id and j.decision is null limit 1
       ) w on true
  left join lateral (
        select raw from message_body
         where org_id = $1 and id = j.message_id and not coalesce(s.on_hold, false) and w.review_id is null limit 1
       ) b on true
 where coalesce(j.bytes_before, 0) < $4
 order by j.lane_id, j.seq;

-- name: lock_jobs
-- Which of these jobs still stand. A dying worker's half-open commit is waited for, and what it did is then not here.
select j.lane_id, j.seq
  from unnest($2::uuid[], $3::bigint[]) as wanted (lane_id, seq)
  join job j on j.org_id = $1 and j.lane_id = wanted.lane_id and j.seq = wanted.seq
 order by j.lane_id, j.seq for update of j;

-- name: lane_heads
-- The first job of each lane.
select distinct on (lane_id) lane_id, seq, message_id
  from job where org_id = $1 and lane_id = any($2::uuid[]) order by lane_id, seq;

-- name: delete_jobs
-- The jobs that this transaction has done.
delete from job j using unnest($2::uuid[], $3::bigint[]) as done (lane_id, seq)
 where j.org_id = $1 and j.lane_id = done.lane_id and j.seq = done.seq;

-- name: delete_ticket
-- A merge is done: its ticket leaves all its lanes.
delete from job where org_id = $1 and lane_id = any($2::uuid[]) and message_id = $3;

-- name: settle_messages
-- What became of messages: state, patient, fault, and what they touched. $10 and $11 are the least and greatest id.
update message m
   set state = s.state, processed_at = $2, patient_id = s.patient_id, error_code = s.error_code,
       error_location = s.error_location, error_text = s.error_text, outcome = s.outcome
  from unnest($3::uuid[], $4::text[], $5::uuid[], $6::text[], $7::text[], $8::text[], $9::text[])
       as s (id, state, patient_id, error_code, error_location, error_text, outcome)
 where m.org_id = $1 and m.id = s.id and m.id between $10 and $11;

-- name: move_bodies_to_dead
-- The bytes of dead letters move to the class that is kept longer.
update message_body set class = 'dead' where org_id = $1 and id = any($2::uuid[]) and class = 'raw';

-- name: message_for_replay
-- What a replay starts from.
select m.source_id, m.event, m.control_id, m.mrn, m.lane_id, m.charset, m.state, b.raw
  from message m join message_body b on b.org_id = m.org_id and b.id = m.id
 where m.org_id = $1 and m.id = $2;

-- name: insert_replay
-- A replay is a child of the message that it repeats, outside the intake ledger.
insert into message (org_id, id, source_id, received_at, state, event, control_id, mrn, lane_id, charset, body_bytes,
                     mode, parent_id)
values ($1, $2, $3, $4, 'received', $5, $6, $7, $8, $9, octet_length($10::bytea), $11, $12);

-- name: insert_replay_body
-- The same bytes again, so that each message stands on its own.
insert into message_body (org_id, id, class, raw) values ($1, $2, 'raw', $3);

-- name: forgive_lane
-- The head of a lane is done: the next message starts with no failed attempts.
update lane set attempts = 1 where lane_id = $1 and fence = $2;

-- name: wake_lanes_with_jobs
-- Lanes that waited for a merge go on; who holds them keeps them.
update lane l set ready_at = least(l.ready_at, now())
 where l.lane_id = any($1::uuid[]) and exists (select 1 from job j where j.org_id = l.org_id and j.lane_id = l.lane_id);
