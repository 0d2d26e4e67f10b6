-- name: load_jobs
-- The first $3 jobs of each lane, with the message and its raw bytes, in lane order; locked, so that a dying worker's
-- half-open commit is waited for and then skipped.
select j.lane_id, j.seq, j.message_id, j.ticket_lanes, m.source_id, m.event, m.control_id, m.mode, m.received_at,
       m.charset, m.parent_id, b.raw
  from unnest($2::uuid[]) as wanted (lane_id)
 cross join lateral (
        select * from job where org_id = $1 and lane_id = wanted.lane_id order by seq limit $3 for update
       ) j
  join message m on m.org_id = $1 and m.id = j.message_id
  join message_body b on b.org_id = $1 and b.id = j.message_id and b.class = 'raw'
 order by j.lane_id, j.seq;

-- name: lane_heads
-- The first job of each lane.
select distinct on (lane_id) lane_id, seq, message_id
  from job where org_id = $1 and lane_id = any($2::uuid[]) order by lane_id, seq;

-- name: delete_jobs
-- The jobs that this transaction has done.
delete from job j using unnest($2::uuid[], $3::bigint[]) as done (lane_id, seq)
 where j.org_id = $1 and j.lane_id = done.lane_id and j.seq = done.seq;

-- name: settle_messages
-- What became of messages: state, fault, patient, and the resources they touched.
update message m
   set state = s.state, processed_at = $2, patient_id = s.patient_id, error_code = s.error_code,
       error_location = s.error_location, error_text = s.error_text, outcome = s.outcome
  from unnest($3::uuid[], $4::text[], $5::uuid[], $6::text[], $7::text[], $8::text[], $9::text[])
       as s (id, state, patient_id, error_code, error_location, error_text, outcome)
 where m.org_id = $1 and m.id = s.id and m.id between $10 and $11;

-- name: move_body_to_dead
-- A dead letter's bytes move to the class that is kept longer.
update message_body set class = 'dead' where org_id = $1 and id = any($2::uuid[]) and class = 'raw';
