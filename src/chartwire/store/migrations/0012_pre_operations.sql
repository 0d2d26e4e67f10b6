-- Operations: which installation this database belongs to and whether it may speak; what retention removed; disk samples.

-- One row, of the installation's own organisation. `fingerprint` is that of the machine that armed it; deliveries older
-- than `disarmed_at` are asked about when it is armed again.
create table installation (
    org_id      uuid not null,
    id          uuid not null,
    fingerprint text not null,
    armed       boolean not null,
    reason      text not null check (reason in ('new', 'by_operator', 'restored', 'copied')),
    changed_at  timestamptz not null default now(),
    disarmed_at timestamptz,
    primary key (org_id, id)
);

-- What a run of the retention job removed: rows of one class of one organisation, up to `before`.
create table retention_run (
    org_id  uuid not null,
    id      uuid not null,
    class   text not null,
    how     text not null check (how in ('partition', 'rows')),
    at      timestamptz not null default now(),
    before  timestamptz not null,
    rows    bigint not null,
    bytes   bigint not null,
    primary key (org_id, id)
);
create index retention_run_class on retention_run (org_id, class, at desc);

-- What came in on one day (UTC), by class; `database` is the size of all, kept by the installation's organisation.
create table disk_sample (
    org_id  uuid not null,
    day     date not null,
    class   text not null,
    rows    bigint not null,
    bytes   bigint not null,
    primary key (org_id, day, class)
);

do $$
declare
    name text;
begin
    foreach name in array array['installation', 'retention_run', 'disk_sample'] loop
        execute format('alter table %I enable row level security', name);
        execute format('alter table %I force row level security', name);
        execute format(
            'create policy organisation_only on %I for all '
            'using (org_id = nullif(current_setting(''chartwire.org_id'', true), '''')::uuid)', name);
    end loop;
end
$$;

grant select, insert, update on installation, disk_sample to chartwire_app;
grant select, insert, update on retention_run to chartwire_app;
