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
