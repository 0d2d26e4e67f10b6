-- name: stored_sources
-- The sources of this scope with all that is known of them, oldest first; retired ones where $2, one alone where $3.
select s.id, s.name, s.settings, s.version, s.created_at, s.updated_at, s.retired_at, s.on_hold, s.paused,
       coalesce(r.listener, '') as listener, o.kind
  from source s
  join organisation o on o.org_id = s.org_id
  left join route r on r.kind = 'source' and r.org_id = s.org_id and r.source_id = s.id
 where s.org_id = $1 and ($2 or s.retired_at is null) and ($3::uuid is null or s.id = $3)
 order by s.id;

-- name: change_source
-- New settings of a source, where it still has the version $5 (any for null). Brings a retired one back.
update source set name = $3, settings = $4, version = version + 1, updated_at = now(), retired_at = null
 where org_id = $1 and id = $2 and ($5::integer is null or version = $5)
returning version;

-- name: retire_source
-- A source that no listener knows any more; its messages stay.
update source set version = version + 1, updated_at = now(), retired_at = now()
 where org_id = $1 and id = $2 and ($3::integer is null or version = $3) and retired_at is null
returning version;

-- name: lock_listener
-- One writer of a listener's sources at a time, so that each sees what the other wrote.
select pg_advisory_xact_lock(hashtextextended('listener ' || $1, 0));

-- name: sources_of_listener
-- The sources of one listener, of every organisation; see the function.
select org_id, id, name, settings from sources_of_listener($1);

-- name: source_traffic
-- Of each source: its last message, its messages since an id, how many are held, how many are dead and undecided.
select w.source_id, last.received_at as last_message_at,
       (select count(*) from message m where m.org_id = $1 and m.source_id = w.source_id and m.id >= w.since) as since,
       (select count(*) from message m where m.org_id = $1 and m.source_id = w.source_id and m.state = 'held'
           and m.decision is null) as held,
       (select count(*) from message m where m.org_id = $1 and m.source_id = w.source_id and m.state = 'dead'
           and m.decision is null) as dead
  from unnest($2::uuid[], $3::uuid[]) as w (source_id, since)
  left join lateral (
        select m.received_at from message m where m.org_id = $1 and m.source_id = w.source_id order by m.id desc limit 1
       ) last on true;

-- name: lock_organisation
-- The organisation of this scope, for one who changes its configuration.
select org_id from organisation where org_id = $1 for update;
