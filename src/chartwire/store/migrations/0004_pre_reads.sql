-- Hot reads of the doors: one round trip that checks the credential, binds the organisation and reads. They run with
-- their caller's rights, so row-level security holds inside them.

-- Binds the transaction to an organisation, and refuses (SQLSTATE 28000) a credential that was withdrawn or has expired
-- since it was recognised: this is what makes a revocation immediate. A null credential is a process of our own.
create function access_open(p_credential uuid, p_org uuid)
returns void
language plpgsql
as $$
begin
    perform set_config('chartwire.org_id', p_org::text, true);
    if p_credential is not null and not exists (
            select 1 from credential c
             where c.credential_id = p_credential and c.org_id = p_org and c.revoked_at is null
               and (c.expires_at is null or c.expires_at > now())) then
        raise exception 'credential_withdrawn' using errcode = '28000';
    end if;
end
$$;

-- The current version of one resource; all null when there is none.
create function read_resource(
    p_credential uuid, p_org uuid, p_type text, p_id uuid,
    out version integer, out updated_at timestamptz, out deleted boolean, out patient_id uuid, out message_id uuid,
    out actor text, out body text)
language plpgsql
as $$
begin
    perform access_open(p_credential, p_org);
    select r.version, r.updated_at, r.deleted, r.patient_id, r.message_id, r.actor, r.body
      into version, updated_at, deleted, patient_id, message_id, actor, body
      from resource r where r.org_id = p_org and r.type = p_type and r.id = p_id;
end
$$;

-- Current resources of a type that one index value names, in order of their ids after `p_after`. Patients that were
-- merged into another come with `p_merged` only.
create function search_resources(
    p_credential uuid, p_org uuid, p_type text, p_param text, p_value text, p_after uuid, p_limit integer,
    p_merged boolean)
returns table (id uuid, version integer, updated_at timestamptz, deleted boolean, patient_id uuid, message_id uuid,
               actor text, body text)
language plpgsql
as $$
#variable_conflict use_column
begin
    perform access_open(p_credential, p_org);
    return query
    select r.id, r.version, r.updated_at, r.deleted, r.patient_id, r.message_id, r.actor, r.body
      from search_value s
      join resource r on r.org_id = p_org and r.type = p_type and r.id = s.resource_id
     where s.org_id = p_org and s.type = p_type and s.param = p_param and s.value = p_value
       and s.resource_id > p_after and not r.deleted
       and (p_merged or p_type <> 'Patient' or not exists (
            select 1 from merge m where m.org_id = p_org and m.loser_id = r.id and m.undone_at is null))
     order by s.resource_id
     limit p_limit;
end
$$;

revoke all on function access_open(uuid, uuid), read_resource(uuid, uuid, text, uuid),
    search_resources(uuid, uuid, text, text, text, uuid, integer, boolean) from public;
grant execute on function access_open(uuid, uuid), read_resource(uuid, uuid, text, uuid),
    search_resources(uuid, uuid, text, text, text, uuid, integer, boolean) to chartwire_app;
