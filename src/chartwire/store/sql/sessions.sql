-- name: end_standing_sessions
-- End the sessions of this role that hold row locks for a client that stood still in the middle of a statement: between
-- Parse and Bind (the driver flushes there and does not sync) a session counts as active, so that neither
-- idle_in_transaction_session_timeout nor statement_timeout ends it, and nothing else ever would.
select count(pg_terminate_backend(pid)) from pg_stat_activity
 where usename = current_user and datname = current_database() and pid <> pg_backend_pid()
   and state = 'active' and wait_event = 'ClientRead' and backend_xid is not null
   and query !~* '^\s*copy\M' and state_change < now() - make_interval(secs => $1);
