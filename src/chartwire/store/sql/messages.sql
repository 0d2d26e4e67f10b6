-- name: insert_message_keys
-- The numbers that messages are found by; those of a message that is settled once more stand already.
insert into message_key (org_id, kind, value, authority, message_id)
select $1, k.kind, k.value, k.authority, k.message_id
  from unnest($2::text[], $3::text[], $4::text[], $5::uuid[]) as k (kind, value, authority, message_id)
    on conflict do nothing;

-- name: reviews_of_message
-- The cases for a person that a message made.
select id, kind, state, created_at from review where org_id = $1 and message_id = $2 order by id desc limit $3;
