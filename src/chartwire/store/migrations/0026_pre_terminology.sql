-- Code systems that an operator has loaded (LOINC, SNOMED CT, RxNorm, ICD-10-CM, CVX). They belong to the installation's
-- own organisation, and hold no data of patients.

-- Which edition of a system is in force. `version` is what its publisher calls it.
create table terminology_system (
    org_id    uuid not null,
    system    text collate "C" not null,
    edition   uuid not null,
    version   text not null default '',
    concepts  bigint not null,
    loaded_at timestamptz not null default now(),
    primary key (org_id, system)
);

-- The concepts of an edition. `properties` are name -> value (LOINC: CLASSTYPE, SCALE_TYP; RxNorm: TTY).
create table terminology_concept (
    org_id     uuid not null,
    edition    uuid not null,
    code       text collate "C" not null,
    display    text not null,
    inactive   boolean not null default false,
    properties jsonb not null default '{}',
    primary key (org_id, edition, code)
);

-- Which concept subsumes which, one step each.
create table terminology_parent (
    org_id  uuid not null,
    edition uuid not null,
    code    text collate "C" not null,
    parent  text collate "C" not null,
    primary key (org_id, edition, code, parent)
);
create index terminology_parent_children on terminology_parent (org_id, edition, parent, code);

do $$
declare
    name text;
begin
    foreach name in array array['terminology_system', 'terminology_concept', 'terminology_parent'] loop
        execute format('alter table %I enable row level security', name);
        execute format('alter table %I force row level security', name);
        execute format('create policy organisation_only on %I for all '
                       'using (org_id = nullif(current_setting(''chartwire.org_id'', true), '''')::uuid)', name);
    end loop;
end
$$;
grant select, insert, update, delete on terminology_system, terminology_concept, terminology_parent to chartwire_app;
