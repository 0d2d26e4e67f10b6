-- Opens a statement that creates a resource for which nothing was read before, and that is a transaction by itself: binds
-- it to the organisation, the credential checked (28000), and refuses (40001, `look_first`) where a look before would have
-- made a difference: the organisation has a policy of its own for FHIR writes, or somebody to tell of events in the same
-- transaction; or the patient whose it is to be, who is locked as for every write, may have been merged into another.
create function write_unread(p_credential uuid, p_org uuid, p_patient uuid)
returns boolean
language plpgsql
set plan_cache_mode = force_generic_plan
as $$
declare
    v_patient text;
begin
    perform access_open(p_credential, p_org);
    if exists (select from organisation o where o.org_id = p_org and o.settings::jsonb -> 'fhir' is not null)
       or exists (select from destination d where d.org_id = p_org and d.state = 'enabled') then
        raise exception 'look_first' using errcode = '40001';
    end if;
    if p_patient is not null then
        select o.body into v_patient from resource o
         where o.org_id = p_org and o.type = 'Patient' and o.id = p_patient for update;
        if strpos(v_patient, '"replaced-by"') > 0 then
            raise exception 'look_first' using errcode = '40001';
        end if;
    end if;
    return true;
end
$$;

revoke all on function write_unread(uuid, uuid, uuid) from public;
grant execute on function write_unread(uuid, uuid, uuid) to chartwire_app;
