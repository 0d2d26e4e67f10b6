"""Unmerge by a person: two records that were made one become two again, in one transaction."""

from dataclasses import dataclass
from uuid import UUID

from chartwire.channels import route
from chartwire.channels.path import Path
from chartwire.core import clock
from chartwire.core.access import Access
from chartwire.events.outbox import emit
from chartwire.record.unmerging import Act, Parting
from chartwire.record.unmerging import unmerge as part
from chartwire.record.work import Work
from chartwire.store.pool import Connection


@dataclass(frozen=True, slots=True)
class Unmerged:
    """What an unmerge did, and how many cases it left for a person."""

    parting: Parting
    told_again: int
    reviews: int


async def unmerge(path: Path, tx: Connection, access: Access, patient_id: UUID, reason: str) -> Unmerged:
    """Part a merged patient from the one that replaced them, and tell what came since to each.

    `patient_id` is the one that was merged away. Raises ConflictError: `not_merged`, `too_much_since_merge`, or
    `merged_meanwhile` (try again).
    """
    work = Work(access, tx)
    parting = await part(work, patient_id, Act(access.actor, reason=reason))
    await path.tell_again(work, parting)
    now = clock.now()
    await work.flush(now)
    await emit(tx, access.org, now, work.events)
    await route.wake(tx, access.org, await route.route(tx, access.org, now, work.events))
    return Unmerged(parting, len(parting.messages), len(work.reviews))
