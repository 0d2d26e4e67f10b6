-- Legal holds, and the removal of contents that nothing shows.

-- What must be kept beyond its term, whoever asks: the bytes of one message, or of all messages about a patient and those
-- ever merged with them. While a hold stands, the bodies are of the class `hold`.
create table legal_hold (
    org_id         uuid not null,
    id             uuid not null,
    kind           text not null check (kind in ('patient', 'message')),
    subject_id     uuid not null,
    reason         text not null,
    placed_at      timestamptz not null default now(),
    placed_by      text not null,
    released_at    timestamptz,
    released_by    text,
    release_reason text,
    primary key (org_id, id)
);
create unique index legal_hold_stands on legal_hold (org_id, subject_id) where released_at is null;

do $$
begin
    alter table legal_hold enable row level security;
    alter table legal_hold force row level security;
    create policy organisation_only on legal_hold for all
        using (org_id = nullif(current_setting('chartwire.org_id', true), '')::uuid);
end
$$;
grant select, insert, update on legal_hold to chartwire_app;

-- Whoever links to a content that is there already locks its row (for key share, which needs this right), and contents go
-- only under the lock that bars it: the links are counted in a second statement, which sees what was committed before.
grant update (created_at) on content to chartwire_app;
create function expire_contents(org uuid, before timestamptz, most integer, out rows bigint, out bytes bigint)
language plpgsql as $$
declare
    locked uuid[];
begin
    select array_agg(id) into locked from (
        select c.id from content c
         where c.org_id = org and c.created_at < before
           and not exists (select 1 from content_link l where l.org_id = org and l.content_id = c.id)
         limit most for update skip locked) as free;
    with gone as (
        delete from content c
         where c.org_id = org and c.id = any(locked)
           and not exists (select 1 from content_link l where l.org_id = org and l.content_id = c.id)
        returning c.size_bytes)
    select count(*), coalesce(sum(size_bytes), 0) into rows, bytes from gone;
end
$$;

-- The schedule of a replay that has ended is over.
grant delete on schedule to chartwire_app;
delete from schedule where kind = 'webhook_replay' and due_at = 'infinity';
