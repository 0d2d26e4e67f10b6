"""Take away the message at the head of a lane that does not move, so that what waits behind it goes on."""

from uuid import UUID

from chartwire.channels.requeue import decided
from chartwire.core.access import Access
from chartwire.core.clock import instant, now
from chartwire.core.errors import ConflictError, NotFoundError, TransientError
from chartwire.events import lanes as lane_engine
from chartwire.record.bodies import plain_json
from chartwire.store.pool import Connection, Row
from chartwire.store.queries import q

SKIPPED = "skipped"


async def skip(tx: Connection, access: Access, message_id: UUID, reason: str) -> None:
    """End the work on this message: `filtered` with `skipped` and the reason. Its lanes go on with the next ones.

    Raises NotFoundError; ConflictError where it does not head its lane (`not_at_the_head`) or its lane moves
    (`not_stuck`); TransientError (`in_work`) while a worker has it.
    """
    org = access.org
    row = await tx.fetchrow(q.lane_of_message, org, message_id)
    if row is None:
        raise NotFoundError("no message has this id", code="unknown_message")
    jobs = await tx.fetch(q.jobs_of_message, org, row["lane_id"], message_id) if row["lane_id"] else []
    if not jobs:
        raise ConflictError("this message is not in the work: there is nothing to skip", code="not_at_the_head")
    lanes = list(jobs[0]["ticket_lanes"] or [row["lane_id"]])
    await lane_engine.lock(tx, lanes)
    heads = {head["lane_id"]: head["message_id"] for head in await tx.fetch(q.lane_heads, org, lanes)}
    led = [lane for lane in lanes if heads.get(lane) == message_id]
    if not led:
        raise ConflictError("another message stands before it in its lane: skip that one", code="not_at_the_head")
    _check_stuck(await tx.fetch(q.lanes_that_stand, org, led))
    await tx.execute(q.delete_ticket, org, lanes, message_id)
    await tx.execute(q.forget_lane_holds, org, led)
    decision = plain_json(decided("skip", reason, access.actor, instant(now())))
    await tx.execute(q.decide_message, org, message_id, "filtered", SKIPPED, reason, decision)
    await tx.execute(q.unpark_lanes, org, led)
    await tx.execute(q.wake_lanes_with_jobs, [lane for lane in lanes if lane not in led])


def _check_stuck(lanes: list[Row]) -> None:
    if any(lane["in_work"] for lane in lanes):
        raise TransientError("a worker has this message now: try again", code="in_work")
    if not any(lane["held"] or lane["retrying"] or lane["parked"] or lane["attempts"] for lane in lanes):
        raise ConflictError("its lane is not stuck: a worker will come to it", code="not_stuck")
