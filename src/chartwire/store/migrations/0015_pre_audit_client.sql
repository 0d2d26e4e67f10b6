-- From which address a request came: what IHE ATNA calls the network access point (ITI TF-2 3.20.7, RFC 3881 5.3).
-- The function of twelve columns stays for the release before.
alter table audit add column client text;

create function audit_flush(
    p_org uuid[], p_id uuid[], p_at timestamptz[], p_actor text[], p_purpose text[], p_action text[], p_type text[],
    p_shape text[], p_count integer[], p_patients text[], p_status integer[], p_request text[], p_client text[])
returns void
language plpgsql
as $$
declare
    v_org uuid;
begin
    for v_org in select distinct o from unnest(p_org) as o order by o loop
        perform set_config('chartwire.org_id', v_org::text, true);
        insert into audit (org_id, id, at, actor, purpose, action, resource_type, query_shape, row_count, patient_ids,
                           status, request_id, client)
        select v_org, i.id, i.at, i.actor, i.purpose, i.action, i.type, i.shape, i.row_count,
               i.patients::uuid[], i.status, i.request, nullif(i.client, '')
          from unnest(p_org, p_id, p_at, p_actor, p_purpose, p_action, p_type, p_shape, p_count, p_patients, p_status,
                      p_request, p_client)
               as i (org, id, at, actor, purpose, action, type, shape, row_count, patients, status, request, client)
         where i.org = v_org;
    end loop;
end
$$;
