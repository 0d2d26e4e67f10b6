-- name: merge_chain
-- The merges that stand, from the one of this loser to the patient it ends at, in order.
with recursive chain as (
    select m.id, m.loser_id, m.survivor_id, m.message_id, m.merged_at, 1 as step
      from merge m where m.org_id = $1 and m.loser_id = $2 and m.undone_at is null
    union all
    select m.id, m.loser_id, m.survivor_id, m.message_id, m.merged_at, c.step + 1
      from chain c join merge m on m.org_id = $1 and m.loser_id = c.survivor_id and m.undone_at is null
     where c.step < 100
)
select * from chain order by step;

-- name: merged_under
-- A patient and everyone who was merged under a number of theirs, by merges that stand.
with recursive named as (
    select $2::uuid as id
    union
    select m.loser_id
      from named n
      join merge m on m.org_id = $1 and m.survivor_id = any($3::uuid[] || n.id) and m.undone_at is null
       and coalesce(m.named_id, m.survivor_id) = n.id
)
select id from named;

-- name: merged_into
-- A patient and everyone who is merged into them, by merges that stand.
with recursive family as (
    select $2::uuid as id
    union
    select m.loser_id
      from family f join merge m on m.org_id = $1 and m.survivor_id = f.id and m.undone_at is null
)
select id from family;

-- name: messages_of_strangers
-- Those of these messages (ids as text) that are about none of these patients.
select m.id::text as id
  from unnest($2::text[]) as wanted (id)
  join message m on m.org_id = $1 and m.id = wanted.id::uuid
 where m.patient_id is not null and not m.patient_id = any($3::uuid[]);

-- name: give_keys_back
-- Keys of a merged patient, and of those merged under their numbers, lead to them again.
update source_key set resource_id = $2
 where org_id = $1 and type = 'Patient' and resource_id = $3 and original_id = any($4::uuid[]);

-- name: undo_merge
-- The merge no longer stands. Answers its id; nothing when someone else undid it.
update merge set undone_at = $3, undone_by = $4, undone_reason = $5 where org_id = $1 and id = $2 and undone_at is null returning id;

-- name: unmerge_since
-- The time of a merge, or of the earliest merge into these patients that was undone since then.
select least($3, min(merged_at)) from merge where org_id = $1 and survivor_id = any($2::uuid[]) and undone_at >= $3;

-- name: messages_since_merge
-- Processed messages about these patients since a merge, by arrival, with their bytes; merges, links and what was not told are left out.
select m.id, m.source_id, m.lane_id, m.parent_id, m.patient_id, m.named_id, b.raw
  from message m
  left join message_body b on b.org_id = $1 and b.id = m.id
 where m.org_id = $1 and m.patient_id = any($2::uuid[]) and m.state = 'processed' and m.processed_at >= $3
   and m.mode <> 'preview' and not m.event = any($4::text[])
 order by m.id limit $5;

-- name: name_messages
-- Messages whose number names another patient than before: whom they are about, and whom the number named before merges.
update message m set patient_id = n.patient_id, named_id = n.named_id
  from unnest($2::uuid[], $3::uuid[], $4::uuid[]) as n (id, patient_id, named_id)
 where m.org_id = $1 and m.id = n.id;

-- name: versions_before
-- Former versions of a resource, newest first.
select version, updated_at, body, lineage from resource_history
 where org_id = $1 and type = $2 and id = $3 order by version desc;

-- name: merges_of_survivor
-- Losers of the merges into a patient that stand.
select loser_id from merge where org_id = $1 and survivor_id = $2 and undone_at is null order by merged_at;

-- name: message_took_effect
-- Whether a message was told to the record.
select exists (select 1 from message where org_id = $1 and id = $2 and state = 'processed' and mode <> 'preview');
