-- name: idempotency_open
-- Bind the transaction, wait for its turn, and read the answers kept under its key; see idempotency_open.
select item, fingerprint, answer from idempotency_open($1, $2, $3, $4, $5);

-- name: idempotency_keep
-- Keep an answer for $6 seconds; one that has expired is replaced.
insert into idempotency_key (org_id, scope_hash, item, fingerprint, answer, expires_at)
values ($1, $2, $3, $4, $5, now() + make_interval(secs => $6))
    on conflict (org_id, scope_hash, item) do update
   set fingerprint = excluded.fingerprint, answer = excluded.answer, created_at = now(),
       expires_at = excluded.expires_at;

-- name: idempotency_forget
-- Drop at most $2 answers whose time is over.
delete from idempotency_key
 where (org_id, scope_hash, item) in (
       select org_id, scope_hash, item from idempotency_key
        where org_id = $1 and expires_at <= now() order by expires_at limit $2 for update skip locked);
