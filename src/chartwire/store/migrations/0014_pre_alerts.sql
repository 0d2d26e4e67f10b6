-- The alert engine: what is watched and by which bounds, what burns, who is told and what they were told.

-- A rule of an organisation over the default of the same name in alerts/rules.yaml, or one of its own.
create table alert_rule (
    org_id     uuid not null,
    id         uuid not null,
    name       text not null,
    settings   text not null,
    version    integer not null default 1,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (org_id, id),
    unique (org_id, name)
);

-- Where notices go. `sealed` holds the secret part of the settings: tokens, passwords, webhook addresses.
create table alert_channel (
    org_id     uuid not null,
    id         uuid not null,
    name       text not null,
    kind       text not null check (kind in ('email', 'slack', 'teams', 'pagerduty', 'webhook')),
    settings   text not null,
    sealed     bytea not null,
    secret_names text[] not null default '{}',
    state      text not null default 'enabled' check (state in ('enabled', 'disabled')),
    version    integer not null default 1,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (org_id, id),
    unique (org_id, name)
);

-- One thing that a rule watches (`key`: a source, an endpoint, a volume) while it is not well. One row a bout: a new bout
-- is a new row. A bout is kept while its rule still waits (`pending`), so that a restart forgets nothing; one that ends
-- before anybody was told is deleted.
create table alert (
    org_id          uuid not null,
    id              uuid not null,
    rule            text not null,
    key             text not null,
    state           text not null check (state in ('pending', 'firing', 'acknowledged', 'recovered')),
    severity        text not null check (severity in ('info', 'warning', 'critical')),
    summary         text not null,
    value           double precision,
    since           timestamptz not null,
    fired_at        timestamptz,
    recovered_at    timestamptz,
    well_since      timestamptz,
    acknowledged_at timestamptz,
    acknowledged_by text,
    note            text,
    snoozed_until   timestamptz,
    escalated       integer not null default 0,
    reminded_at     timestamptz,
    seen_at         timestamptz not null,
    primary key (org_id, id)
);
create unique index alert_open on alert (org_id, rule, key) where state in ('pending', 'firing', 'acknowledged');
create index alert_listed on alert (org_id, since desc, id);

-- A notice on its way, written in the transaction of the change that it tells. `send_at` may lie at the next opening.
create table alert_notice (
    org_id      uuid not null,
    id          uuid not null,
    alert_id    uuid not null,
    channel_id  uuid not null,
    kind        text not null check (kind in ('start', 'escalation', 'reminder', 'acknowledged', 'recovery', 'test')),
    state       text not null default 'pending' check (state in ('pending', 'sent', 'dead', 'withdrawn')),
    send_at     timestamptz not null,
    attempts    integer not null default 0,
    error       text,
    created_at  timestamptz not null default now(),
    finished_at timestamptz,
    primary key (org_id, id)
);
create index alert_notice_due on alert_notice (org_id, send_at) where state = 'pending';
create index alert_notice_of on alert_notice (org_id, alert_id);

-- What a feed usually does: of each slot of 15 minutes of its local week (0 = Monday 00:00) the mean count of messages,
-- its variance and from how many weeks it was learned; 672 of each. `counted_until` says where to go on.
create table feed_rhythm (
    org_id        uuid not null,
    source_id     uuid not null,
    means         real[] not null,
    variances     real[] not null,
    weeks         real[] not null,
    counted_until timestamptz not null,
    primary key (org_id, source_id)
);

-- Since when a feed is watched without a break: a halt of the feed or a standstill of the watch begins it anew, so that
-- what could not come is no silence. The last break was from `broken_from` until `since`.
create table feed_watch (
    org_id      uuid not null,
    source_id   uuid not null,
    since       timestamptz not null,
    broken_from timestamptz,
    looked_at   timestamptz not null,
    primary key (org_id, source_id)
) with (fillfactor = 50);

do $$
declare
    name text;
begin
    foreach name in array array['alert_rule', 'alert_channel', 'alert', 'alert_notice', 'feed_rhythm',
                               'feed_watch'] loop
        execute format('alter table %I enable row level security', name);
        execute format('alter table %I force row level security', name);
        execute format(
            'create policy organisation_only on %I for all '
            'using (org_id = nullif(current_setting(''chartwire.org_id'', true), '''')::uuid)', name);
    end loop;
end
$$;

grant select, insert, update, delete on alert_rule, alert_channel, alert, alert_notice, feed_rhythm, feed_watch
    to chartwire_app;
