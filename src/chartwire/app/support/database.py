"""Parts of the bundle that come from the database: counts, states, statistics; ids of our own, codes and times only."""

import re
from datetime import timedelta
from typing import Any
from uuid import UUID

from chartwire.app.support.machine import as_json
from chartwire.app.support.scene import Database
from chartwire.core.clock import now
from chartwire.core.ids import uuid7_floor
from chartwire.store import condition, disk, lint
from chartwire.store.migrate import read_migrations
from chartwire.store.plans import generic_plans
from chartwire.store.pool import Row
from chartwire.store.queries import q
from chartwire.store.standby import applied_migrations

_HOURS = 24
_CODE = re.compile(r"[a-z][a-z0-9_]{0,63}")


async def migrations(database: Database) -> bytes:
    """Migrations of this release, and those in the database where this process may see them."""
    admin = database.address.admin
    applied = await applied_migrations(admin) if admin else None
    catalog = await lint.problems_of(database.address.app)
    ours = {one.name: one.sha256 for one in read_migrations()}
    return as_json({"release": ours, "applied": applied, "catalog_problems": catalog})


async def hours(database: Database) -> bytes:
    """What became of messages and deliveries, hour by hour."""
    since = uuid7_floor(int((now() - timedelta(hours=_HOURS)).timestamp() * 1000))
    told = {
        str(org): {
            "messages": await _rows(database, org, q.hours_of_messages, org, since),
            "deliveries": await _rows(database, org, q.hours_of_deliveries, org, since),
        }
        for org in database.organisations
    }
    return as_json(told)


async def counts(database: Database) -> bytes:
    """Dead messages by code, open cases by kind, lanes by standing, what came in by day and class."""
    told: dict[str, Any] = {}
    for org in database.organisations:
        dead = await _rows(database, org, q.dead_by_code, org)
        told[str(org)] = {
            "dead_messages": [row | {"code": _code(row["code"])} for row in dead],
            "open_reviews": await _rows(database, org, q.open_reviews_by_kind, org),
            "by_day": await _rows(database, org, q.samples_since, org, now().date() - timedelta(days=disk.WINDOW_DAYS)),
        }
    async with database.shared.engine_pool.connection() as connection:
        told["lanes"] = [dict(row) for row in await connection.fetch(q.lanes_by_standing)]
    return as_json(told)


async def statistics(database: Database) -> bytes:
    """How tables and indexes are used, how full they are, when they were cleaned; the server's settings and load."""
    pool = database.shared.pool
    async with pool.connection() as connection:
        tables = [dict(row) for row in await connection.fetch(q.table_statistics)]
        indexes = [dict(row) for row in await connection.fetch(q.index_statistics)]
        settings = [dict(row) for row in await connection.fetch(q.changed_settings)]
        apart_s = await condition.clock_skew_s(connection)
    load = await condition.load(pool)
    version = await condition.settings(pool, ["server_version"])
    server = {
        "version": version["server_version"],
        "clock_ahead_s": apart_s,
        "sessions": load.sessions,
        "sessions_max": load.sessions_max,
        "oldest_transaction_s": load.transaction_s,
        "unfrozen_transactions": load.unfrozen,
        "log_kept_bytes": await condition.slots_behind(pool),
        "settings": settings,
    }
    return as_json({"server": server, "tables": tables, "indexes": indexes})


async def plans(database: Database) -> bytes:
    """How the server would run each named query."""
    told = await generic_plans(database.address.app)
    return "\n\n".join("\n".join([f"-- {name}", *lines]) for name, lines in told.items()).encode()


def _code(text: str) -> str:
    """An error code; what does not look like one may quote a message."""
    return text if _CODE.fullmatch(text) else "(another)"


async def _rows(database: Database, org: UUID, query: str, *args: object) -> list[dict[str, Any]]:
    async with database.shared.pool.transaction(org) as tx:
        await tx.execute(q.bound_statement_time)
        rows: list[Row] = await tx.fetch(query, *args)
    return [dict(row) for row in rows]
