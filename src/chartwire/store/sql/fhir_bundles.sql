-- Statements of batch and transaction Bundles.

-- name: match_tokens
-- For each of the types $2, keys $3 and tokens $4 (numbered from 1): at most $5 resources with the token, none that was
-- merged into another.
select i.number, r.id, r.body
  from unnest($2::text[], $3::bigint[], $4::text[]) with ordinality as i (type, key, value, number)
 cross join lateral (
        select t.resource_id from fhir_token t
         where t.org_id = $1 and t.key = i.key and t.value = i.value
           and not (i.type = 'Patient' and exists (
                select from merge m
                 where m.org_id = $1 and m.loser_id = t.resource_id and m.undone_at is null))
         limit $5
       ) as found
 cross join lateral (
        select o.id, o.body from resource o
         where o.org_id = $1 and o.type = i.type and o.id = found.resource_id and not o.deleted
         limit 1
       ) as r;
