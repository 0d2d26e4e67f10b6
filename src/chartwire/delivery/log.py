"""What went out, and how it fared: deliveries with their attempts, and figures of one endpoint."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from chartwire.core.access import Access
from chartwire.core.clock import now
from chartwire.core.ids import uuid7_floor
from chartwire.store.pool import Connection, Pool, Row
from chartwire.store.queries import q

TRAFFIC_KEPT = timedelta(days=8)
_FIRST, _LAST = UUID(int=0), UUID(int=2**128 - 1)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which deliveries: older than (event, destination) `before`, and what is not None.

    `event_types` are names or families; `status` is an HTTP status that one of the attempts got; `since` (inclusive)
    and `until` bound the time of the event.
    """

    before: tuple[UUID, UUID]
    states: tuple[str, ...] | None = None
    endpoint: UUID | None = None
    event: UUID | None = None
    event_types: tuple[str, ...] | None = None
    status: int | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Figures:
    """Attempts of a span of time. `p95_ms` is the bound of a class of durations (5, 10, 25, ... ms): at most that."""

    attempts: int
    delivered: int
    p95_ms: int | None

    @property
    def success_rate(self) -> float | None:
        """The share of attempts that were answered 2xx; None without attempts."""
        return round(self.delivered / self.attempts, 4) if self.attempts else None


async def deliveries(pool: Pool, access: Access, wanted: Wanted, limit: int) -> list[Row]:
    """Deliveries, newest event first; columns of delivery_log."""
    args = (
        *wanted.before,
        _list(wanted.states),
        wanted.endpoint,
        wanted.event,
        _list(wanted.event_types),
        wanted.status,
        floor_of(wanted.since) if wanted.since else _FIRST,
        floor_of(wanted.until) if wanted.until else _LAST,
        limit,
    )
    async with pool.transaction(access.org) as tx:
        await tx.execute(q.plan_for_the_values)  # what is dead, open or of one event has an index of its own
        return await tx.fetch(q.delivery_log, access.org, *args)


async def attempts(pool: Pool, access: Access, keys: Sequence[tuple[UUID, UUID]]) -> list[Row]:
    """Every attempt of the deliveries (event, destination), each in order; columns of delivery_attempts."""
    async with pool.transaction(access.org) as tx:
        return await tx.fetch(q.delivery_attempts, access.org, [one[0] for one in keys], [one[1] for one in keys])


async def delivery(pool: Pool, access: Access, event_id: UUID, endpoint_id: UUID) -> Row | None:
    """One delivery with its body; None when this organisation has none."""
    async with pool.transaction(access.org) as tx:
        return await tx.fetchrow(q.read_delivery, access.org, event_id, endpoint_id)


async def figures(tx: Connection, access: Access, endpoint_id: UUID, span: timedelta) -> Figures:
    """Attempts to one endpoint in the last `span`, to ten minutes."""
    rows = await tx.fetch(q.traffic_of, access.org, endpoint_id, now() - span)
    total = sum(row["attempts"] for row in rows)
    well = sum(row["attempts"] for row in rows if row["outcome"] == "delivered")
    return Figures(total, well, _percentile([(row["within_ms"], row["attempts"]) for row in rows], 0.95 * total))


async def waiting(tx: Connection, access: Access, endpoint_id: UUID) -> tuple[int, datetime | None]:
    """How many deliveries to one endpoint are open, and since when the oldest that is due waits."""
    row = await tx.fetchrow(q.open_deliveries_of, access.org, endpoint_id)
    return (row["waiting"], row["due_since"]) if row else (0, None)


async def forget_traffic(pool: Pool, org: UUID, at: datetime) -> None:
    """Drop figures that nobody asks for any more."""
    async with pool.transaction(org) as tx:
        await tx.execute(q.forget_traffic, org, at - TRAFFIC_KEPT)


def floor_of(moment: datetime) -> UUID:
    """The smallest id of an event that was made at or after a moment. Clamped to what ids can tell."""
    return uuid7_floor(min(max(round(moment.timestamp() * 1000), 0), 2**48 - 1))


def _percentile(classes: Sequence[tuple[int, int]], rank: float) -> int | None:
    passed = 0
    for within_ms, count in sorted(classes):
        passed += count
        if passed >= rank:
            return within_ms
    return None


def _list(words: tuple[str, ...] | None) -> list[str] | None:
    return None if words is None else list(words)
