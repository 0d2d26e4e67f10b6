-- name: fhir_linked
-- Resources that others lead to, and those that refer to them: see fhir_linked in 0024.
select type, id, version, updated_at, deleted, patient_id, message_id, actor, body
  from fhir_linked($1, $2, $3, $4, $5, $6, $7, $8, $9);

-- name: fhir_everything
-- Resources that belong to a patient: see fhir_everything in 0024.
select type, id, version, updated_at, deleted, patient_id, message_id, actor, body
  from fhir_everything($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13);

-- name: patients_after
-- Patients of an organisation by id, without those that were merged into others, $3 at most.
select r.id from resource r
 where r.org_id = $1 and r.type = 'Patient' and r.id > $2 and not r.deleted
   and not exists (select from merge m where m.org_id = $1 and m.loser_id = r.id and m.undone_at is null)
 order by r.id limit $3;

-- name: labels_in_use
-- The different values under some keys of the token index, $4 at most under each; each value costs one look.
select k.name, v.value
  from unnest($2::text[], $3::bigint[]) as k (name, key)
 cross join lateral (
        with recursive each_value as (
            (select t.value from fhir_token t where t.org_id = $1 and t.key = k.key order by t.value limit 1)
             union all
            select (select t.value from fhir_token t
                     where t.org_id = $1 and t.key = k.key and t.value > e.value order by t.value limit 1)
              from each_value e where e.value is not null
        )
        select e.value from each_value e where e.value is not null limit $4
       ) as v;
