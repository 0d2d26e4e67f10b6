-- name: request_by_row
-- The audit row of a request, by the id that its request id holds.
select id, at, actor, action, resource_type, query_shape, row_count, status, request_id, client
  from audit where org_id = $1 and id = $2 and request_id = $3;

-- name: request_by_name
-- The latest audit row of a request id that a caller chose.
select id, at, actor, action, resource_type, query_shape, row_count, status, request_id, client
  from audit where org_id = $1 and request_id = $2 and request_id not like 'req\_%'
 order by id desc limit 1;
