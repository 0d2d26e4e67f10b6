"""How the webhook endpoints of an organisation stand: what waits for them and what they answered last."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from chartwire.core.access import Access
from chartwire.store.pool import Pool
from chartwire.store.queries import q


@dataclass(frozen=True, slots=True)
class EndpointStanding:
    """One endpoint. `waiting` counts open deliveries, `due_since` is when the oldest of them should have gone.

    What follows `oldest_event` tells of the last attempt at the oldest open delivery: `outcome`, the HTTP `status` and
    the error code, None where there was no attempt. Addresses and answers are left out: they may hold secrets.
    """

    id: UUID
    name: str
    state: str
    state_reason: str | None
    failing_since: datetime | None
    disabled_at: datetime | None
    waiting: int
    due_since: datetime | None
    oldest_event: UUID | None
    tried_at: datetime | None
    outcome: str | None
    status: int | None
    error: str | None


async def endpoints(pool: Pool, access: Access) -> list[EndpointStanding]:
    """Every endpoint of the organisation, deleted ones left out, by id."""
    async with pool.transaction(access.org) as tx:
        rows = await tx.fetch(q.endpoints_standing, access.org)
    return [EndpointStanding(*row.values()) for row in rows]
