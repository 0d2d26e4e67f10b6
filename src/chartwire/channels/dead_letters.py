"""Dead letters: by cause, with how to mend it; retried, edited and retried, or discarded, by a person's decision.

A cause (fingerprint) is source, event, error code and place. What is retried is the same message, back at the end of
its lane: a message that was never applied has nothing to repeat. What is edited becomes a child with a link to its
parent, which stays as it arrived. What is discarded or edited stays dead, with the decision, and is listed no more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib import resources
from typing import Any, Final
from uuid import UUID

import yaml

from chartwire.channels import requeue
from chartwire.channels.requeue import Place, decided
from chartwire.core import clock
from chartwire.core.access import Access
from chartwire.core.clock import instant
from chartwire.core.errors import ConflictError, NotFoundError, ValidationError
from chartwire.core.ids import uuid7
from chartwire.formats.hl7v2 import read_envelope
from chartwire.mapping.identity import MERGE_EVENTS
from chartwire.record.bodies import plain_json
from chartwire.store.pool import Connection, Pool, Row
from chartwire.store.queries import q

MANY_MAX: Final = 1_000
"""Messages that one decision about many takes; what is left is told, and taken by the next one."""

_FIRST: Final = UUID(int=0)
_ADVICE: Final[list[dict[str, Any]]] = yaml.safe_load(
    (resources.files("chartwire.channels") / "advice.yaml").read_text("utf-8")
)


@dataclass(frozen=True, slots=True)
class Many:
    """What became of a decision about many: how many messages it took, the last of them, whose they are, and how many
    open ones the cause has left."""

    taken: int
    last_id: UUID | None
    patients: tuple[UUID, ...]
    left: int


def advice_on(code: str | None) -> str:
    """How to mend a cause."""
    return next(
        str(one["mend"]) for one in _ADVICE if any(fnmatchcase(code or "", pattern) for pattern in one["codes"])
    )


async def causes(pool: Pool, access: Access, before: UUID, source_id: UUID | None, limit: int) -> list[Row]:
    """Open dead letters by cause, the one seen last first; columns of dead_letter_groups."""
    async with pool.transaction(access.org) as tx:
        return await tx.fetch(q.dead_letter_groups, access.org, before, limit, source_id)


async def cause(pool: Pool, access: Access, fingerprint: UUID) -> Row:
    """One cause. Raises NotFoundError where it has no open dead letter."""
    async with pool.transaction(access.org) as tx:
        return await _cause(tx, access.org, fingerprint)


async def messages_of(pool: Pool, access: Access, fingerprint: UUID, before: UUID, limit: int) -> list[Row]:
    """The open dead letters of a cause, newest first; columns of dead_letters_of."""
    async with pool.transaction(access.org) as tx:
        return await tx.fetch(q.dead_letters_of, access.org, fingerprint, before, limit)


async def retry(tx: Connection, access: Access, message_id: UUID) -> Row:
    """Work one dead letter again. Raises NotFoundError; ConflictError (`not_dead`, `bytes_gone`, `source_gone`)."""
    row = await _open(tx, access.org, message_id)
    source = await requeue.source_named(tx, access.org, row["source_id"])
    await requeue.put_last(
        tx, access.org, [requeue.place_of(source, message_id, row["event"], row["lane_id"], row["raw"])]
    )
    return row


async def retry_many(
    tx: Connection, access: Access, fingerprint: UUID, *, after: UUID = _FIRST, limit: int = MANY_MAX
) -> Many:
    """Work the dead letters of a cause again, oldest first, those behind `after`, at most `limit` of them.

    Raises NotFoundError where the cause has no open dead letter, ConflictError (`source_gone`).
    """
    found = await _cause(tx, access.org, fingerprint)
    source = await requeue.source_named(tx, access.org, found["source_id"])
    args = (fingerprint, after, min(limit, MANY_MAX), sorted(MERGE_EVENTS))
    rows = await tx.fetch(q.dead_to_retry, access.org, *args)
    places = [requeue.place_of(source, row["id"], row["event"], row["lane_id"], row["raw"]) for row in rows]
    if places:
        await requeue.put_last(tx, access.org, places)
    return _many(rows, found["messages"])


async def edit_and_retry(tx: Connection, access: Access, message_id: UUID, raw: bytes) -> UUID:
    """Work `raw` instead of a dead letter: a child with its control id; answers the child's id.

    Raises as `retry`; ValidationError where MSH-10 is another one, or the bytes are no HL7 v2 message at all.
    """
    row = await _open(tx, access.org, message_id)
    source = await requeue.source_named(tx, access.org, row["source_id"])
    envelope = read_envelope(raw, charset=source.charset)
    if envelope.fault is not None:
        raise ValidationError(f"{envelope.fault.location}: {envelope.fault.text}", code="edit_not_hl7")
    if envelope.control_id != row["control_id"]:
        raise ValidationError("MSH-10: an edited message keeps its control id", code="edit_changes_control_id")
    child, now = uuid7(), clock.now()
    event = f"{envelope.message_code}^{envelope.trigger_event}" if envelope.trigger_event else envelope.message_code
    lanes = requeue.lanes_of(source, event, raw)
    await tx.execute(
        q.insert_replay, access.org, child, source.id, now, event, envelope.control_id, lanes.mrn, lanes.lane,
        envelope.charset, raw, row["mode"], message_id,
    )  # fmt: skip
    await tx.execute(q.insert_replay_body, access.org, child, raw)
    await requeue.put_last(tx, access.org, [Place(child, (lanes.lane, *lanes.partners))])
    told = decided("edit", "", access.actor, instant(now), child=str(child))
    await tx.execute(q.decide_message, access.org, message_id, None, None, None, plain_json(told))
    return child


async def discard(tx: Connection, access: Access, message_id: UUID, reason: str) -> Row:
    """Nothing of this dead letter is wanted. Raises NotFoundError, ConflictError (`not_dead`)."""
    row = await _open(tx, access.org, message_id, whole=False)
    told = decided("discard", reason, access.actor, instant(clock.now()))
    await tx.execute(q.decide_message, access.org, message_id, None, None, None, plain_json(told))
    return row


async def discard_many(
    tx: Connection, access: Access, fingerprint: UUID, reason: str, *, limit: int = MANY_MAX
) -> Many:
    """Nothing of the dead letters of a cause is wanted: those that there are now, oldest first, at most `limit`.

    Raises NotFoundError where the cause has no open dead letter.
    """
    found = await _cause(tx, access.org, fingerprint)
    told = plain_json(decided("discard", reason, access.actor, instant(clock.now())))
    last = found["last_id"]
    rows = await tx.fetch(q.discard_dead_letters, access.org, fingerprint, told, last, min(limit, MANY_MAX))
    return _many(rows, found["messages"])


async def _cause(tx: Connection, org: UUID, fingerprint: UUID) -> Row:
    row = await tx.fetchrow(q.dead_letter_group, org, fingerprint)
    if row is None:
        raise NotFoundError("no open dead letter has this cause", code="unknown_cause")
    return row


async def _open(tx: Connection, org: UUID, message_id: UUID, *, whole: bool = True) -> Row:
    row = await requeue.message_in_doubt(tx, org, message_id, whole=whole)
    if row["state"] != "dead" or row["decision"] is not None:
        raise ConflictError("this message is no open dead letter", code="not_dead")
    return row


def _many(rows: Sequence[Row], before: int) -> Many:
    patients = tuple({row["patient_id"] for row in rows if row["patient_id"]})
    return Many(len(rows), max((row["id"] for row in rows), default=None), patients, before - len(rows))
