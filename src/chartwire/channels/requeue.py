"""Messages back into the work, after a person has decided about them, each with the lanes that it has to keep."""

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from chartwire.channels.routing import Lanes, order_key
from chartwire.channels.source_store import stored_source
from chartwire.core.errors import ConflictError, NotFoundError
from chartwire.core.ids import order_key_digest
from chartwire.core.source import Source
from chartwire.events import lanes as lane_engine
from chartwire.formats.hl7v2 import read_envelope
from chartwire.mapping.identity import MERGE_EVENTS
from chartwire.store.pool import Connection, Row
from chartwire.store.queries import q


class Place(NamedTuple):
    """A message and all its lanes, the first of which is its own."""

    message_id: UUID
    lanes: tuple[UUID, ...]


async def message_in_doubt(tx: Connection, org: UUID, message_id: UUID, *, whole: bool = True) -> Row:
    """The message, locked. Raises NotFoundError; where `whole`, ConflictError (`bytes_gone`) for one without bytes."""
    row = await tx.fetchrow(q.message_in_doubt, org, message_id)
    if row is None:
        raise NotFoundError("no message has this id", code="unknown_message")
    if whole and row["raw"] is None:
        raise ConflictError("the bytes of this message were removed when their time was over", code="bytes_gone")
    return row


async def source_named(tx: Connection, org: UUID, source_id: UUID) -> Source:
    """A source by its id. Raises ConflictError (`source_gone`): without it a message cannot be read."""
    try:
        return (await stored_source(tx, org, source_id)).source
    except NotFoundError:
        raise ConflictError("the source of this message is no longer there", code="source_gone") from None


def place_of(source: Source, message_id: UUID, event: str, lane_id: UUID | None, raw: bytes) -> Place:
    """Where a stored message queues: the lane that it came in; for a merge, and only there, all that `raw` names."""
    own = lane_id or order_key_digest(str(source.org), str(source.id))
    if event not in MERGE_EVENTS:
        return Place(message_id, (own,))
    lanes = lanes_of(source, event, raw)
    return Place(message_id, (lanes.lane, *lanes.partners))


def lanes_of(source: Source, event: str, raw: bytes) -> Lanes:
    """The lanes of a message by its bytes, as a listener finds them."""
    return order_key(read_envelope(raw, charset=source.charset), source, event, raw)


async def put_first(tx: Connection, org: UUID, place: Place, decision: str | None) -> None:
    """At the head of its lanes, since it came before what waits there. `decision` is what a person said about it."""
    await lane_engine.lock(tx, place.lanes)
    await tx.execute(q.messages_received_again, org, [place.message_id])
    await tx.execute(q.requeue_first, org, place.message_id, list(place.lanes), decision)


async def put_last(tx: Connection, org: UUID, places: Sequence[Place]) -> None:
    """At the end of their lanes, in this order."""
    ids = [place.message_id for place in places]
    await tx.execute(q.messages_received_again, org, ids)
    await tx.execute(q.requeue_messages, org, ids, ["{" + ",".join(map(str, place.lanes)) + "}" for place in places])


def decided(choice: str, reason: str, actor: str, at: str, **more: Any) -> dict[str, Any]:
    """What `message.decision` holds: who decided what, why and when (UTC text)."""
    return {"choice": choice, "reason": reason, "actor": actor, "at": at, **more}
