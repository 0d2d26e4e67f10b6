-- name: write_fhir_index
-- Rows of the FHIR index alone; see index_wipe and index_tokens.
select index_wipe($1, $2, $3),
       index_tokens($4, $5, $6, $7, $8, $9),
       index_strings($10, $11, $12, $13, $14, $15),
       index_dates($16, $17, $18, $19, $20, $21, $22, $23, $24, $25),
       index_numbers($26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37);

-- name: take_unindexed
-- Resources that no rules, or rules before the present ones, indexed; locked. Those that a writer holds come later.
select type, id, deleted, body from resource
 where org_id = $1 and (indexed is null or indexed < 1) order by id limit $2 for no key update skip locked;

-- name: mark_indexed
-- By which rules resources are indexed now; each is looked up by itself.
update resource r set indexed = $4
  from unnest($2::text[], $3::uuid[]) as wanted (type, id)
 cross join lateral (
        select o.ctid from resource o where o.org_id = $1 and o.type = wanted.type and o.id = wanted.id limit 1
       ) as standing
 where r.ctid = standing.ctid;

-- name: count_unindexed
-- How many resources are still to be indexed, counted up to $2.
select count(*) from (select 1 from resource where org_id = $1 and (indexed is null or indexed < 1) limit $2) as found;
