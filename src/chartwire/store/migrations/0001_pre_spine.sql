-- The spine's schema: messages, lanes, the record, events, deliveries, trust.
-- Run as chartwire_owner. Rights and row-level security are given at the end, by list.

-- Organisations and their feeds -------------------------------------------------------------------------------------

create table organisation (
    org_id      uuid primary key,
    name        text not null,
    kind        text not null check (kind in ('live', 'sandbox', 'installation')),
    settings    text not null default '{}',
    created_at  timestamptz not null default now()
);

create table source (
    org_id      uuid not null,
    id          uuid not null,
    name        text not null,
    settings    text not null,
    created_at  timestamptz not null default now(),
    primary key (org_id, id),
    unique (org_id, name)
);

-- Read by chartwire_engine before an organisation is known: which organisations and sources there are, by listener.
create table route (
    kind        text not null check (kind in ('organisation', 'source')),
    org_id      uuid not null,
    source_id   uuid not null default '00000000-0000-0000-0000-000000000000',
    listener    text not null default '',
    created_at  timestamptz not null default now(),
    primary key (kind, org_id, source_id)
);

create table credential (
    key_hash      bytea primary key,
    credential_id uuid not null unique,
    org_id        uuid not null,
    scopes        text[] not null,
    last_four     text not null,
    created_at    timestamptz not null default now(),
    expires_at    timestamptz,
    revoked_at    timestamptz
);

-- Names of credentials are the tenant's words, so they stand behind row-level security, apart from the hashes.
create table credential_label (
    org_id        uuid not null,
    credential_id uuid not null,
    name          text not null,
    created_at    timestamptz not null default now(),
    primary key (org_id, credential_id)
);

create table schedule (
    org_id      uuid not null,
    id          uuid not null,
    kind        text not null,
    due_at      timestamptz not null,
    every_s     double precision,
    fence       bigint not null default 0,
    lease_until timestamptz,
    primary key (org_id, id)
);
create index schedule_due on schedule (due_at);

-- Intake ------------------------------------------------------------------------------------------------------------

create table message (
    org_id         uuid not null,
    id             uuid not null,
    source_id      uuid not null,
    received_at    timestamptz not null,
    state          text not null check (state in ('received', 'processed', 'filtered', 'held', 'dead')),
    event          text not null,
    control_id     text not null,
    mrn            text,
    lane_id        uuid,
    charset        text not null,
    body_bytes     integer not null,
    mode           text not null check (mode in ('live', 'record-only', 'preview')),
    ack_code       text,
    parent_id      uuid,
    processed_at   timestamptz,
    patient_id     uuid,
    error_code     text,
    error_location text,
    error_text     text,
    outcome        text,
    primary key (org_id, id)
) partition by range (id);
create index message_mrn on message (org_id, mrn, id desc) where mrn is not null;
create index message_control_id on message (org_id, control_id, id desc);
create index message_unsettled on message (org_id, state, id desc) where state <> 'processed';

create table message_body (
    org_id  uuid not null,
    id      uuid not null,
    class   text not null,
    raw     bytea not null,
    primary key (org_id, id, class)
) partition by list (class);
create table message_body_raw partition of message_body for values in ('raw') partition by range (id);
create table message_body_dead partition of message_body for values in ('dead', 'hold') partition by range (id);

create table intake_key (
    org_id      uuid not null,
    source_id   uuid not null,
    control_id  text not null,
    body_hash   bytea not null,
    message_id  uuid not null,
    received_at timestamptz not null default now(),
    ack         bytea not null,
    primary key (org_id, source_id, control_id, body_hash)
);
create index intake_key_age on intake_key (org_id, received_at);

create table quarantine (
    org_id      uuid not null,
    id          uuid not null,
    peer        text not null,
    reason      text not null,
    received_at timestamptz not null default now(),
    raw         bytea not null,
    primary key (org_id, id)
);
create index quarantine_peer on quarantine (org_id, peer);

-- Work engine -------------------------------------------------------------------------------------------------------

create table lane (
    lane_id     uuid primary key,
    org_id      uuid not null,
    kind        text not null check (kind in ('intake', 'delivery')),
    seq         bigint not null default 0,
    ready_at    timestamptz not null default 'infinity',
    not_before  timestamptz not null default '-infinity',
    owner       bigint,
    fence       bigint not null default 0,
    lease_until timestamptz,
    attempts    integer not null default 0,
    touched_at  timestamptz not null default now()
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
create index lane_ready on lane (kind, ready_at) where ready_at < 'infinity';
create index lane_owner on lane (owner) where owner is not null;

-- A merge holds a ticket in every lane it touches (`ticket_lanes`, all of them) and runs when it heads them all.
create table job (
    org_id       uuid not null,
    lane_id      uuid not null,
    seq          bigint not null,
    message_id   uuid not null,
    ticket_lanes uuid[],
    primary key (org_id, lane_id, seq)
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);

-- The record --------------------------------------------------------------------------------------------------------

create table resource (
    org_id           uuid not null,
    type             text not null,
    id               uuid not null,
    version          integer not null,
    updated_at       timestamptz not null,
    xid              xid8 not null default pg_current_xact_id(),
    deleted          boolean not null default false,
    patient_id       uuid,
    original_subject uuid,
    message_id       uuid,
    actor            text not null,
    body             text not null,
    lineage          text not null,
    primary key (org_id, type, id)
) with (fillfactor = 85, toast_tuple_target = 8160);
create index resource_patient on resource (patient_id, org_id, type) where patient_id is not null;

create table resource_history (
    org_id           uuid not null,
    type             text not null,
    id               uuid not null,
    version          integer not null,
    updated_at       timestamptz not null,
    xid              xid8 not null,
    deleted          boolean not null,
    patient_id       uuid,
    original_subject uuid,
    message_id       uuid,
    actor            text not null,
    body             text not null,
    lineage          text not null,
    primary key (org_id, type, id, version)
);

create table source_key (
    org_id      uuid not null,
    type        text not null,
    key         uuid not null,
    resource_id uuid not null,
    original_id uuid not null,
    primary key (org_id, type, key)
);
-- Not led by org_id: a plan that looked up keys by the organisation alone would read all of its keys.
create index source_key_resource on source_key (resource_id, org_id);

create table search_value (
    org_id      uuid not null,
    type        text not null,
    param       text not null,
    value       text not null,
    resource_id uuid not null,
    primary key (org_id, type, param, value, resource_id)
);

create table snapshot (
    org_id     uuid not null,
    scope      uuid not null,
    members    uuid[] not null,
    message_id uuid not null,
    primary key (org_id, scope)
);

create table merge (
    org_id      uuid not null,
    id          uuid not null,
    loser_id    uuid not null,
    survivor_id uuid not null,
    message_id  uuid,
    actor       text not null,
    merged_at   timestamptz not null default now(),
    undone_at   timestamptz,
    primary key (org_id, id)
);
create index merge_loser on merge (org_id, loser_id);

create table review (
    org_id        uuid not null,
    id            uuid not null,
    kind          text not null,
    state         text not null default 'open' check (state in ('open', 'resolved')),
    message_id    uuid,
    lane_id       uuid,
    resource_type text,
    resource_id   uuid,
    detail        text not null default '{}',
    created_at    timestamptz not null default now(),
    resolved_at   timestamptz,
    resolution    text,
    primary key (org_id, id)
);
create index review_open on review (org_id, created_at) where state = 'open';
create index review_lane on review (org_id, lane_id) where state = 'open' and lane_id is not null;

-- Events and deliveries ---------------------------------------------------------------------------------------------

create table event (
    org_id        uuid not null,
    id            uuid not null,
    xid           xid8 not null default pg_current_xact_id(),
    created_at    timestamptz not null,
    type          text not null,
    resource_type text not null,
    resource_id   uuid not null,
    version       integer not null,
    patient_id    uuid,
    changed       text[] not null default '{}',
    message_id    uuid,
    mode          text not null check (mode in ('live', 'record-only')),
    detail        text not null default '{}',
    primary key (org_id, id)
) partition by range (id);

create index event_feed on event (org_id, xid, id);

create table destination (
    org_id        uuid not null,
    id            uuid not null,
    kind          text not null check (kind in ('webhook')),
    name          text not null,
    url           text not null,
    event_types   text[] not null,
    secrets       bytea not null,
    api_version   text not null,
    state         text not null default 'enabled' check (state in ('enabled', 'disabled')),
    state_reason  text,
    settings      text not null default '{}',
    created_at    timestamptz not null default now(),
    primary key (org_id, id)
);

create table delivery (
    org_id          uuid not null,
    event_id        uuid not null,
    destination_id  uuid not null,
    state           text not null check (state in ('pending', 'retrying', 'unknown', 'delivered', 'dead')),
    attempts        integer not null default 0,
    next_attempt_at timestamptz not null,
    created_at      timestamptz not null,
    finished_at     timestamptz,
    message_id      uuid,
    body            bytea not null,
    primary key (org_id, event_id, destination_id)
) partition by range (event_id);
create index delivery_due on delivery (org_id, destination_id, next_attempt_at)
    where state in ('pending', 'retrying', 'unknown');

create table delivery_attempt (
    org_id         uuid not null,
    event_id       uuid not null,
    destination_id uuid not null,
    number         integer not null,
    started_at     timestamptz not null,
    outcome        text not null,
    status         integer,
    duration_ms    integer not null,
    error          text,
    response       bytea,
    primary key (org_id, event_id, destination_id, number)
) partition by range (event_id);

-- Trust -------------------------------------------------------------------------------------------------------------

create table audit (
    org_id        uuid not null,
    id            uuid not null,
    xid           xid8 not null default pg_current_xact_id(),
    at            timestamptz not null,
    actor         text not null,
    purpose       text not null,
    action        text not null,
    resource_type text not null,
    query_shape   text not null,
    row_count     integer not null,
    patient_ids   uuid[] not null,
    status        integer not null,
    request_id    text not null,
    primary key (org_id, id)
) partition by range (id);

-- A partition for what no month covers, so that an insert never fails for want of one; ensure_partitions keeps it empty.
create table message_default partition of message default;
create table message_body_raw_default partition of message_body_raw default;
create table message_body_dead_default partition of message_body_dead default;
create table event_default partition of event default;
create table delivery_default partition of delivery default;
create table delivery_attempt_default partition of delivery_attempt default;
create table audit_default partition of audit default;

-- Row-level security and rights, by list ------------------------------------------------------------------------------

do $$
declare
    name text;
begin
    foreach name in array array[
        'organisation', 'source', 'credential_label', 'message', 'message_body', 'intake_key', 'quarantine', 'job',
        'resource', 'resource_history', 'source_key', 'search_value', 'snapshot', 'merge', 'review', 'event',
        'destination', 'delivery', 'delivery_attempt', 'audit']
    loop
        execute format('alter table %I enable row level security', name);
        execute format('alter table %I force row level security', name);
        execute format(
            'create policy organisation_only on %I for all '
            'using (org_id = nullif(current_setting(''chartwire.org_id'', true), '''')::uuid)', name);
    end loop;
end
$$;

-- message_body's inner level is a partition too: no grants there.
grant select, insert, update on
    organisation, source, credential_label, message, resource, snapshot, merge, review, destination, delivery
    to chartwire_app;
grant select, insert on resource_history, event, delivery_attempt, audit to chartwire_app;
grant select, insert, update, delete on message_body, intake_key, quarantine, job, source_key, search_value
    to chartwire_app;
grant select, insert, update on lane to chartwire_app;
grant insert, update, select on route, schedule to chartwire_app;
grant insert on credential to chartwire_app;
grant update (revoked_at, expires_at) on credential to chartwire_app;
grant select (credential_id, org_id, scopes, last_four, created_at, expires_at, revoked_at) on credential
    to chartwire_app;

grant select on credential, route, lane, schedule to chartwire_engine;
grant update on lane, schedule to chartwire_engine;
grant delete on lane to chartwire_engine;
