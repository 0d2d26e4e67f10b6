"""Reading what the record caused: the change feed and cases for a person. Access first, as everywhere."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from chartwire.core.access import Access
from chartwire.mapping.conversion import Json
from chartwire.record.bodies import read_body
from chartwire.store.pool import Pool, Row
from chartwire.store.queries import q


async def events(pool: Pool, access: Access, after: tuple[int, UUID], limit: int) -> list[Row]:
    """The change feed behind (transaction id, event id), oldest first, below the commit horizon.

    What commits later comes later: a reader that goes on from the last row misses nothing. Columns of events_after.
    """
    async with pool.transaction(access.org) as tx:
        return await tx.fetch(q.events_after, access.org, after[0], after[1], limit)


@dataclass(frozen=True, slots=True)
class ReviewsWanted:
    """Which cases: behind the id `behind`, newest or oldest first, and what is not None."""

    behind: UUID
    oldest_first: bool = False
    states: tuple[str, ...] | None = None
    kind: str | None = None
    source_id: UUID | None = None
    patient_id: UUID | None = None
    created_from: datetime | None = None
    created_before: datetime | None = None


async def reviews(pool: Pool, access: Access, wanted: ReviewsWanted, limit: int) -> list[Row]:
    """Cases for a person; columns of read_review."""
    states = None if wanted.states is None else list(wanted.states)
    args = (wanted.behind, states, wanted.kind, wanted.source_id, wanted.patient_id, wanted.created_from,
            wanted.created_before, limit)  # fmt: skip
    query = q.oldest_reviews if wanted.oldest_first else q.newest_reviews
    async with pool.transaction(access.org) as tx:
        await tx.execute(q.plan_for_the_values)  # each filter has an index of its own; one plan for all would take none
        return await tx.fetch(query, access.org, *args)


async def review(pool: Pool, access: Access, review_id: UUID) -> tuple[Row, Json | None] | None:
    """One case, with the body of the resource that a tie is about; None when this organisation has none of this id."""
    async with pool.transaction(access.org) as tx:
        case = await tx.fetchrow(q.read_review, access.org, review_id)
        if case is None:
            return None
        if case["proposal"] is None:
            return case, None
        found = await tx.fetchrow(q.read_current, access.org, [case["resource_type"]], [case["resource_id"]])
    return case, read_body(found["body"])[0] if found else None


async def open_reviews(pool: Pool, access: Access) -> list[Row]:
    """How many cases of each kind are open (`kind`, `open`), and since when the `oldest`."""
    async with pool.transaction(access.org) as tx:
        return await tx.fetch(q.count_reviews, access.org)
