-- Finding messages by the numbers that they carry, and sources that are changed, versioned and retired by API.

-- The numbers of a message that was read: patient, visit, order, accession and appointment numbers. One row a kind,
-- number and authority; the list of a number is read from the end of the primary key, newest message first.
create table message_key (
    org_id     uuid not null,
    kind       text not null,
    value      text not null,
    message_id uuid not null,
    authority  text not null,
    primary key (org_id, kind, value, message_id, authority)
) partition by range (message_id);
create table message_key_default partition of message_key default;

alter table message_key enable row level security;
alter table message_key force row level security;
create policy organisation_only on message_key for all
    using (org_id = nullif(current_setting('chartwire.org_id', true), '')::uuid);
grant select, insert on message_key to chartwire_app;

-- By source: the list of a feed, its last message and its count of today. What is in trouble, by source: to be counted.
create index message_source on message (org_id, source_id, id desc);
create index message_trouble on message (org_id, source_id, state) where state in ('held', 'dead') and decision is null;
-- Both are written when a message is settled, not on intake.
create index message_patient on message (org_id, patient_id, id desc) where patient_id is not null;
create index message_error on message (org_id, error_code, id desc) where error_code is not null;
create index review_message on review (org_id, message_id) where message_id is not null;

-- A source that is retired keeps its row for its messages and gives its name free.
alter table source add column version integer not null default 1;
alter table source add column updated_at timestamptz not null default now();
alter table source add column retired_at timestamptz;
alter table source drop constraint source_org_id_name_key;
create unique index source_name on source (org_id, name) where retired_at is null;

-- The sources of one listener, of every organisation: what a new one has to be told apart from. Leaves the transaction
-- bound to the organisation that it was bound to.
create function sources_of_listener(p_listener text)
returns table (org_id uuid, id uuid, name text, settings text)
language plpgsql
as $$
#variable_conflict use_column
declare
    v_bound text := current_setting('chartwire.org_id', true);
    v_org uuid;
begin
    for v_org in select distinct r.org_id from route r where r.kind = 'source' and r.listener = p_listener loop
        perform set_config('chartwire.org_id', v_org::text, true);
        return query
        select s.org_id, s.id, s.name, s.settings
          from route r join source s on s.org_id = r.org_id and s.id = r.source_id
         where r.org_id = v_org and r.kind = 'source' and r.listener = p_listener and s.retired_at is null;
    end loop;
    perform set_config('chartwire.org_id', coalesce(v_bound, ''), true);
end
$$;
revoke all on function sources_of_listener(text) from public;
grant execute on function sources_of_listener(text) to chartwire_app;
