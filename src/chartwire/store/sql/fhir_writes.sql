-- name: belongings
-- What belongs to a patient, but the patient; enough of it to see whether there is anything that is not deleted here.
select type, id from resource
 where org_id = $1 and patient_id = $2 and type <> 'Patient' and not deleted limit 1000;

-- name: which_stand
-- Those of these resources that are there; looked up as in resolve_keys.
select r.type, r.id
  from unnest((select $2::text[]), (select $3::uuid[])) as wanted (type, id)
 cross join lateral (
        select type, id from resource
         where org_id = $1 and type = wanted.type and id = wanted.id and not deleted limit 1
       ) r;

-- name: fhir_policy
-- How this organisation wants to be written to through FHIR, as JSON; null where it never said.
select (settings::jsonb -> 'fhir')::text from organisation where org_id = $1;

-- name: condition_turn
-- Wait for the turn of a condition until the transaction ends, so that of two conditional creates one finds the other.
select pg_advisory_xact_lock(hashtextextended($1::uuid::text || ' ' || $2 || '?' || $3, 9));
