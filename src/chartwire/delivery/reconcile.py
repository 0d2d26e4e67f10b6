"""What was open when an installation was restored or copied: nobody here knows whether it was sent meanwhile.

So it is not sent again by itself. The operator sees it by endpoint and either lets it go out (receivers know a repeated
id) or ends it: dead, with the reason `restored`, and still there to be sent again one by one.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from chartwire.core.access import Access
from chartwire.store.pool import Pool
from chartwire.store.queries import q

_PER_COMMIT = 500


@dataclass(frozen=True, slots=True)
class InQuestion:
    """Open deliveries of one endpoint from before the installation fell silent."""

    org: UUID
    endpoint: UUID
    name: str
    open: int
    oldest: datetime
    newest: datetime


async def in_question(pool: Pool, access: Access, before: datetime) -> list[InQuestion]:
    """What is open of `access.org` from before an instant, by endpoint."""
    async with pool.transaction(access.org) as tx:
        rows = await tx.fetch(q.deliveries_in_question, access.org, before)
    return [
        InQuestion(access.org, row["destination_id"], row["name"], row["open"], row["oldest"], row["newest"])
        for row in rows
    ]


async def give_up(pool: Pool, access: Access, before: datetime) -> int:
    """End all of them, in small transactions; how many."""
    total = 0
    while True:
        async with pool.transaction(access.org) as tx:
            ended = int(await tx.fetchval(q.give_up_deliveries, access.org, before, _PER_COMMIT))
        total += ended
        if ended < _PER_COMMIT:
            return total
