-- Writes that wait for a record that they name by its external id: kept in order, made in the transaction that makes that
-- record, or given up when their time is over. `body` is what was sent and holds patient data.
create table parked_write (
    org_id      uuid not null,
    id          uuid not null,
    noun        text not null,
    op          text not null,
    target_id   uuid,
    version     integer,
    body        text not null,
    waits_type  text not null,
    waits_key   uuid not null,
    pointer     text not null,
    credential_id uuid,
    actor       text not null,
    request_id  text not null,
    created_at  timestamptz not null default now(),
    expires_at  timestamptz not null,
    primary key (org_id, id)
);
create index parked_write_waits on parked_write (org_id, waits_type, waits_key, id);
create index parked_write_expiry on parked_write (org_id, expires_at);

alter table parked_write enable row level security;
alter table parked_write force row level security;
create policy organisation_only on parked_write for all
    using (org_id = nullif(current_setting('chartwire.org_id', true), '')::uuid);
grant select, insert, update, delete on parked_write to chartwire_app;

-- What waits for records that this transaction makes known by these keys, in order. Takes the keys' turn first, so that a
-- write that is being parked for one of them is either seen here or sees the record.
create function parked_for(p_org uuid, p_type text[], p_key uuid[])
returns setof parked_write
language plpgsql
as $$
begin
    perform parking_turn(p_org, p_type, p_key);
    return query
    select p.* from parked_write p
      join unnest(p_type, p_key) as k (type, key) on p.waits_type = k.type and p.waits_key = k.key
     where p.org_id = p_org
     order by p.id for update of p;
end
$$;

-- Waits for the turn of source keys, in one order for everyone, until the transaction ends.
create function parking_turn(p_org uuid, p_type text[], p_key uuid[])
returns void
language plpgsql
as $$
begin
    perform pg_advisory_xact_lock(hashtextextended(p_org::text || k.type || k.key::text, 8))
       from (select type, key from unnest(p_type, p_key) as k (type, key) order by type, key) as k;
end
$$;

-- What a unit of work writes in most cases, in one round trip: source keys, one version each of some resources (see
-- record_save), index rows that are gone and new. Arrays of one prefix run in parallel.
create function record_flush(
    p_key_type text[], p_key uuid[], p_key_resource uuid[], p_key_original uuid[],
    p_type text[], p_id uuid[], p_version integer[], p_updated timestamptz[], p_deleted boolean[], p_patient uuid[],
    p_original uuid[], p_message uuid[], p_actor text[], p_body text[], p_lineage text[],
    p_gone_type text[], p_gone_param text[], p_gone_value text[], p_gone_id uuid[],
    p_new_type text[], p_new_param text[], p_new_value text[], p_new_id uuid[])
returns void
language plpgsql
as $$
declare
    v_org uuid := nullif(current_setting('chartwire.org_id', true), '')::uuid;
begin
    if cardinality(p_key) > 0 then
        insert into source_key (org_id, type, key, resource_id, original_id)
        select v_org, k.type, k.key, k.resource_id, k.original_id
          from unnest(p_key_type, p_key, p_key_resource, p_key_original) as k (type, key, resource_id, original_id)
         order by k.type, k.key;
    end if;
    if cardinality(p_id) > 0 then
        perform record_save(p_type, p_id, p_version, p_updated, p_deleted, p_patient, p_original, p_message, p_actor,
                            p_body, p_lineage);
    end if;
    if cardinality(p_gone_id) > 0 then
        delete from search_value s
         using unnest(p_gone_type, p_gone_param, p_gone_value, p_gone_id) as v (type, param, value, resource_id)
         where s.org_id = v_org and s.type = v.type and s.param = v.param and s.value = v.value
           and s.resource_id = v.resource_id;
    end if;
    if cardinality(p_new_id) > 0 then
        insert into search_value (org_id, type, param, value, resource_id)
        select v_org, v.type, v.param, v.value, v.resource_id
          from unnest(p_new_type, p_new_param, p_new_value, p_new_id) as v (type, param, value, resource_id)
            on conflict do nothing;
    end if;
end
$$;

revoke all on function parked_for(uuid, text[], uuid[]), parking_turn(uuid, text[], uuid[]) from public;
grant execute on function parked_for(uuid, text[], uuid[]), parking_turn(uuid, text[], uuid[]) to chartwire_app;
