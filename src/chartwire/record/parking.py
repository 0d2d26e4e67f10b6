"""Parked writes: what names a record that is not there yet waits for it, in order.

A write is parked for one external id at a time. Whoever makes that id known makes the write in the same transaction;
one that nobody makes known in time is given up, with an event. Both sides take the id's turn first (an advisory lock
of their transactions), so that a write is never parked for a record that has just come to be.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from chartwire.core.access import Access
from chartwire.core.errors import ConflictError, TransientError
from chartwire.core.ids import source_key_id, uuid7
from chartwire.core.limits import PARKED_WRITES_PER_ORGANISATION_MAX
from chartwire.events.outbox import Event
from chartwire.record.work import Key
from chartwire.record.writing import CHANGED_MEANWHILE
from chartwire.store.pool import Connection, Pool, Row
from chartwire.store.queries import q

PARKED = "ParkedWrite"
"""The resource type of events about parked writes."""
_GIVEN_UP_AT_ONCE_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Parked:
    """A write that waits: what was asked (`noun`, `op`, `data`; `target_id` and `version` of what it changes), the key
    that it waits for with the JSON pointer that names it, and who asked."""

    noun: str
    op: str
    data: dict[str, Any]
    target_id: UUID | None
    version: int | None
    waits_for: Key
    pointer: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """A parked write whose record has come: its id, what was asked, for whom it is made, and whether their key still
    holds (`permitted`)."""

    id: UUID
    noun: str
    op: str
    data: dict[str, Any]
    target_id: UUID | None
    version: int | None
    access: Access
    permitted: bool


async def park(tx: Connection, access: Access, parked: Parked, kept_s: float) -> Row:
    """Keep a write until its record comes, at most `kept_s` seconds: its `id`, `created_at` and `expires_at`.

    Raises TransientError (`changed_meanwhile`) when the record has come meanwhile, ConflictError (`parking_full`).
    """
    kind, key = parked.waits_for[0], source_key_id(*parked.waits_for)
    await tx.execute(q.parking_turn, access.org, [kind], [key])
    if await tx.fetch(q.resolve_keys, access.org, [kind], [key]):
        raise TransientError("the record that was missing has come", code=CHANGED_MEANWHILE)
    parked_id = uuid7()
    row = await tx.fetchrow(
        q.insert_parked, access.org, parked_id, parked.noun, parked.op, parked.target_id, parked.version,
        msgspec.json.encode(parked.data).decode(), kind, key, parked.pointer, access.credential_id, access.actor,
        access.request_id, kept_s, PARKED_WRITES_PER_ORGANISATION_MAX,
    )  # fmt: skip
    if row is None:
        raise ConflictError("as many writes are parked as may be", code="parking_full")
    found = await one(tx, access, parked_id)
    assert found is not None, "it was just written"
    return found


async def waiting_for(tx: Connection, access: Access, keys: Iterable[Key]) -> list[Waiting]:
    """What waits for records that this transaction makes known by these keys, in order, locked."""
    wanted = sorted((kind, source_key_id(kind, key)) for kind, key in keys)
    if not wanted:
        return []
    kinds, ids = [kind for kind, _ in wanted], [key for _, key in wanted]
    return [_waiting(access, row) for row in await tx.fetch(q.parked_for, access.org, kinds, ids)]


async def wait_on(tx: Connection, access: Access, parked_id: UUID, waits_for: Key, pointer: str) -> None:
    """The record came, but another one that the write names has not."""
    kind, key = waits_for[0], source_key_id(*waits_for)
    await tx.execute(q.repark, access.org, parked_id, kind, key, pointer)


async def end(tx: Connection, access: Access, parked_id: UUID) -> bool:
    """Take a parked write out: whether there was one."""
    return bool(await tx.fetchval(q.delete_parked, access.org, parked_id))


async def many(pool: Pool, access: Access, before: UUID, limit: int) -> list[Row]:
    """Parked writes, newest first; columns of list_parked."""
    async with pool.transaction(access.org) as tx:
        return await tx.fetch(q.list_parked, access.org, before, limit)


async def one(tx: Connection, access: Access, parked_id: UUID) -> Row | None:
    """One parked write; None when there is none."""
    return await tx.fetchrow(q.read_parked, access.org, parked_id)


async def give_up(tx: Connection, org: UUID, now: datetime) -> list[Event]:
    """Take out what waited too long, a bounded number; answers the events that tell of it."""
    rows = await tx.fetch(q.give_up_parked, org, now, _GIVEN_UP_AT_ONCE_MAX)
    return [told(row["id"], "parked_write.expired") for row in rows]


def told(parked_id: UUID, event_type: str, codes: Sequence[str] = ()) -> Event:
    """An event about a parked write; `codes` say why it failed."""
    return Event(event_type, PARKED, parked_id, 1, None, (), None, "live", {"codes": list(codes)} if codes else {})


def _waiting(access: Access, row: Row) -> Waiting:
    return Waiting(
        row["id"],
        row["noun"],
        row["op"],
        msgspec.json.decode(row["body"]),
        row["target_id"],
        row["version"],
        Access(
            access.org,
            row["actor"],
            access.purpose,
            access.scopes,
            request_id=row["request_id"],
            credential_id=row["credential_id"],
        ),
        row["permitted"],
    )
