-- name: breathe
-- Nothing: a long transaction says that it goes on.
select 1;

-- name: resolve_keys
-- Which stored resources these source keys name. Each is looked up by itself (limit 1), whatever the statistics say; the
-- length of the arrays is hidden (select), so that one plan serves all and none is made anew.
select wanted.type, wanted.key, k.resource_id, k.original_id
  from unnest((select $2::text[]), (select $3::uuid[])) as wanted (type, key)
 cross join lateral (
        select resource_id, original_id from source_key where org_id = $1 and type = wanted.type and key = wanted.key
         limit 1
       ) k;

-- name: lock_resources
-- Resources of a unit of work at their current version, locked in one order for everyone; looked up as in resolve_keys.
select r.type, r.id, r.version, r.updated_at, r.deleted, r.patient_id, r.original_subject, r.body, r.lineage,
       r.indexed
  from (select * from unnest((select $2::text[]), (select $3::uuid[])) as asked (type, id) order by type, id) as wanted
 cross join lateral (
        select * from resource where org_id = $1 and type = wanted.type and id = wanted.id limit 1 for update
       ) r;

-- name: read_current
-- Current versions, for writers that hold the patient's lock; looked up as in resolve_keys.
select r.type, r.id, r.version, r.updated_at, r.deleted, r.patient_id, r.original_subject, r.body, r.lineage,
       r.indexed
  from unnest((select $2::text[]), (select $3::uuid[])) as wanted (type, id)
 cross join lateral (
        select * from resource where org_id = $1 and type = wanted.type and id = wanted.id limit 1
       ) r;

-- name: compartment
-- Everything that belongs to a patient now.
select type, id, version, updated_at, deleted, patient_id, original_subject, body, lineage, indexed
  from resource where org_id = $1 and patient_id = $2 and not deleted order by type, id;

-- name: moved_to
-- What of one type belongs to a patient only since a merge.
select type, id, version, updated_at, deleted, patient_id, original_subject, body, lineage, indexed
  from resource
 where org_id = $1 and type = $2 and patient_id = $3 and original_subject <> $3 and not deleted order by id;

-- name: repoint_keys
-- All keys of the loser lead to the survivor; `original_id` keeps where they led, for unmerge.
update source_key set resource_id = $3 where org_id = $1 and type = 'Patient' and resource_id = $2;

-- name: insert_search_values
-- Index rows of new values.
insert into search_value (org_id, type, param, value, resource_id)
select $1, v.type, v.param, v.value, v.resource_id
  from unnest($2::text[], $3::text[], $4::text[], $5::uuid[]) as v (type, param, value, resource_id)
    on conflict do nothing;

-- name: read_snapshots
-- The members that each scope had at its last snapshot.
select scope, members from snapshot where org_id = $1 and scope = any($2::uuid[]);

-- name: write_snapshots
-- The members of each scope from now on; each member list comes as an array literal.
insert into snapshot (org_id, scope, members, message_id)
select $1, s.scope, s.members::uuid[], s.message_id
  from unnest($2::uuid[], $3::text[], $4::uuid[]) as s (scope, members, message_id)
 order by s.scope
    on conflict (org_id, scope) do update set members = excluded.members, message_id = excluded.message_id;

-- name: insert_merges
-- A merge that took place.
insert into merge (org_id, id, loser_id, survivor_id, message_id, actor, named_id)
select $1, m.id, m.loser, m.survivor, m.message, m.actor, m.named
  from unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::text[], $7::uuid[])
       as m (id, loser, survivor, message, actor, named);

-- name: insert_reviews
-- Cases for a person. A tie of the same elements that is open already is the same case, with the latest word.
with told as (
    select * from unnest($2::uuid[], $3::text[], $4::uuid[], $5::uuid[], $6::text[], $7::uuid[], $8::text[], $9::uuid[],
                         $10::uuid[], $11::text[])
           as r (id, kind, message_id, lane_id, resource_type, resource_id, detail, source_id, patient_id, proposal)
), known as (
    update review o set proposal = t.proposal, message_id = t.message_id, source_id = t.source_id
      from told t
     where t.kind = 'tie' and o.org_id = $1 and o.state = 'open' and o.kind = 'tie'
       and o.resource_type = t.resource_type and o.resource_id = t.resource_id and o.detail = t.detail
    returning t.id
)
insert into review (org_id, id, kind, message_id, lane_id, resource_type, resource_id, detail, source_id, patient_id,
                    proposal)
select $1, t.id, t.kind, t.message_id, t.lane_id, t.resource_type, t.resource_id, t.detail, t.source_id, t.patient_id,
       t.proposal
  from told t where not exists (select 1 from known k where k.id = t.id);

-- name: lanes_under_review
-- Lanes with an open case about one of their messages, and the oldest such; it stays open until the transaction ends.
select distinct on (lane_id) lane_id, id
  from (select lane_id, id from review
         where org_id = $1 and state = 'open' and kind in ('identity', 'strictness') and lane_id = any($2::uuid[])
         order by id for share) as open_cases
 order by lane_id, id;

-- name: flush_record
-- What a unit of work writes in most cases, in one round trip: see record_flush, index_wipe and index_tokens.
select record_flush($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22,
                    $23, $24),
       index_wipe($25, $26, $27),
       index_tokens($28, $29, $30, $31, $32, $33),
       index_strings($34, $35, $36, $37, $38, $39),
       index_dates($40, $41, $42, $43, $44, $45, $46, $47, $48, $49),
       index_numbers($50, $51, $52, $53, $54, $55, $56, $57, $58, $59, $60, $61);

-- name: save_resources
-- New versions; see record_save.
select record_save($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12);

-- name: refresh_lineage
-- The source said again what stands: only the times in the lineage move.
update resource r set lineage = f.lineage
  from unnest($2::text[], $3::uuid[], $4::text[]) as f (type, id, lineage)
 where r.org_id = $1 and r.type = f.type and r.id = f.id;
