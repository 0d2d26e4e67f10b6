-- name: write_read
-- What the writes of one transaction need to know, locked; see write_read.
select what, type, id, key, original_id, version, updated_at, deleted, patient_id, original_subject, body, lineage,
       indexed
  from write_read($1, $2, $3, $4, $5, $6, $7, $8, $9);

-- name: flush_and_emit
-- What a unit of work of an actor writes, its events too; answers whether this organisation tells anybody of them.
with emitted as (
    insert into event (org_id, id, created_at, type, resource_type, resource_id, version, patient_id, changed,
                       message_id, mode, detail)
    select $62, e.id, $63, e.type, e.resource_type, e.resource_id, e.version, e.patient_id, e.changed::text[],
           e.message_id, e.mode, e.detail
      from unnest($64::uuid[], $65::text[], $66::text[], $67::uuid[], $68::integer[], $69::uuid[], $70::text[],
                  $71::uuid[], $72::text[], $73::text[])
           as e (id, type, resource_type, resource_id, version, patient_id, changed, message_id, mode, detail)
)
select record_flush($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22,
                    $23, $24),
       index_wipe($25, $26, $27),
       index_tokens($28, $29, $30, $31, $32, $33),
       index_strings($34, $35, $36, $37, $38, $39),
       index_dates($40, $41, $42, $43, $44, $45, $46, $47, $48, $49),
       index_numbers($50, $51, $52, $53, $54, $55, $56, $57, $58, $59, $60, $61),
       exists (select 1 from destination d where d.org_id = $62 and d.state = 'enabled') as heard;

-- name: flush_unread
-- As flush_and_emit, where nothing was read before: a transaction by itself, see write_unread. Nobody is told.
with emitted as (
    insert into event (org_id, id, created_at, type, resource_type, resource_id, version, patient_id, changed,
                       message_id, mode, detail)
    select $62, e.id, $63, e.type, e.resource_type, e.resource_id, e.version, e.patient_id, e.changed::text[],
           e.message_id, e.mode, e.detail
      from unnest($64::uuid[], $65::text[], $66::text[], $67::uuid[], $68::integer[], $69::uuid[], $70::text[],
                  $71::uuid[], $72::text[], $73::text[])
           as e (id, type, resource_type, resource_id, version, patient_id, changed, message_id, mode, detail)
)
select record_flush($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22,
                    $23, $24),
       index_wipe($25, $26, $27),
       index_tokens($28, $29, $30, $31, $32, $33),
       index_strings($34, $35, $36, $37, $38, $39),
       index_dates($40, $41, $42, $43, $44, $45, $46, $47, $48, $49),
       index_numbers($50, $51, $52, $53, $54, $55, $56, $57, $58, $59, $60, $61),
       not opened as heard
  from write_unread($74, $62, $75) as opened;

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
-- How this organisation wants to be written to through FHIR, as JSON.
select coalesce(settings::jsonb -> 'fhir', '{}')::text from organisation where org_id = $1;

-- name: set_fhir_policy
-- Replace how this organisation wants to be written to through FHIR.
update organisation set settings = (settings::jsonb || jsonb_build_object('fhir', $2::text::jsonb))::text
 where org_id = $1 returning org_id;

-- name: condition_turns
-- Wait for the turns of conditions (types $2, queries $3) until the transaction ends, so that of two conditional creates
-- one finds the other. 512 turns an organisation, taken in one order: some conditions share one.
select pg_advisory_xact_lock(hashtextextended($1::uuid::text, turns.turn))
  from (
        select distinct hashtext(i.type || '?' || i.query) & 511 as turn
          from unnest($2::text[], $3::text[]) as i (type, query)
         order by turn
       ) as turns;
