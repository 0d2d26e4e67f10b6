-- name: insert_custom_field
-- A new definition; no row where the noun has one of this name, retired or not.
insert into custom_field (org_id, noun, name, id, type, label, required, searchable, max_length, allowed)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
    on conflict (org_id, noun, name) do nothing
returning id, noun, name, type, label, required, searchable, max_length, allowed, created_at, updated_at, retired_at;

-- name: custom_fields_of
-- The definitions of one noun, of all nouns for null, in order of their names, retired ones too.
select id, noun, name, type, label, required, searchable, max_length, allowed, created_at, updated_at, retired_at
  from custom_field where org_id = $1 and (noun = $2 or $2::text is null) order by noun, name;

-- name: lock_custom_field
-- One definition, locked.
select id, noun, name, type, label, required, searchable, max_length, allowed, created_at, updated_at, retired_at
  from custom_field where org_id = $1 and id = $2 for update;

-- name: update_custom_field
-- What may change of a definition.
update custom_field
   set type = $3, label = $4, required = $5, searchable = $6, max_length = $7, allowed = $8,
       retired_at = case when $9 then coalesce(retired_at, now()) end, updated_at = now()
 where org_id = $1 and id = $2
returning id, noun, name, type, label, required, searchable, max_length, allowed, created_at, updated_at, retired_at;

-- name: custom_field_is_used
-- Whether a current resource of type $2 has a value of the field $3: `name=` is how its index values begin.
select exists (
       select 1 from search_value
        where org_id = $1 and type = $2 and param = 'custom' and value >= $3 || '=' and value < $3 || '>');
