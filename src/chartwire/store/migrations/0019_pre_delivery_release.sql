-- End a claim on a destination, in one round trip: ready again when the next delivery is due and `p_pause` is past, idle
-- where none is open or the endpoint is disabled. Never ready in the past, so that no lane keeps ahead of the others.
-- The lane is locked first: the statement behind sees what was committed by whoever woke it meanwhile. Answers when there
-- is something due again; null for nothing, and for a lane that went to another worker.
create function delivery_release(p_org uuid, p_lane uuid, p_fence bigint, p_pause timestamptz)
returns timestamptz
language plpgsql
set plan_cache_mode = force_generic_plan
as $$
declare
    v_wake_at timestamptz;
begin
    perform set_config('chartwire.org_id', p_org::text, true);
    perform from lane where lane_id = p_lane for update;
    update lane
       set owner = null, lease_until = null, attempts = 0, touched_at = now(),
           not_before = coalesce(p_pause, '-infinity'),
           ready_at = case
               when (select state from destination where org_id = p_org and id = p_lane) = 'enabled'
               then greatest(clock_timestamp(), coalesce(
                        (select min(next_attempt_at) from delivery w
                          where org_id = p_org and destination_id = p_lane
                            and state in ('pending', 'retrying', 'unknown')
                            and (order_key is null or not exists (
                                 select 1 from delivery o
                                  where o.org_id = p_org and o.destination_id = p_lane and o.order_key = w.order_key
                                    and o.state in ('pending', 'retrying', 'unknown') and o.event_id < w.event_id))),
                        'infinity'))
               else 'infinity' end
     where lane_id = p_lane and fence = p_fence
    returning case when ready_at < 'infinity' then greatest(ready_at, not_before) end into v_wake_at;
    return v_wake_at;
end
$$;
revoke all on function delivery_release(uuid, uuid, bigint, timestamptz) from public;
grant execute on function delivery_release(uuid, uuid, bigint, timestamptz) to chartwire_app;
