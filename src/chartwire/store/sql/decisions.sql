-- name: lane_of_message
-- The lane in which a message came; null for one that had none.
select lane_id from message where org_id = $1 and id = $2;

-- name: message_in_doubt
-- One message that a person decides about, locked, with its bytes.
select m.id, m.source_id, m.event, m.control_id, m.mrn, m.lane_id, m.charset, m.state, m.mode, m.error_code, m.decision,
       m.patient_id, b.raw
  from message m left join message_body b on b.org_id = m.org_id and b.id = m.id
 where m.org_id = $1 and m.id = $2 for update of m;

-- name: dead_to_retry
-- The oldest open dead letters of one cause that have their bytes, locked; those bytes where the event is one of $5.
select m.id, m.source_id, m.event, m.lane_id, m.patient_id, case when m.event = any($5::text[]) then b.raw end as raw
  from message m join message_body b on b.org_id = m.org_id and b.id = m.id
 where m.org_id = $1 and dead_letter_fingerprint(m.source_id, m.event, m.error_code, m.error_location) = $2
   and m.state = 'dead' and m.decision is null and m.id > $3 order by m.id limit $4 for update of m;

-- name: requeue_messages
-- Back into the work, each message at the end of all its lanes.
select requeue_messages($1, $2::uuid[], $3::text[]);

-- name: requeue_first
-- A message at the head of all its lanes; whoever works one of them has lost it. Run after lock_lanes.
with lanes as (
    insert into lane (lane_id, org_id, kind, seq, ready_at)
    select l, $1, 'intake', 1, clock_timestamp() from unnest($3::uuid[]) as l order by l
        on conflict (lane_id) do update
       set fence = lane.fence + 1, owner = null, lease_until = null, attempts = 0, not_before = '-infinity',
           ready_at = least(lane.ready_at, excluded.ready_at)
    returning lane_id, seq
)
insert into job (org_id, lane_id, seq, message_id, ticket_lanes, decision)
select $1, l.lane_id,
       coalesce((select min(j.seq) - 1 from job j where j.org_id = $1 and j.lane_id = l.lane_id), l.seq),
       $2, case when cardinality($3::uuid[]) > 1 then $3::uuid[] end, $4
  from lanes l;

-- name: messages_received_again
-- Messages are in the work again.
update message set state = 'received', processed_at = null, error_code = null, error_location = null, error_text = null,
                   decision = null
 where org_id = $1 and id = any($2::uuid[]);

-- name: decide_message
-- What a person decided about a message, and what it is now; nulls leave its state or its error as they are.
update message
   set state = coalesce($3, state), error_code = coalesce($4, error_code), error_text = coalesce($5, error_text),
       decision = $6
 where org_id = $1 and id = $2;

-- name: discard_dead_letters
-- The open dead letters of one cause, up to $5, are over.
update message m set decision = $3
  from (select id from message
         where org_id = $1 and state = 'dead' and decision is null
           and dead_letter_fingerprint(source_id, event, error_code, error_location) = $2 and id <= $4
         order by id limit $5 for update) as open
 where m.org_id = $1 and m.id = open.id
returning m.id, m.patient_id;

-- name: jobs_of_message
-- The places of a message in a lane and, for a merge, in its others.
select lane_id, ticket_lanes from job where org_id = $1 and lane_id = $2 and message_id = $3;

-- name: lanes_that_stand
-- Whether somebody works these lanes, whether they wait, and until when; run after lock_lanes.
select l.lane_id, l.lease_until > now() as in_work, h.lane_id is not null as held, l.not_before > now() as retrying,
       l.ready_at = 'infinity' as parked, l.attempts
  from lane l left join lane_hold h on h.org_id = $1 and h.lane_id = l.lane_id
 where l.lane_id = any($2::uuid[]);

-- name: unpark_lanes
-- Lanes whose head was taken away go on at once; run after lock_lanes.
update lane l
   set owner = null, lease_until = null, attempts = 0, not_before = '-infinity',
       ready_at = case when exists (select 1 from job j where j.org_id = $1 and j.lane_id = l.lane_id)
                       then least(l.ready_at, now()) else 'infinity' end
 where l.lane_id = any($2::uuid[]);

-- name: forget_lane_holds
-- Lanes wait for nothing any more.
delete from lane_hold where org_id = $1 and lane_id = any($2::uuid[]);

-- name: lanes_of_review
-- Lanes that wait for a case.
select lane_id from lane_hold where org_id = $1 and review_id = $2 order by lane_id;

-- name: unmark_lane
-- What waited in lanes for a case shows as received again, up to $3 messages.
update message m set state = 'received', error_code = null, error_text = null
  from (select message_id from job where org_id = $1 and lane_id = any($2::uuid[]) order by lane_id, seq limit $3) as j
 where m.org_id = $1 and m.id = j.message_id and m.state = 'held' and m.error_code = 'waits_for_review';

-- name: plan_for_the_values
-- Plan statements for the values that they are asked with, until the transaction ends.
set local plan_cache_mode = force_custom_plan;

-- name: newest_reviews
-- Cases for a person, newest first; behind $2, and as far as the others are not null.
select id, kind, state, message_id, lane_id, resource_type, resource_id, detail, created_at, resolved_at, resolution,
       source_id, patient_id, proposal, resolved_by, resolution_reason
  from review
 where org_id = $1 and id < $2 and ($3::text[] is null or state = any($3)) and ($4::text is null or kind = $4)
   and ($5::uuid is null or source_id = $5) and ($6::uuid is null or patient_id = $6)
   and ($7::timestamptz is null or created_at >= $7) and ($8::timestamptz is null or created_at < $8)
 order by id desc limit $9;

-- name: oldest_reviews
-- Cases for a person, oldest first; behind $2, and as far as the others are not null.
select id, kind, state, message_id, lane_id, resource_type, resource_id, detail, created_at, resolved_at, resolution,
       source_id, patient_id, proposal, resolved_by, resolution_reason
  from review
 where org_id = $1 and id > $2 and ($3::text[] is null or state = any($3)) and ($4::text is null or kind = $4)
   and ($5::uuid is null or source_id = $5) and ($6::uuid is null or patient_id = $6)
   and ($7::timestamptz is null or created_at >= $7) and ($8::timestamptz is null or created_at < $8)
 order by id limit $9;

-- name: read_review
-- One case for a person.
select id, kind, state, message_id, lane_id, resource_type, resource_id, detail, created_at, resolved_at, resolution,
       source_id, patient_id, proposal, resolved_by, resolution_reason
  from review where org_id = $1 and id = $2;

-- name: lock_review
-- One case, while a person decides it.
select id, kind, state, message_id, lane_id, resource_type, resource_id, detail, created_at, resolved_at, resolution,
       source_id, patient_id, proposal, resolved_by, resolution_reason
  from review where org_id = $1 and id = $2 for update;

-- name: resolve_review
-- A case is decided.
update review set state = 'resolved', resolved_at = $3, resolution = $4, resolved_by = $5, resolution_reason = $6
 where org_id = $1 and id = $2;

-- name: count_reviews
-- Open cases by kind, and the oldest of each.
select kind, count(*) as open, min(created_at) as oldest from review
 where org_id = $1 and state = 'open' group by kind order by kind;

-- name: dead_letter_groups
-- Open dead letters by cause, the cause seen last first; behind $2, at most $3, of source $4 where it is not null.
select dead_letter_fingerprint(m.source_id, m.event, m.error_code, m.error_location) as fingerprint,
       count(*) as messages, min(m.id::text)::uuid as first_id, max(m.id::text)::uuid as last_id,
       min(m.received_at) as first_seen, max(m.received_at) as last_seen, m.source_id, m.event, m.error_code,
       min(m.error_location) as error_location,
       min(m.error_text) as error_text, min(s.name) as source_name
  from message m left join source s on s.org_id = $1 and s.id = m.source_id
 where m.org_id = $1 and m.state = 'dead' and m.decision is null and ($4::uuid is null or m.source_id = $4)
 group by 1, m.source_id, m.event, m.error_code
having max(m.id::text)::uuid < $2 order by max(m.id::text) desc limit $3;

-- name: dead_letter_group
-- The open dead letters of one cause.
select count(*) as messages, min(m.id::text)::uuid as first_id, max(m.id::text)::uuid as last_id,
       min(m.received_at) as first_seen, max(m.received_at) as last_seen, m.source_id, m.event, m.error_code,
       min(m.error_location) as error_location,
       min(m.error_text) as error_text, min(s.name) as source_name
  from message m left join source s on s.org_id = $1 and s.id = m.source_id
 where m.org_id = $1 and m.state = 'dead' and m.decision is null
   and dead_letter_fingerprint(m.source_id, m.event, m.error_code, m.error_location) = $2
 group by m.source_id, m.event, m.error_code;

-- name: dead_letters_of
-- The open dead letters of one cause, newest first.
select m.id, m.received_at, m.control_id, m.mrn, m.body_bytes, m.patient_id, m.error_location, m.error_text
  from message m
 where m.org_id = $1 and m.state = 'dead' and m.decision is null
   and dead_letter_fingerprint(m.source_id, m.event, m.error_code, m.error_location) = $2 and m.id < $3
 order by m.id desc limit $4;

-- name: note_reused_control_ids
-- Control ids came again with other messages: one open case a source.
select note_reused_control_ids($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[]);
