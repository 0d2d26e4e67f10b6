-- Embedded documents: the bytes once by their hash, apart from the resources that show them.

create table content (
    org_id     uuid not null,
    id         uuid not null,
    sha256     bytea not null,
    media_type text not null,
    size_bytes bigint not null,
    data       bytea not null,
    created_at timestamptz not null,
    primary key (org_id, id),
    unique (org_id, sha256)
);
-- PDF and images are compressed already: TOAST need not try.
alter table content alter column data set storage external;

-- Which resources show, or showed in a version before, which content. Content that none does any more may go.
create table content_link (
    org_id        uuid not null,
    content_id    uuid not null,
    resource_type text not null,
    resource_id   uuid not null,
    primary key (org_id, content_id, resource_type, resource_id)
);
create index content_link_resource on content_link (org_id, resource_type, resource_id);

do $$
declare
    name text;
begin
    foreach name in array array['content', 'content_link']
    loop
        execute format('alter table %I enable row level security', name);
        execute format('alter table %I force row level security', name);
        execute format(
            'create policy organisation_only on %I for all '
            'using (org_id = nullif(current_setting(''chartwire.org_id'', true), '''')::uuid)', name);
    end loop;
end
$$;
grant select, insert, delete on content, content_link to chartwire_app;
