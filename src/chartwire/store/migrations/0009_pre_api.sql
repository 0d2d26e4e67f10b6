-- The developer's API: answers kept for an Idempotency-Key, and the registry of custom fields.

-- `answer` is sealed: it may hold a secret that is shown once, or a patient's data. `item` is the place in a batch, -1 for
-- the whole answer.
create table idempotency_key (
    org_id      uuid not null,
    scope_hash  bytea not null,
    item        integer not null default -1,
    fingerprint bytea not null,
    answer      bytea not null,
    created_at  timestamptz not null default now(),
    expires_at  timestamptz not null,
    primary key (org_id, scope_hash, item)
);
create index idempotency_key_expiry on idempotency_key (org_id, expires_at);

create table custom_field (
    org_id      uuid not null,
    noun        text not null check (noun in ('patient', 'appointment', 'provider', 'location')),
    name        text not null,
    id          uuid not null,
    type        text not null check (type in ('string', 'integer', 'decimal', 'boolean', 'date', 'datetime', 'code')),
    label       text not null,
    required    boolean not null,
    searchable  boolean not null,
    max_length  integer,
    allowed     text[] not null default '{}',
    created_at  timestamptz not null default now(),
    updated_at  timestamptz not null default now(),
    retired_at  timestamptz,
    primary key (org_id, noun, name),
    unique (org_id, id)
);

do $$
declare
    name text;
begin
    foreach name in array array['idempotency_key', 'custom_field']
    loop
        execute format('alter table %I enable row level security', name);
        execute format('alter table %I force row level security', name);
        execute format(
            'create policy organisation_only on %I for all '
            'using (org_id = nullif(current_setting(''chartwire.org_id'', true), '''')::uuid)', name);
    end loop;
end
$$;
grant select, insert, update, delete on idempotency_key to chartwire_app;
grant select, insert, update on custom_field to chartwire_app;

-- Opens the transaction of one request that carries a key: binds it to the organisation, credential checked; waits at most
-- `p_wait_ms` for another request with the same key (55P03 then); gives the answers that are kept.
create function idempotency_open(p_credential uuid, p_org uuid, p_scope bytea, p_lock bigint, p_wait_ms integer)
returns table (item integer, fingerprint bytea, answer bytea)
language plpgsql
as $$
#variable_conflict use_column
declare
    before text := current_setting('lock_timeout');
begin
    perform access_open(p_credential, p_org);
    perform set_config('lock_timeout', p_wait_ms::text, true);
    perform pg_advisory_xact_lock(p_lock);
    perform set_config('lock_timeout', before, true);
    return query
    select k.item, k.fingerprint, k.answer
      from idempotency_key k
     where k.org_id = p_org and k.scope_hash = p_scope and k.expires_at > now();
end
$$;

revoke all on function idempotency_open(uuid, uuid, bytea, bigint, integer) from public;
grant execute on function idempotency_open(uuid, uuid, bytea, bigint, integer) to chartwire_app;

-- A request id made here names its audit row by its key; only ids that callers chose need an index.
create index audit_request on audit (org_id, request_id) where request_id not like 'req\_%';
