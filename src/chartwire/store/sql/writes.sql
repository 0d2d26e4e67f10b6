-- name: delete_keys_of
-- Nothing leads to these resources any more: they are deleted.
delete from source_key where resource_id = any($2::uuid[]) and org_id = $1;

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

-- name: keep_item
-- What one item did stands with the rest.
release savepoint item;

-- name: undo_item
-- Undo what one item did.
rollback to savepoint item;

-- name: parking_turn
-- Wait for the turn of source keys until the transaction ends; see parking_turn.
select parking_turn($1, $2, $3);

-- name: parked_for
-- What waits for records of these source keys, locked, in order (see parked_for), and whether who asked still may.
select p.id, p.noun, p.op, p.target_id, p.version, p.body, p.credential_id, p.actor, p.request_id,
       p.credential_id is null or exists (
           select 1 from credential c
            where c.org_id = $1 and c.credential_id = p.credential_id and c.revoked_at is null
              and (c.expires_at is null or c.expires_at > now())) as permitted
  from parked_for($1, $2, $3) p order by p.id;

-- name: insert_parked
-- Park a write; no row when the organisation has as many as it may.
insert into parked_write (org_id, id, noun, op, target_id, version, body, waits_type, waits_key, pointer, credential_id,
                          actor, request_id, expires_at)
select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, now() + make_interval(secs => $14)
 where (select count(*) from (select 1 from parked_write where org_id = $1 limit $15) as counted) < $15
returning created_at, expires_at;

-- name: repark
-- A parked write waits for another record.
update parked_write set waits_type = $3, waits_key = $4, pointer = $5 where org_id = $1 and id = $2;

-- name: delete_parked
-- A parked write was made, was given up or taken back.
delete from parked_write where org_id = $1 and id = $2 returning id;

-- name: list_parked
-- Parked writes, newest first.
select id, noun, op, waits_type, pointer, actor, created_at, expires_at
  from parked_write where org_id = $1 and id < $2 order by id desc limit $3;

-- name: read_parked
-- One parked write.
select id, noun, op, waits_type, pointer, actor, created_at, expires_at from parked_write where org_id = $1 and id = $2;

-- name: give_up_parked
-- Parked writes whose time is over, a bounded number a call; answers what they were.
delete from parked_write
 where org_id = $1 and id in (select id from parked_write where org_id = $1 and expires_at <= $2
                               order by expires_at limit $3 for update skip locked)
returning id;
