-- name: fhir_linked
-- Resources that others lead to, and those that refer to them: see fhir_linked in 0024.
select type, id, version, updated_at, deleted, patient_id, message_id, actor, body
  from fhir_linked($1, $2, $3, $4, $5, $6, $7, $8, $9);
