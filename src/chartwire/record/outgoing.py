"""Reading what the record caused: the change feed and cases for a person. Access first, as everywhere."""

from collections.abc import Sequence
from uuid import UUID

from chartwire.core.access import Access
from chartwire.store.pool import Pool, Row
from chartwire.store.queries import q


async def events(pool: Pool, access: Access, after: tuple[int, UUID], limit: int) -> list[Row]:
    """The change feed behind (transaction id, event id), oldest first, below the commit horizon.

    What commits later comes later: a reader that goes on from the last row misses nothing. Columns of events_after.
    """
    async with pool.transaction(access.org) as tx:
        return await tx.fetch(q.events_after, access.org, after[0], after[1], limit)


async def reviews(
    pool: Pool, access: Access, before: UUID, states: Sequence[str] | None, kind: str | None, limit: int
) -> list[Row]:
    """Cases for a person, newest first; columns of list_reviews."""
    wanted = None if states is None else list(states)
    async with pool.transaction(access.org) as tx:
        return await tx.fetch(q.list_reviews, access.org, before, wanted, kind, limit)


async def review(pool: Pool, access: Access, review_id: UUID) -> Row | None:
    """One case; None when this organisation has none of this id."""
    async with pool.transaction(access.org) as tx:
        return await tx.fetchrow(q.read_review, access.org, review_id)
