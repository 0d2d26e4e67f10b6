"""What waits in the lanes, and why: the message at the head of each, and what keeps it there."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from chartwire.core.access import Access
from chartwire.core.clock import now
from chartwire.store.pool import Pool, Row
from chartwire.store.queries import q

Reason = Literal["source_on_hold", "waits_for_review", "in_work", "retrying", "waits_for_merge", "due"]
LANES_MAX = 100
JOBS_COUNTED_MAX = 1_000


@dataclass(frozen=True, slots=True)
class WaitingLane:
    """One lane with work. `waiting` counts its messages, JOBS_COUNTED_MAX + 1 where there are more.

    `reason` of what keeps its head: the hold of `held_by_source`; the case `held_by_review`; a worker's lease until
    `until`; `attempts` failures in a row, tried again at `until`; the other lanes of a merge; nothing (`due`).
    """

    lane_id: UUID
    waiting: int
    head_message_id: UUID
    head_event: str | None
    head_source_id: UUID | None
    oldest_at: datetime | None
    reason: Reason
    until: datetime | None
    attempts: int
    held_by_source: UUID | None
    held_by_review: UUID | None


@dataclass(frozen=True, slots=True)
class Queue:
    """All that waits: messages (up to 100,000 counted) in lanes, since when, and the lanes that wait longest."""

    messages: int
    lanes: int
    oldest_at: datetime | None
    heads: Sequence[WaitingLane]


async def queue_of(pool: Pool, access: Access, source_id: UUID | None = None, limit: int = LANES_MAX) -> Queue:
    """What waits of one source, or of the whole organisation; at most `limit` heads, the oldest first."""
    async with pool.transaction(access.org) as tx:
        counted = await tx.fetchrow(q.count_waiting, access.org, source_id)
        rows = await tx.fetch(q.lanes_that_wait, access.org, source_id, limit)
    assert counted is not None
    at = now()
    return Queue(counted["messages"], counted["lanes"], counted["oldest"], [_lane(row, at) for row in rows])


def _lane(row: Row, at: datetime) -> WaitingLane:
    reason, until = _why(row, at)
    return WaitingLane(
        lane_id=row["lane_id"],
        waiting=row["waiting"],
        head_message_id=row["message_id"],
        head_event=row["event"],
        head_source_id=row["source_id"],
        oldest_at=row["received_at"],
        reason=reason,
        until=until,
        attempts=row["attempts"],
        held_by_source=row["held_source"],
        held_by_review=row["held_review"],
    )


def _why(row: Row, at: datetime) -> tuple[Reason, datetime | None]:
    if row["held_review"]:
        return "waits_for_review", None
    if row["held_source"]:
        return "source_on_hold", None
    if row["in_work"]:
        return "in_work", row["lease_until"]
    if row["retries_at"] and row["retries_at"] > at:
        return "retrying", row["retries_at"]
    return ("waits_for_merge", None) if row["parked"] and row["ticket_lanes"] else ("due", None)
