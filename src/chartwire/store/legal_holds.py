"""Legal holds: bytes that are kept beyond their term, whoever asks, until the hold is released.

A hold is on one message, or on a patient: then on all messages about them and about everyone they were ever merged
with, those to come included. Held bodies are of the class `hold`, which no job removes; a month of messages that has
such in it stays. What arrives later is taken in by `keep` before each removal.
"""

from datetime import datetime
from typing import Literal, TypedDict, cast
from uuid import UUID

from chartwire.core.errors import ConflictError, NotFoundError, ValidationError
from chartwire.core.ids import uuid7
from chartwire.store.pool import Pool
from chartwire.store.queries import q

Kind = Literal["patient", "message"]
BODIES_PER_COMMIT = 500
_REASON_CHARACTERS_MAX = 500
_UNKNOWN = {"patient": "no patient has this id", "message": "no message has this id, or its bytes are gone already"}


class LegalHold(TypedDict):
    """A hold as it is stored; the last three are None while it stands."""

    id: UUID
    kind: Kind
    subject_id: UUID
    reason: str
    placed_at: datetime
    placed_by: str
    released_at: datetime | None
    released_by: str | None
    release_reason: str | None


async def place(pool: Pool, org: UUID, kind: Kind, subject: UUID, reason: str, actor: str) -> int:
    """Put a hold on a patient or message; how many bodies it moved.

    Raises NotFoundError (`unknown_id`, for a message whose bytes are gone too), ConflictError (`on_hold_already`),
    ValidationError (`reason`).
    """
    _check(reason)
    async with pool.transaction(org) as tx:
        if not await tx.fetchval(q.knows_patient if kind == "patient" else q.knows_body, org, subject):
            raise NotFoundError(_UNKNOWN[kind], code="unknown_id")
        if await tx.fetchval(q.place_legal_hold, org, uuid7(), kind, subject, reason, actor) is None:
            raise ConflictError(f"a hold is on this {kind} already", code="on_hold_already")
    return await keep(pool, org)


async def release(pool: Pool, org: UUID, kind: Kind, subject: UUID, reason: str, actor: str) -> int:
    """End the hold on a patient or message; how many bodies fall under their terms again, since no other hold covers
    them. Raises NotFoundError (`not_on_hold`), ValidationError (`reason`)."""
    _check(reason)
    async with pool.transaction(org) as tx:
        if await tx.fetchval(q.release_legal_hold, org, kind, subject, actor, reason) is None:
            raise NotFoundError(f"no hold is on this {kind}", code="not_on_hold")
    return await _move(pool, org, q.let_bodies_go)


async def keep(pool: Pool, org: UUID) -> int:
    """Take what the holds of an organisation cover by now out of reach of every removal; how many bodies."""
    return await _move(pool, org, q.hold_bodies)


async def listed(pool: Pool, org: UUID, *, standing: bool, most: int) -> list[LegalHold]:
    """The holds of an organisation, newest first; only those that stand, where asked."""
    async with pool.transaction(org) as tx:
        return [cast("LegalHold", dict(row)) for row in await tx.fetch(q.legal_holds, org, standing, most)]


async def _move(pool: Pool, org: UUID, query: str) -> int:
    """Bodies from class to class in small transactions, each of which retention waits for."""
    total = 0
    while True:
        async with pool.transaction(org) as tx:
            await tx.execute(q.lock_retention, org)
            moved = int(await tx.fetchval(query, org, BODIES_PER_COMMIT))
        total += moved
        if moved < BODIES_PER_COMMIT:
            return total


def _check(reason: str) -> None:
    if not 0 < len(reason.strip()) <= _REASON_CHARACTERS_MAX:
        raise ValidationError(f"a reason has 1 to {_REASON_CHARACTERS_MAX} characters", code="reason")
