-- Lanes whose last claim did not end well, to be found without walking all that are ready.
create index lane_suspect on lane (kind, ready_at) where attempts > 0 and ready_at < 'infinity';
