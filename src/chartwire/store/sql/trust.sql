-- name: authenticate
-- Who holds the key of this SHA-256: nobody when it is unknown, revoked or expired.
select credential_id, org_id, scopes from authenticate($1);

-- name: insert_credential
-- A new key: its hash, never the key.
insert into credential (key_hash, credential_id, org_id, scopes, last_four, expires_at) values ($1, $2, $3, $4, $5, $6);

-- name: insert_credential_label
-- The tenant's name for a key.
insert into credential_label (org_id, credential_id, name) values ($1, $2, $3);

-- name: list_credentials
-- The keys of one organisation, newest first. `credential` has no row-level security: the organisation is named twice.
select c.credential_id, l.name, c.scopes, c.last_four, c.created_at, c.expires_at, c.revoked_at
  from credential_label l
  join credential c on c.credential_id = l.credential_id and c.org_id = l.org_id
 where l.org_id = $1 and c.org_id = $1 and c.credential_id < $2
 order by c.credential_id desc limit $3;

-- name: revoke_credential
-- End a key now. No row when the organisation has no such key; the first revocation's time stays.
update credential set revoked_at = coalesce(revoked_at, now())
 where org_id = $1 and credential_id = $2
returning credential_id;

-- name: organisation_kind
-- Whether the organisation is live or a sandbox.
select kind from organisation where org_id = $1;

-- name: flush_audit
-- One group commit of audit rows; see audit_flush.
select audit_flush($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13);
