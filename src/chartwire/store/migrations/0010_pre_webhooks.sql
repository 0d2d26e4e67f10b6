-- Webhooks: what endpoints may be told to do, how they fare, replays, and how much went where.
-- The release before goes on working: new columns have defaults, delivery_flush keeps its arguments.

alter table destination
    add column version integer not null default 1,
    add column updated_at timestamptz,
    add column headers bytea,
    add column secret_times double precision[] not null default '{}',
    add column deleted_at timestamptz,
    add column disabled_at timestamptz,
    add column failing_since timestamptz,
    add column notice integer not null default 0,
    add column probed_at timestamptz,
    add column probe_answer text;
comment on column destination.headers is 'sealed; further headers of the owner''s';
comment on column destination.secret_times is 'when each of the secrets was made, newest first, seconds since the epoch';
comment on column destination.failing_since is 'start of the present row of failures; null after a success';
comment on column destination.notice is 'the step of the ladder that was told: 0, 50, 70, 90, 100';

-- A replay sends a delivery again under its id and body: `attempts_before` is where its schedule began anew.
-- `order_key` is set for endpoints that want one resource's events in order.
alter table delivery
    add column replay_id uuid,
    add column attempts_before integer not null default 0,
    add column order_key uuid;
create index delivery_replay_due on delivery (org_id, destination_id, next_attempt_at)
    where replay_id is not null and state in ('pending', 'retrying', 'unknown');
create index delivery_order on delivery (org_id, destination_id, order_key, event_id)
    where order_key is not null and state in ('pending', 'retrying', 'unknown');

create table webhook_replay (
    org_id         uuid not null,
    id             uuid not null,
    destination_id uuid not null,
    state          text not null check (state in ('running', 'done', 'cancelled')),
    since          timestamptz not null,
    until          timestamptz not null,
    states         text[] not null,
    event_types    text[] not null,
    historical     boolean not null default false,
    cursor_id      uuid not null,
    bound_xid      xid8 not null default pg_current_xact_id(),
    expected       bigint not null,
    seen           bigint not null default 0,
    queued         bigint not null default 0,
    created_at     timestamptz not null default now(),
    created_by     text not null,
    finished_at    timestamptz,
    primary key (org_id, id)
);

-- Attempts by ten minutes, outcome and duration: what an endpoint's figures are read from.
create table webhook_traffic (
    org_id         uuid not null,
    destination_id uuid not null,
    at             timestamptz not null,
    outcome        text not null,
    within_ms      integer not null,
    attempts       bigint not null,
    primary key (org_id, destination_id, at, outcome, within_ms)
) with (fillfactor = 70);

do $$
declare
    name text;
begin
    foreach name in array array['webhook_replay', 'webhook_traffic'] loop
        execute format('alter table %I enable row level security', name);
        execute format('alter table %I force row level security', name);
        execute format(
            'create policy organisation_only on %I for all '
            'using (org_id = nullif(current_setting(''chartwire.org_id'', true), '''')::uuid)', name);
    end loop;
end
$$;
grant select, insert, update on webhook_replay to chartwire_app;
grant select, insert, update, delete on webhook_traffic to chartwire_app;

-- As in 0003, and besides: a destination's row of failures begins and ends here, and whoever watches endpoints is told
-- of it by a due row of `schedule`; attempts are counted by ten minutes.
create or replace function delivery_flush(
    p_org uuid[], p_event uuid[], p_destination uuid[], p_fence bigint[], p_number integer[], p_outcome text[],
    p_state text[], p_next timestamptz[], p_started timestamptz[], p_status integer[], p_duration integer[],
    p_error text[], p_response bytea[])
returns table (event_id uuid, destination_id uuid)
language plpgsql
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
    v_org uuid;
    v_bounds constant integer[] := array[6, 11, 26, 51, 101, 251, 501, 1001, 2501, 5001, 10001, 30001];
    v_within constant integer[] := array[5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000];
begin
    for v_org in select distinct o from unnest(p_org) as o order by o loop
        perform set_config('chartwire.org_id', v_org::text, true);
        return query
        with ours as (
            select i.*
              from unnest(p_org, p_event, p_destination, p_fence, p_number, p_outcome, p_state, p_next, p_started,
                          p_status, p_duration, p_error, p_response)
                   as i (org, event, destination, fence, number, outcome, state, next, started, status, duration,
                         error, response)
              join lane l on l.lane_id = i.destination and l.org_id = v_org and l.fence = i.fence
             where i.org = v_org
        ), moved as (
            update delivery d
               set state = o.state, attempts = o.number, next_attempt_at = coalesce(o.next, d.next_attempt_at),
                   finished_at = case when o.next is null then clock_timestamp() end
              from ours o
             where d.org_id = v_org and d.event_id = o.event and d.destination_id = o.destination
               and d.attempts = o.number - 1 and d.state in ('pending', 'retrying', 'unknown')
            returning o.*
        ), logged as (
            insert into delivery_attempt (org_id, event_id, destination_id, number, started_at, outcome, status,
                                          duration_ms, error, response)
            select v_org, m.event, m.destination, m.number, m.started, m.outcome, m.status, m.duration, m.error,
                   m.response
              from moved m
        ), counted as (
            insert into webhook_traffic as t (org_id, destination_id, at, outcome, within_ms, attempts)
            select v_org, m.destination, date_bin('10 minutes', m.started, 'epoch'), m.outcome,
                   v_within[width_bucket(m.duration, v_bounds) + 1], count(*)
              from moved m
             where m.error is distinct from 'historical'
             group by 2, 3, 4, 5
                on conflict on constraint webhook_traffic_pkey do update set attempts = t.attempts + excluded.attempts
        ), health as (
            select m.destination, bool_or(m.outcome = 'disabled') as gone, bool_or(m.outcome = 'delivered') as well,
                   min(m.started) as since
              from moved m
             where m.error is distinct from 'historical'
             group by m.destination
        ), judged as (
            update destination d
               set state = case when h.gone then 'disabled' else d.state end,
                   state_reason = case when h.gone then 'gone' else d.state_reason end,
                   disabled_at = case when h.gone then clock_timestamp() else d.disabled_at end,
                   version = case when h.gone then d.version + 1 else d.version end,
                   failing_since = case when h.gone or not h.well then coalesce(d.failing_since, h.since) end
              from health h
             where d.org_id = v_org and d.id = h.destination and d.state = 'enabled'
               and (h.gone or h.well = (d.failing_since is not null))
            returning d.id, d.state, d.failing_since, d.notice
        ), watched as (
            insert into schedule as s (org_id, id, kind, due_at)
            select v_org, j.id, 'webhook_watch',
                   case when j.state = 'disabled' or j.failing_since is null then clock_timestamp()
                        else clock_timestamp() + interval '10 minutes' end
              from judged j
             where j.failing_since is not null or j.notice > 0
                on conflict (org_id, id) do update set due_at = excluded.due_at where s.due_at > excluded.due_at
        )
        select m.event, m.destination from moved m;
    end loop;
end
$$;
