"""Sending the statements of a search."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from chartwire.store.fhir_search.conditions import Search
from chartwire.store.fhir_search.pages import Asked, counting, page, parts
from chartwire.store.pool import Connection, Row
from chartwire.store.queries import q

COUNTED_MAX = 10_000
"""How far matches are counted where an estimate is enough."""

_OPEN = "select access_open({credential}, '{org}'), set_config('plan_cache_mode', 'force_custom_plan', true)"
_CLOSE = "select set_config('plan_cache_mode', 'auto', true)"


async def found(connection: Connection, credential: UUID | None, org: UUID, search: Search) -> list[Row]:
    """At least one row, see `page`; at most `limit` with an id."""
    rows: list[Row] = []
    for part in parts(search):
        left = search.limit - sum(row["id"] is not None for row in rows)
        if left > 0:
            after = None if part == "without value" and rows else search.after
            asked = page(org, credential, replace(search, limit=left, after=after), part)
            rows += await _fetch(connection, credential, org, asked)
    return rows


async def counted(
    connection: Connection, credential: UUID | None, org: UUID, search: Search, most: int | None
) -> tuple[int, bool]:
    """The number of matches, counted up to `most`; and whether one of `people` was merged into another."""
    [row] = await _fetch(connection, credential, org, counting(org, credential, search, most))
    return row["number"], row["merged"]


async def survivors(
    connection: Connection, credential: UUID | None, org: UUID, people: Sequence[UUID]
) -> dict[UUID, UUID]:
    """For those of `people` that were merged into another: the patient at the end of the chain."""
    rows = await _bound(connection, credential, org, q.survivors_of, [org, list(people)])
    return {row["loser_id"]: row["survivor_id"] for row in rows}


async def settled_until(connection: Connection) -> datetime:
    """Before when no change can come to light any more that later statements do not see."""
    until: datetime = await connection.fetchval(q.settled_until)
    return until


async def _fetch(connection: Connection, credential: UUID | None, org: UUID, asked: Asked) -> list[Row]:
    """The rows of a statement."""
    if asked.planned:
        return await _bound(connection, credential, org, asked.sql, asked.args)
    return await connection.fetch(asked.sql, *asked.args)


async def _bound(
    connection: Connection, credential: UUID | None, org: UUID, sql: str, args: Sequence[Any]
) -> list[Row]:
    """The rows of a statement that is planned for its values, in a transaction that is bound to the organisation.

    Further statements of a transaction that was open already are planned as before.
    """
    # `hex` and not the values themselves: only a UUID has it, so no text can become SQL here.
    opening = _OPEN.format(credential="null" if credential is None else f"'{credential.hex}'", org=org.hex)
    inside = connection.in_transaction
    await connection.execute(opening if inside else f"begin; {opening}")
    rows = await connection.fetch(sql, *args)
    await connection.execute(_CLOSE if inside else "commit")
    return rows
