-- What generated searches (store/search_sql.py) need besides the primary key of search_value, which leads from a value to
-- its resources: the way back, from a resource to its values, for the parameters that are sorted by or searched by range
-- and prefix only, since every index row costs each save; and how often combinations occur, so that the planner knows
-- that `status booked` is common and an MRN is not.
create index search_value_resource on search_value (org_id, type, resource_id, param, value)
    where param in ('birthdate', 'family', 'name', 'sort_name', 'start');
create statistics search_value_words (mcv) on type, param, value from search_value;
alter statistics search_value_words set statistics 500;
