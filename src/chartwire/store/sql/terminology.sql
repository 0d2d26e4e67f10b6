-- Code systems that an operator has loaded; $1 is always the installation's own organisation. `offset 0` keeps each step
-- through a hierarchy a look-up by key, also before statistics of a fresh edition are there.

-- name: terminology_lock
-- Whether no other load runs; held by the session until it is released or ends.
select pg_try_advisory_lock(hashtextextended('chartwire terminology', 0));

-- name: terminology_unlock
-- Release it.
select pg_advisory_unlock(hashtextextended('chartwire terminology', 0));

-- name: terminology_systems
-- What is loaded.
select system, edition, version, concepts, loaded_at from terminology_system where org_id = $1 order by system;

-- name: terminology_add_concepts
-- Concepts of an edition; a code that came before keeps its first row.
insert into terminology_concept (org_id, edition, code, display, inactive, properties)
select $1, $2, v.code, v.display, v.inactive, v.properties::jsonb
  from unnest($3::text[], $4::text[], $5::boolean[], $6::text[]) as v (code, display, inactive, properties)
    on conflict do nothing;

-- name: terminology_add_parents
-- Steps of an edition's hierarchy.
insert into terminology_parent (org_id, edition, code, parent)
select $1, $2, v.code, v.parent from unnest($3::text[], $4::text[]) as v (code, parent)
    on conflict do nothing;

-- name: terminology_switch
-- From now on this edition answers for the system; gives how many concepts it has.
insert into terminology_system (org_id, system, edition, version, concepts)
select $1, $3, $2, $4, (select count(*) from terminology_concept where org_id = $1 and edition = $2)
    on conflict (org_id, system) do update
   set edition = excluded.edition, version = excluded.version, concepts = excluded.concepts, loaded_at = now()
returning concepts;

-- name: terminology_forget
-- The system is loaded no more.
delete from terminology_system where org_id = $1 and system = $2 returning edition;

-- name: terminology_sweep_concepts
-- Remove up to $2 concepts of editions that answer for no system.
with gone as (
    select c.ctid from terminology_concept c
     where c.org_id = $1 and c.edition not in (select edition from terminology_system where org_id = $1)
     limit $2)
delete from terminology_concept c using gone where c.ctid = gone.ctid;

-- name: terminology_sweep_parents
-- Remove up to $2 steps of editions that answer for no system.
with gone as (
    select p.ctid from terminology_parent p
     where p.org_id = $1 and p.edition not in (select edition from terminology_system where org_id = $1)
     limit $2)
delete from terminology_parent p using gone where p.ctid = gone.ctid;

-- name: terminology_facts
-- What is loaded about each (system $2, code $3) that is there; `ancestors` are all concepts that subsume it.
with recursive known as (
    select s.system, s.edition, c.code, c.display, c.inactive, c.properties
      from unnest($2::text[], $3::text[]) as asked (system, code)
      join terminology_system s on s.org_id = $1 and s.system = asked.system
      join terminology_concept c on c.org_id = $1 and c.edition = s.edition and c.code = asked.code
), up (edition, start, code) as (
    select distinct edition, code, code from known
    union
    select up.edition, up.start, p.parent
      from up
      cross join lateral (
            select p.parent from terminology_parent p
             where p.org_id = $1 and p.edition = up.edition and p.code = up.code
            offset 0) as p
)
select known.system, known.code, known.display, known.inactive, known.properties::text as properties,
       array(select up.code from up
              where up.edition = known.edition and up.start = known.code and up.code <> known.code) as ancestors
  from known;

-- name: terminology_below
-- The codes of a system $2 that $3 subsumes, itself among them, up to $4; none where the system lacks it.
with recursive down (edition, code) as (
    select s.edition, c.code
      from terminology_system s join terminology_concept c on c.org_id = $1 and c.edition = s.edition and c.code = $3
     where s.org_id = $1 and s.system = $2
    union
    select down.edition, p.code
      from down
      cross join lateral (
            select p.code from terminology_parent p
             where p.org_id = $1 and p.edition = down.edition and p.parent = down.code
            offset 0) as p
)
select code from down limit $4;

-- name: terminology_neighbours
-- One step up (`parent`) and down (`child`) from a concept, with displays, up to $4.
select step.kind, c.code, c.display
  from terminology_system s
  cross join lateral (
        select 'parent' as kind, p.parent as code from terminology_parent p
         where p.org_id = $1 and p.edition = s.edition and p.code = $3
        union all
        select 'child', p.code from terminology_parent p
         where p.org_id = $1 and p.edition = s.edition and p.parent = $3) as step
  join terminology_concept c on c.org_id = $1 and c.edition = s.edition and c.code = step.code
 where s.org_id = $1 and s.system = $2
 order by step.kind, c.code limit $4;

-- name: terminology_listed
-- Up to $7 concepts of a system $2: below $3 where that is told ($4: itself too), whose property $5[i] is one of $6[i]
-- (words joined by commas), and whose display or code has every word of $8 (`like` patterns), by code.
with recursive down (code) as (
    select $3::text collate "C" where $3 is not null
    union
    select p.code
      from down
      cross join lateral (
            select p.code from terminology_parent p
             where p.org_id = $1 and p.parent = down.code
               and p.edition = (select edition from terminology_system where org_id = $1 and system = $2)
            offset 0) as p
), candidate as (
    select c.code, c.display, c.properties
      from down
      cross join lateral (
            select c.* from terminology_concept c
             where c.org_id = $1 and c.code = down.code
               and c.edition = (select edition from terminology_system where org_id = $1 and system = $2)
            offset 0) as c
     where $4 or c.code <> $3
    union all
    select c.code, c.display, c.properties
      from terminology_concept c
     where $3 is null and c.org_id = $1
       and c.edition = (select edition from terminology_system where org_id = $1 and system = $2)
)
select c.code, c.display
  from candidate c
 where not exists (select from unnest($5::text[], $6::text[]) as f (name, allowed)
                    where not coalesce(lower(c.properties->>f.name) = any(string_to_array(lower(f.allowed), ',')), false))
   and not exists (select from unnest($8::text[]) as word (pattern)
                    where lower(c.display) not like word.pattern and lower(c.code) not like word.pattern)
 order by c.code limit $7;
