"""Reading messages: what arrived, what became of it, what it caused. Every call names its Access first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import orjson

from chartwire.core.access import Access
from chartwire.core.ids import uuid7_floor
from chartwire.store import search_sql
from chartwire.store.pool import Pool, Row
from chartwire.store.queries import q

_CHILDREN_MAX = 100
_DELIVERIES_MAX = 1_000
# Events are made in the transaction that settles their message; how far its moments may lie apart.
_EVENTS_BEFORE = timedelta(seconds=60)
_EVENTS_AFTER = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Touched:
    """One resource version that a message made, or found as it was (`changed` False)."""

    type: str
    id: UUID
    version: int
    changed: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a message: resources, findings as (code, place), and fields that no rule read."""

    touched: list[Touched]
    findings: list[tuple[str, str]]
    unread: list[str]


async def search_messages(pool: Pool, access: Access, conditions: Mapping[str, Any], limit: int) -> list[Row]:
    """Messages, newest first; `conditions` named as in search_sql. Columns of read_message but the outcome."""
    sql, args = search_sql.messages(access.org, conditions, limit)
    async with pool.transaction(access.org) as tx:
        return await tx.fetch(sql, *args)


async def read_message(pool: Pool, access: Access, message_id: UUID) -> Row | None:
    """One message without its bytes; None when this organisation has none of this id."""
    async with pool.transaction(access.org) as tx:
        return await tx.fetchrow(q.read_message, access.org, message_id)


async def read_raw(pool: Pool, access: Access, message_id: UUID) -> bytes | None:
    """The bytes as they arrived; None once they were blanked or dropped."""
    async with pool.transaction(access.org) as tx:
        raw: bytes | None = await tx.fetchval(q.read_message_body, access.org, message_id)
    return raw


async def children(pool: Pool, access: Access, message_id: UUID) -> list[Row]:
    """The replays of a message, newest first, at most 100: id, received_at, state, mode."""
    async with pool.transaction(access.org) as tx:
        return await tx.fetch(q.read_children, access.org, message_id, _CHILDREN_MAX)


async def reviews_of(pool: Pool, access: Access, message_id: UUID) -> list[Row]:
    """The cases that a message made, newest first, at most 100: id, kind, state, created_at."""
    async with pool.transaction(access.org) as tx:
        return await tx.fetch(q.reviews_of_message, access.org, message_id, _CHILDREN_MAX)


async def deliveries_of(pool: Pool, access: Access, message: Row) -> list[Row]:
    """What a message caused to be sent, at most 1,000; empty until it is processed."""
    done = message["processed_at"]
    if done is None:
        return []
    first, last = (uuid7_floor(int(at.timestamp() * 1000)) for at in (done - _EVENTS_BEFORE, done + _EVENTS_AFTER))
    async with pool.transaction(access.org) as tx:
        return await tx.fetch(q.deliveries_of_message, access.org, message["id"], first, last, _DELIVERIES_MAX)


async def lineage_of(pool: Pool, access: Access, versions: Sequence[Touched]) -> dict[tuple[str, UUID], str]:
    """The lineage text of resource versions, by type and id; what was purged is absent."""
    columns = ([one.type for one in versions], [one.id for one in versions], [one.version for one in versions])
    async with pool.transaction(access.org) as tx:
        rows = await tx.fetch(q.lineage_of_versions, access.org, *columns)
    return {(row["type"], row["id"]): row["lineage"] for row in rows}


def outcome_of(text: str | None) -> Outcome:
    """What settling a message wrote down about it (channels/settling.py)."""
    if not text:
        return Outcome([], [], [])
    told = orjson.loads(text)
    touched = [Touched(kind, UUID(one), version, changed) for kind, one, version, changed in told.get("resources", ())]
    return Outcome(touched, told.get("findings", []), told.get("unread", []))
