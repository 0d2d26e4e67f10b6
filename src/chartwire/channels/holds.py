"""Lanes that wait: for a source on hold to be released, or for a person to decide a case.

A message of a source on hold is accepted and answered as ever and stays in its lane. The lane is parked at it, so that
nothing overtakes it: what came behind it in that lane waits too, other sources' messages about the same patient
included. Whoever releases it makes the lane ready again; its jobs were never anywhere else.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple
from uuid import UUID

from chartwire.channels.reading import Job, Reading
from chartwire.events import lanes as lane_engine
from chartwire.events.lanes import Claim
from chartwire.store.pool import Connection
from chartwire.store.queries import q


class Wait(NamedTuple):
    """What a lane waits for: the release of a source, or the decision of a case."""

    source_id: UUID | None = None
    review_id: UUID | None = None


def wait_of(job: Job) -> Wait | None:
    """What the job waited for when it was loaded; a lane under a case waits for that first."""
    if job.under_review:
        return Wait(review_id=job.under_review)
    return Wait(source_id=job.source_id) if job.source_on_hold else None


async def wait_of_lanes(tx: Connection, org: UUID, merge: Job) -> Wait | None:
    """What a merge that heads all of its lanes waits for: a case that stops one of them.

    Nothing, where somebody has decided about the merge itself.
    """
    review_id = await tx.fetchval(q.case_of_lanes, org, list(merge.ticket_lanes)) if merge.decision is None else None
    return Wait(review_id=review_id) if review_id else None


async def on_hold(tx: Connection, org: UUID, sources: Iterable[UUID]) -> set[UUID]:
    """Which of these sources are on hold; for the others a hold waits until the transaction ends."""
    rows = await tx.fetch(q.sources_on_hold, org, sorted(set(filter(None, sources))))
    return {row["id"] for row in rows}


def before_hold(readings: Sequence[Reading], held: set[UUID]) -> list[Reading]:
    """What comes, in each lane, before its first message of a source on hold. `readings` are in lane order."""
    stopped: set[UUID] = set()
    kept: list[Reading] = []
    for reading in readings:
        if reading.job.source_id in held:
            stopped.add(reading.job.lane_id)
        if reading.job.lane_id not in stopped:
            kept.append(reading)
    return kept


async def park(tx: Connection, org: UUID, waiting: Sequence[tuple[Claim, Wait]]) -> None:
    """End these claims: their lanes wait, or go on where what they waited for is over by now.

    Raises StaleLeaseError when any lane is no longer ours. A release or decision that comes meanwhile waits for this
    transaction, and then finds the lane.
    """
    held = await on_hold(tx, org, (wait.source_id for _, wait in waiting if wait.source_id))
    reviews = [wait.review_id for _, wait in waiting if wait.review_id]
    still_open = {row["id"] for row in await tx.fetch(q.lock_open_reviews, org, reviews)} if reviews else set()
    await lane_engine.release(tx, [claim for claim, _ in waiting])
    standing = held | still_open
    waits = {claim.lane_id: wait for claim, wait in waiting if standing.intersection(wait)}
    await hold_lanes(tx, org, waits)


async def hold_lanes(tx: Connection, org: UUID, waits: dict[UUID, Wait]) -> None:
    """Park lanes that this transaction has locked and released."""
    if waits:
        sources = [wait.source_id for wait in waits.values()]
        reviews = [wait.review_id for wait in waits.values()]
        await tx.execute(q.hold_lanes, org, list(waits), sources, reviews)
