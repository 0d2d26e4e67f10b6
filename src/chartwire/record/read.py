"""Reading the record: every call names its Access first, and sees one organisation only.

`read_one` and `search` check the credential of the Access in the statement that reads, so that a revocation takes
effect at once even where the caller remembered the key (trust/credentials.py); they raise AuthError
(`credential_invalid`) for one that was withdrawn. Bodies are the canonical text that was stored, not decoded here.
All calls raise TransientError when the database does not answer.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from chartwire.core.access import Access
from chartwire.core.clock import instant
from chartwire.store import search_sql
from chartwire.store.pool import Connection, Pool, Row
from chartwire.store.queries import q
from chartwire.store.search_sql import PATIENT_STATUSES, Position, Search, Term
from chartwire.trust.credentials import explaining

__all__ = ["PATIENT_STATUSES", "Found", "Position", "Search", "Stored", "Term", "count", "read_one", "search"]

_FIRST = UUID(int=0)
_COVERAGES_MAX = 1_000
_VERSIONS_MAX = 100


class Stored(msgspec.Struct, frozen=True, gc=False):
    """One version of a resource. `body` is its JSON text; `patient_id` whose it is, None for shared ones."""

    id: UUID
    version: int
    updated_at: datetime
    deleted: bool
    patient_id: UUID | None
    message_id: UUID | None
    actor: str
    body: str


class Found(msgspec.Struct, frozen=True, gc=False):
    """A resource that a search found, with the value that it was sorted by."""

    stored: Stored
    sort_value: str | None


async def read_one(pool: Pool, access: Access, resource_type: str, resource_id: UUID) -> Stored | None:
    """The current version (which may be a deletion); None when this organisation has none. One round trip."""
    with explaining():
        async with pool.connection() as connection:
            row = await connection.fetchrow(
                q.read_resource, access.credential_id, access.org, resource_type, resource_id
            )
    if row is None or row["version"] is None:
        return None
    return stored_of(row, resource_id)


async def read_version(
    pool: Pool, access: Access, resource_type: str, resource_id: UUID, version: int
) -> Stored | None:
    """One version, present or superseded; None when there is none."""
    async with pool.transaction(access.org) as tx:
        row = await tx.fetchrow(q.read_version, access.org, resource_type, resource_id, version)
    return None if row is None else stored_of(row, resource_id)


async def search(pool: Pool, access: Access, wanted: Search) -> list[Found]:
    """At most `wanted.limit` resources, in order. Those without a value to sort by come last, by id.

    A search by one equality in order of ids takes one round trip, any other four to six. In order of change it gives
    what was changed before every transaction that still runs began: nothing appears later behind what was given.
    """
    term = wanted.single_equality
    with explaining():
        if term is None:
            async with _reading(pool, access) as tx:
                return await _search(tx, access.org, await _settled(tx, wanted))
        after = wanted.after[1] if wanted.after else _FIRST
        args = (
            access.credential_id,
            access.org,
            wanted.type,
            term.param,
            term.value,
            after,
            wanted.limit,
            wanted.with_merged,
        )
        async with pool.connection() as connection:
            return _found(await connection.fetch(q.search_resources, *args))


async def count(pool: Pool, access: Access, wanted: Search) -> tuple[int, bool]:
    """How many match, and whether that is exact: above search_sql.TOTAL_COUNTED_MAX it is that number and False."""
    sql, args = search_sql.counting(access.org, wanted)
    async with _reading(pool, access) as tx:
        number = int(await tx.fetchval(sql, *args))
    return min(number, search_sql.TOTAL_COUNTED_MAX), number <= search_sql.TOTAL_COUNTED_MAX


async def survivors(pool: Pool, access: Access, patients: Sequence[UUID]) -> dict[UUID, UUID]:
    """For those of `patients` that were merged into another: the patient at the end of the chain."""
    async with pool.transaction(access.org) as tx:
        rows = await tx.fetch(q.survivors_of, access.org, list(patients))
    return {row["loser_id"]: row["survivor_id"] for row in rows}


async def coverages(pool: Pool, access: Access, patients: Sequence[UUID]) -> dict[UUID, list[str]]:
    """The Coverage bodies of patients, at most 1,000 in all."""
    async with pool.transaction(access.org) as tx:
        rows = await tx.fetch(q.coverages_of, access.org, list(patients), _COVERAGES_MAX)
    found: dict[UUID, list[str]] = {}
    for row in rows:
        found.setdefault(row["patient_id"], []).append(row["body"])
    return found


async def lineage(pool: Pool, access: Access, resource_type: str, resource_id: UUID) -> list[Row]:
    """Versions of a resource with their lineage text, newest first, at most 100; empty when there is no resource.

    Columns: version, updated_at, patient_id, message_id, actor, lineage.
    """
    async with pool.transaction(access.org) as tx:
        return await tx.fetch(q.read_lineage, access.org, resource_type, resource_id, _VERSIONS_MAX)


@asynccontextmanager
async def _reading(pool: Pool, access: Access) -> AsyncIterator[Connection]:
    async with pool.transaction(None) as tx:
        await tx.execute(q.open_search, access.credential_id, access.org)
        yield tx


async def _settled(tx: Connection, wanted: Search) -> Search:
    """A search in order of change, only as far as nothing earlier can be committed any more; any other as it is."""
    if wanted.sort != "updated" or wanted.descending:
        return wanted
    until = instant(await tx.fetchval(q.settled_until))
    return replace(wanted, terms=(*wanted.terms, Term("updated", "lt", until)))


async def _search(tx: Connection, org: UUID, wanted: Search) -> list[Found]:
    if wanted.sort is None:
        return await _run(tx, search_sql.by_id(org, wanted))
    found: list[Found] = []
    among_the_last = wanted.after is not None and wanted.after[0] is None
    if not among_the_last:
        found = await _run(tx, search_sql.by_value(org, wanted))
    missing = wanted.limit - len(found)
    if missing and not wanted.ranges_over_sort:
        rest = replace(wanted, after=wanted.after if among_the_last else None, limit=missing)
        found += await _run(tx, search_sql.without_value(org, rest))
    return found


async def _run(tx: Connection, statement: tuple[str, list[Any]]) -> list[Found]:
    sql, args = statement
    return _found(await tx.fetch(sql, *args))


def _found(rows: list[Row]) -> list[Found]:
    return [Found(stored_of(row, row["id"]), row["sort_value"]) for row in rows]


def stored_of(row: Row, resource_id: UUID) -> Stored:
    """A stored version from a row of `resource`."""
    return Stored(
        resource_id,
        row["version"],
        row["updated_at"],
        row["deleted"],
        row["patient_id"],
        row["message_id"],
        row["actor"],
        row["body"],
    )
