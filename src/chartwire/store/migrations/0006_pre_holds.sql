-- Feeds that stand still for a while, lanes that wait for a person, and what people decided about messages.

-- Whether a source stands still now, by hand or by a maintenance window: `source_halt` has every reason for it.
alter table source
    add column on_hold boolean not null default false,
    add column paused boolean not null default false;

-- `window_id` is all zeros for what a person began; `until` is null where only a person ends it.
create table source_halt (
    org_id    uuid not null,
    source_id uuid not null,
    mode      text not null check (mode in ('hold', 'pause')),
    window_id uuid not null default '00000000-0000-0000-0000-000000000000',
    reason    text not null,
    actor     text not null,
    since     timestamptz not null,
    until     timestamptz,
    primary key (org_id, source_id, mode, window_id)
);

-- `source_id` null is every source of the organisation. `weekly_zone` (IANA) repeats it each week at the same local time.
create table maintenance_window (
    org_id      uuid not null,
    id          uuid not null,
    source_id   uuid,
    mode        text not null check (mode in ('hold', 'pause')),
    starts_at   timestamptz not null,
    ends_at     timestamptz not null,
    weekly_zone text,
    reason      text not null,
    actor       text not null,
    created_at  timestamptz not null default now(),
    primary key (org_id, id),
    check (ends_at > starts_at)
);

-- A lane that waits for a source to be released or for a case to be decided; its jobs stay where they are. Messages up to
-- `marked_seq` show that they are held.
create table lane_hold (
    org_id     uuid not null,
    lane_id    uuid not null,
    source_id  uuid,
    review_id  uuid,
    since      timestamptz not null default now(),
    marked_seq bigint not null default 0,
    primary key (org_id, lane_id),
    check ((source_id is null) <> (review_id is null))
);
create index lane_hold_source on lane_hold (org_id, source_id) where source_id is not null;
create index lane_hold_review on lane_hold (org_id, review_id) where review_id is not null;

-- What a person said about a message in doubt: how its job is to be worked.
alter table job add column decision text;

-- What a person decided about a message that was skipped, discarded or edited: JSON of choice, reason, actor, at.
alter table message add column decision text;
create index message_on_hold on message (org_id, source_id, id)
    where state = 'held' and error_code = 'source_on_hold';

-- Dead letters of one cause: source, event, code and place, whichever occurrence in the message the place is.
create function dead_letter_fingerprint(p_source uuid, p_event text, p_code text, p_location text)
returns uuid
language sql immutable parallel safe
as $$
    select md5(p_source::text || '|' || p_event || '|' || coalesce(p_code, '') || '|'
               || regexp_replace(coalesce(p_location, ''), '\(\d+\)|\[\d+\]', '', 'g'))::uuid
$$;
revoke all on function dead_letter_fingerprint(uuid, text, text, text) from public;
grant execute on function dead_letter_fingerprint(uuid, text, text, text) to chartwire_app;

create index message_dead_open
    on message (org_id, dead_letter_fingerprint(source_id, event, error_code, error_location), id)
    where state = 'dead' and decision is null;

-- `proposal` is the word that lost a tie, by element; `resolved_by` and `resolution_reason` belong to `resolution`.
alter table review
    add column source_id uuid,
    add column patient_id uuid,
    add column proposal text,
    add column resolved_by text,
    add column resolution_reason text;
create index review_patient on review (org_id, patient_id, id) where patient_id is not null;
create index review_source on review (org_id, source_id, id) where source_id is not null;
-- One open case a source, however many of its control ids come again with other messages.
create unique index review_reused on review (org_id, source_id) where kind = 'control_id_reused' and state = 'open';

-- Which of these sources are on hold, answered under a shared lock until the transaction ends: who begins or ends a hold
-- takes it exclusively (source_lock), so that after a hold nothing is carried and after a release no lane is parked.
-- Read committed and volatile: each statement here sees what was committed while the lock was waited for.
create function sources_on_hold(p_org uuid, p_sources uuid[])
returns setof uuid
language plpgsql
as $$
begin
    perform pg_advisory_xact_lock_shared(source_lock_key(s.id))
       from (select distinct id from unnest(p_sources) as id order by id) as s;
    return query select s.id from source s where s.org_id = p_org and s.id = any (p_sources) and s.on_hold;
end
$$;

create function source_lock_key(p_source uuid)
returns bigint
language sql immutable
as $$
    select hashtextextended(p_source::text, 6)
$$;

-- Park lanes that the caller has locked: nobody works them until their source is released or their case decided. What
-- waits in them shows as held, at most a thousand messages a call: where more wait, the lane is claimed again for them.
create function hold_lanes(p_org uuid, p_lanes uuid[], p_sources uuid[], p_reviews uuid[])
returns void
language plpgsql
as $$
declare
    v_lane uuid;
    v_source uuid;
    v_review uuid;
    v_marked bigint;
    v_ids uuid[];
    v_last bigint;
    v_more boolean;
begin
    for v_lane, v_source, v_review in select * from unnest(p_lanes, p_sources, p_reviews) loop
        insert into lane_hold as h (org_id, lane_id, source_id, review_id) values (p_org, v_lane, v_source, v_review)
            on conflict (org_id, lane_id) do update
           set source_id = excluded.source_id, review_id = excluded.review_id,
               since = case when h.source_id is distinct from excluded.source_id
                              or h.review_id is distinct from excluded.review_id then excluded.since else h.since end
        returning h.marked_seq into v_marked;

        select array_agg(j.message_id), max(j.seq), count(*) >= 1000 into v_ids, v_last, v_more
          from (select message_id, seq from job
                 where org_id = p_org and lane_id = v_lane and seq > v_marked order by seq limit 1000) as j;
        update message m
           set state = 'held',
               error_code = case when v_review is null then 'source_on_hold' else 'waits_for_review' end,
               error_text = case when v_review is null then 'its source is on hold: release it, and it goes on'
                                 else 'an earlier message of its lane waits for a decision' end
         where m.org_id = p_org and m.id = any (v_ids) and m.state = 'received'
           and (v_review is not null
                or exists (select 1 from source s where s.org_id = p_org and s.id = m.source_id and s.on_hold));
        update lane_hold set marked_seq = coalesce(v_last, v_marked) where org_id = p_org and lane_id = v_lane;
        update lane
           set owner = null, lease_until = null, attempts = 0, not_before = '-infinity', touched_at = now(),
               ready_at = case when v_more then now() else 'infinity' end
         where lane_id = v_lane;
    end loop;
end
$$;

-- Put messages back into the work, each into all of its lanes, at the end in the order of the arrays. `p_lanes` holds
-- array literals: one lane, or all lanes of a merge.
create function requeue_messages(p_org uuid, p_messages uuid[], p_lanes text[])
returns void
language plpgsql
as $$
begin
    with ticket as (
        select i.n, i.id, t.lane_id, case when cardinality(i.lanes) > 1 then i.lanes end as ticket_lanes
          from (select u.n, u.id, u.lanes::uuid[] as lanes
                  from unnest(p_messages, p_lanes) with ordinality as u (id, lanes, n)) as i
         cross join lateral (select distinct l as lane_id from unnest(i.lanes) as l) as t
    ), lanes as (
        insert into lane (lane_id, org_id, kind, seq, ready_at)
        select t.lane_id, p_org, 'intake', count(*), clock_timestamp()
          from ticket t group by t.lane_id order by t.lane_id
            on conflict (lane_id) do update
               set seq = lane.seq + excluded.seq, ready_at = least(lane.ready_at, excluded.ready_at)
        returning lane_id, seq
    )
    insert into job (org_id, lane_id, seq, message_id, ticket_lanes)
    select p_org, t.lane_id,
           l.seq - count(*) over (partition by t.lane_id) + row_number() over (partition by t.lane_id order by t.n),
           t.id, t.ticket_lanes
      from ticket t join lanes l using (lane_id);
end
$$;

-- A control id came again with another message: one open case a source tells of it.
create function note_reused_control_ids(p_org uuid[], p_id uuid[], p_source uuid[], p_message uuid[])
returns void
language plpgsql
as $$
declare
    v_org uuid;
begin
    for v_org in select distinct o from unnest(p_org) as o order by o loop
        perform set_config('chartwire.org_id', v_org::text, true);
        insert into review (org_id, id, kind, message_id, source_id, detail)
        select distinct on (i.source) v_org, i.id, 'control_id_reused', i.message, i.source,
               '{"code":"control_id_reused","location":"MSH-10"}'
          from unnest(p_org, p_id, p_source, p_message) as i (org, id, source, message)
         where i.org = v_org
         order by i.source, i.message
            on conflict (org_id, source_id) where kind = 'control_id_reused' and state = 'open' do nothing;
    end loop;
end
$$;

do $$
declare
    name text;
begin
    foreach name in array array['source_halt', 'maintenance_window', 'lane_hold'] loop
        execute format('alter table %I enable row level security', name);
        execute format('alter table %I force row level security', name);
        execute format(
            'create policy organisation_only on %I for all '
            'using (org_id = nullif(current_setting(''chartwire.org_id'', true), '''')::uuid)', name);
    end loop;
end
$$;

grant select, insert, update, delete on source_halt, maintenance_window, lane_hold to chartwire_app;
revoke all on function sources_on_hold(uuid, uuid[]), source_lock_key(uuid),
    hold_lanes(uuid, uuid[], uuid[], uuid[]), requeue_messages(uuid, uuid[], text[]),
    note_reused_control_ids(uuid[], uuid[], uuid[], uuid[]) from public;
grant execute on function sources_on_hold(uuid, uuid[]), source_lock_key(uuid),
    hold_lanes(uuid, uuid[], uuid[], uuid[]), requeue_messages(uuid, uuid[], text[]),
    note_reused_control_ids(uuid[], uuid[], uuid[], uuid[]) to chartwire_app;
