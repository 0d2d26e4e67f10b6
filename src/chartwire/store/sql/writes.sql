-- name: patients_of
-- Whose these resources of a type are.
select distinct patient_id from resource
 where org_id = $1 and type = $2 and id = any($3::uuid[]) and patient_id is not null;

-- name: delete_keys
-- Source keys that lead nowhere from now on.
delete from source_key s
 using unnest($2::text[], $3::uuid[]) as k (type, key)
 where s.org_id = $1 and s.type = k.type and s.key = k.key;

-- name: authorities_of_feeds
-- The assigning authorities of the organisation's feeds, each once.
select distinct settings::json ->> 'authority' as authority from source
 where org_id = $1 and coalesce(settings::json ->> 'authority', '') <> '' limit 2;

-- name: begin_item
-- What comes from here on may be undone alone.
savepoint item;

-- name: undo_item
-- Undo what one item did.
rollback to savepoint item;
