-- name: made_versions
-- Versions of resources, newest first, with what is known of who made them: the message that said so, the name of the
-- key. `head` is the beginning of the body, where its id stands. A version number of 0 asks for all of them.
select v.type, v.id, v.version, v.updated_at, v.deleted, v.patient_id, v.message_id, v.actor, left(v.body, 200) as head,
       m.source_id, m.event, l.name as key_name
  from (
    select r.type, r.id, r.version, r.updated_at, r.deleted, r.patient_id, r.message_id, r.actor, r.body
      from unnest($2::text[], $3::uuid[]) as wanted (type, id)
      join resource r on r.org_id = $1 and r.type = wanted.type and r.id = wanted.id
     where $4::integer in (0, r.version)
     union all
    select h.type, h.id, h.version, h.updated_at, h.deleted, h.patient_id, h.message_id, h.actor, h.body
      from unnest($2::text[], $3::uuid[]) as wanted (type, id)
      join resource_history h on h.org_id = $1 and h.type = wanted.type and h.id = wanted.id
     where $4::integer in (0, h.version)
  ) v
  left join message m on m.org_id = $1 and m.id = v.message_id
  left join credential_label l on l.org_id = $1 and 'key:' || l.credential_id = v.actor
 order by v.updated_at desc, v.type, v.id, v.version desc
 limit $5;
