-- name: element_versions
-- Versions of a resource with their bodies and which fields made their elements, newest first.
select version, updated_at, deleted, patient_id, message_id, actor, body, lineage
  from resource where org_id = $1 and type = $2 and id = $3
 union all
select version, updated_at, deleted, patient_id, message_id, actor, body, lineage
  from resource_history where org_id = $1 and type = $2 and id = $3
 order by version desc limit $4;

-- name: names_of_writers
-- The names of sources and of keys, by id.
select id, name from source where org_id = $1 and id = any($2::uuid[])
 union all
select credential_id, name from credential_label where org_id = $1 and credential_id = any($2::uuid[]);

-- name: events_of_messages
-- What kind of message each of these is, as long as it is kept.
select id, event from message where org_id = $1 and id = any($2::uuid[]);
