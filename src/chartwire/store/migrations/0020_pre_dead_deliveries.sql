-- Deliveries that were given up, newest first: a few among all that arrived.
create index delivery_dead on delivery (org_id, event_id, destination_id) where state = 'dead';
