-- name: known_contents
-- Which of these contents are stored already; retention leaves them alone until this transaction has linked them.
select id from content where org_id = $1 and id = any($2::uuid[]) order by id for key share;

-- name: insert_content
-- One content. Another transaction may have stored the same bytes meanwhile.
insert into content (org_id, id, sha256, media_type, size_bytes, data, created_at) values ($1, $2, $3, $4, $5, $6, $7)
    on conflict do nothing;

-- name: insert_content_links
-- Which resources show which contents.
insert into content_link (org_id, content_id, resource_type, resource_id)
select $1, l.content_id, l.type, l.resource_id
  from unnest($2::uuid[], $3::text[], $4::uuid[]) as l (content_id, type, resource_id)
 order by l.content_id, l.type, l.resource_id
    on conflict do nothing;

-- name: read_content
-- A content that some document shows, with the patients that it is about. Binaries of clients are read as resources.
select c.media_type, c.size_bytes, c.created_at, c.data,
       array(select distinct r.patient_id
               from content_link l
               join resource r on r.org_id = l.org_id and r.type = l.resource_type and r.id = l.resource_id
              where l.org_id = c.org_id and l.content_id = c.id and l.resource_type <> 'Binary'
                and r.patient_id is not null) as patients
  from content c
 where c.org_id = $1 and c.id = $2
   and exists (select 1 from content_link l
                 join resource r on r.org_id = l.org_id and r.type = l.resource_type and r.id = l.resource_id
                where l.org_id = c.org_id and l.content_id = c.id and l.resource_type <> 'Binary' and not r.deleted);

-- name: shows_document
-- Whether this id is that of a content that some document shows, or showed.
select exists (select 1 from content_link where org_id = $1 and content_id = $2 and resource_type <> 'Binary')
   and exists (select 1 from content where org_id = $1 and id = $2);

-- name: bytes_of_content
-- A content by itself.
select data from content where org_id = $1 and id = $2;

-- name: read_binary
-- The resource of a Binary as it stands, or one version of it.
select version, updated_at, deleted, patient_id, body
  from resource where org_id = $1 and type = 'Binary' and id = $2 and ($3::integer is null or version = $3)
 union all
select version, updated_at, deleted, patient_id, body
  from resource_history where org_id = $1 and type = 'Binary' and id = $2 and version = $3;

-- name: documents_of_patient
-- The documents of a patient, newest first.
select id, version, updated_at, deleted, patient_id, message_id, actor, body
  from resource
 where org_id = $1 and patient_id = $2 and type = 'DocumentReference' and not deleted and id < $3
 order by id desc limit $4;
