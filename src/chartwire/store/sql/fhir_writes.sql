-- name: belongings
-- What belongs to a patient, but the patient; enough of it to see whether there is anything that is not deleted here.
select type, id from resource
 where org_id = $1 and patient_id = $2 and type <> 'Patient' and not deleted limit 1000;
