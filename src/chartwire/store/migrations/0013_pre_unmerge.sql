-- What an unmerge sorts by. `message.named_id` is the patient that the message's number named before merges, where that
-- is another one than `patient_id`; `merge.named_id` likewise for the survivor's number.
alter table message add column named_id uuid;
alter table merge add column named_id uuid;
alter table merge add column undone_by text;
alter table merge add column undone_reason text;
create index merge_survivor on merge (org_id, survivor_id);
