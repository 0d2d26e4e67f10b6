-- name: history_of_resource
-- Versions of one resource below a version, newest first, changed at or after an instant.
select v.version, v.updated_at, v.deleted, v.patient_id, v.message_id, v.actor, v.body
  from (select version, updated_at, deleted, patient_id, message_id, actor, body
          from resource where org_id = $1 and type = $2 and id = $3
         union all
        select version, updated_at, deleted, patient_id, message_id, actor, body
          from resource_history where org_id = $1 and type = $2 and id = $3) v
 where v.version < $4 and v.updated_at >= $5
 order by v.version desc limit $6;

-- name: count_history_of_resource
-- How many versions of one resource are kept; 0 where there never was one.
select (select count(*) from resource where org_id = $1 and type = $2 and id = $3)
     + (select count(*) from resource_history where org_id = $1 and type = $2 and id = $3);

-- name: history_of_types
-- Versions of resources of some types behind a position, newest first, changed at or after an instant. Each type is
-- walked by itself, along its index: at the instant of the position it goes on where its name stands to the position's.
select w.type, v.id, v.version, v.updated_at, v.deleted, v.patient_id, v.message_id, v.actor, v.body
  from unnest($2::text[]) as w (type)
 cross join lateral (
        select case when w.type < $5 then 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid
                    when w.type = $5 then $6::uuid
                    else '00000000-0000-0000-0000-000000000000'::uuid end as id
       ) as b
 cross join lateral (
        (select r.id, r.version, r.updated_at, r.deleted, r.patient_id, r.message_id, r.actor, r.body
           from resource r
          where r.org_id = $1 and r.type = w.type and r.updated_at >= $3
            and (r.updated_at, r.id, r.version) < ($4, b.id, $7)
          order by r.updated_at desc, r.id desc limit $8)
         union all
        (select h.id, h.version, h.updated_at, h.deleted, h.patient_id, h.message_id, h.actor, h.body
           from resource_history h
          where h.org_id = $1 and h.type = w.type and h.updated_at >= $3
            and (h.updated_at, h.id, h.version) < ($4, b.id, $7)
          order by h.updated_at desc, h.id desc, h.version desc limit $8)
       ) as v
 order by v.updated_at desc, w.type desc, v.id desc, v.version desc limit $8;
