-- Results of attempts, one group commit for all organisations in it. Runs with its caller's rights.
-- Fenced twice: a worker whose lane went to another records nothing, and an attempt number is recorded once. So a
-- result that comes late, after the lease went over, is dropped. Answers what was recorded.
create function delivery_flush(
    p_org uuid[], p_event uuid[], p_destination uuid[], p_fence bigint[], p_number integer[], p_outcome text[],
    p_state text[], p_next timestamptz[], p_started timestamptz[], p_status integer[], p_duration integer[],
    p_error text[], p_response bytea[])
returns table (event_id uuid, destination_id uuid)
language plpgsql
as $$
#variable_conflict use_column
declare
    v_org uuid;
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
        ), closed as (
            update destination d set state = 'disabled', state_reason = 'gone'
              from moved m
             where d.org_id = v_org and d.id = m.destination and m.outcome = 'disabled' and d.state = 'enabled'
        )
        select m.event, m.destination from moved m;
    end loop;
end
$$;
