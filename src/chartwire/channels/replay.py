"""Replay: the same bytes once more, as a child of the message that they came in.

Record-only unless asked otherwise (domain-rules.md section 4): stored again, its events marked historical, so that no
webhook, reminder or write-back leaves. Replays stay out of the intake ledger.
"""

from uuid import UUID

from chartwire.channels import requeue
from chartwire.channels.requeue import Place
from chartwire.core import clock
from chartwire.core.access import Access
from chartwire.core.errors import NotFoundError
from chartwire.core.ids import order_key_digest, uuid7
from chartwire.core.source import EffectMode
from chartwire.mapping.identity import MERGE_EVENTS
from chartwire.store.pool import Connection, Pool
from chartwire.store.queries import q


async def replay(pool: Pool, access: Access, message_id: UUID, *, mode: EffectMode = "record-only") -> UUID:
    """`put_again` in a transaction of its own."""
    async with pool.transaction(access.org) as tx:
        return await put_again(tx, access, message_id, mode=mode)


async def put_again(tx: Connection, access: Access, message_id: UUID, *, mode: EffectMode) -> UUID:
    """Put a copy of the message at the end of its lane, a merge of all its lanes; answers the child's id.

    Raises NotFoundError; for a merge ConflictError (`source_gone`).
    """
    child = uuid7()
    row = await tx.fetchrow(q.message_for_replay, access.org, message_id)
    if row is None:
        raise NotFoundError("no message has this id, or its body has expired", code="unknown_message")
    lane = row["lane_id"] or order_key_digest(str(access.org), str(row["source_id"]))
    place = Place(child, (lane,))
    if row["event"] in MERGE_EVENTS:
        source = await requeue.source_named(tx, access.org, row["source_id"])
        place = requeue.place_of(source, child, row["event"], lane, row["raw"])
    await tx.execute(
        q.insert_replay,
        access.org,
        child,
        row["source_id"],
        clock.now(),
        row["event"],
        row["control_id"],
        row["mrn"],
        place.lanes[0],
        row["charset"],
        row["raw"],
        mode,
        message_id,
    )
    await tx.execute(q.insert_replay_body, access.org, child, row["raw"])
    await requeue.put_last(tx, access.org, [place])
    return child
