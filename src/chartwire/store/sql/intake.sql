-- name: intake_flush
-- One group commit: ledger, messages, bodies, lanes, jobs. Answers a row for each message that is no plain new one.
select position, outcome from intake_flush(
    $1::uuid[], $2::uuid[], $3::uuid[], $4::timestamptz[], $5::text[], $6::text[], $7::text[], $8::bytea[], $9::text[],
    $10::uuid[], $11::text[], $12::text[], $13::text[], $14::text[], $15::bytea[], $16::bytea[], $17::text[],
    $18::text[], $19::text[], $20::bytea[]);

-- name: intake_answers
-- What the ledger holds for resends: the first message's id and its ACK.
select position, ack, message_id from intake_answers($1::uuid[], $2::uuid[], $3::text[], $4::bytea[]);

-- name: ledger_ack
-- Writes the final ACK of a message that is answered after processing; the first one written stays. Answers it.
with written as (
    update intake_key set ack = $5
     where org_id = $1 and source_id = $2 and control_id = $3 and body_hash = $4 and ack = ''
    returning ack
)
select ack from written
union all
select ack from intake_key
 where org_id = $1 and source_id = $2 and control_id = $3 and body_hash = $4 and ack <> '' limit 1;

-- name: settled_messages
-- Those of these messages whose processing has ended.
select id, state, error_code, error_location, error_text, coalesce(processed_at, received_at) as settled_at
  from message where org_id = $1 and id = any($2::uuid[]) and state <> 'received';

-- name: quarantine_message
-- Keeps a message of an unknown peer while that peer is below $6 messages and $7 bytes. Answers whether it was kept.
insert into quarantine (org_id, id, peer, reason, raw)
select $1::uuid, $2::uuid, $3::text, $4::text, $5::bytea
  from (select count(*) as messages, coalesce(sum(octet_length(raw)), 0) as bytes
          from quarantine where org_id = $1 and peer = $3) as held
 where held.messages < $6 and held.bytes + octet_length($5::bytea) <= $7
returning id;

-- name: lock_quarantine_peer
-- One writer a peer, so that the caps hold between processes.
select pg_advisory_xact_lock(hashtextextended($1, 0));

-- name: expire_ledger
-- Forgets up to $3 resend keys of one organisation that came before $2.
delete from intake_key
 where (org_id, source_id, control_id, body_hash) in (
        select org_id, source_id, control_id, body_hash from intake_key
         where org_id = $1 and received_at < $2 order by received_at limit $3);

-- name: insert_organisation
-- A new organisation, in its own scope.
insert into organisation (org_id, name, kind) values ($1, $2, $3) on conflict (org_id) do nothing;

-- name: insert_route
-- Lets the listeners find an organisation, or a source and its listener, before an organisation is known.
insert into route (kind, org_id, source_id, listener) values ($1, $2, $3, $4)
    on conflict (kind, org_id, source_id) do update set listener = excluded.listener;

-- name: insert_source
-- A new source.
insert into source (org_id, id, name, settings) values ($1, $2, $3, $4);

-- name: list_routes
-- Every organisation and every source with its listener; for chartwire_engine.
select kind, org_id, source_id, listener from route order by org_id, source_id;

-- name: list_organisation
-- The organisation of this scope.
select org_id, name, kind from organisation where org_id = $1;

-- name: audit_refused_sender
-- A sender of this organisation named another one.
insert into audit (org_id, id, at, actor, purpose, action, resource_type, query_shape, row_count, patient_ids, status,
                   request_id)
values ($1, $2, now(), $3, 'HOPERAT', 'refuse', 'Message', $4, 0, '{}', 403, $5);
