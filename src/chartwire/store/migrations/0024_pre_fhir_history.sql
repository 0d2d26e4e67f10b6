-- Histories of a type and of all types, newest first; and resources in order of their last change.

create index resource_changes on resource (org_id, type, updated_at, id);
create index resource_history_changes on resource_history (org_id, type, updated_at, id, version);
