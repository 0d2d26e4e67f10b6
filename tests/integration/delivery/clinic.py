"""What tests of the room share: one organisation with deliveries made as the router makes them, and waiting."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

from chartwire.core.access import Access
from chartwire.core.clock import now
from chartwire.core.ids import uuid7
from chartwire.core.source import EffectMode
from chartwire.delivery import destinations
from chartwire.delivery.destinations import Draft, Endpoint
from chartwire.delivery.payload import body_of
from chartwire.delivery.worker import DeliveryWorker
from chartwire.events.outbox import Event, emit
from chartwire.store.pool import Pool
from chartwire.store.queries import q
from chartwire.trust.outbound import Outbound
from chartwire.trust.seal import Sealer


@dataclass
class Clinic:
    """One sandbox organisation and what a test does with it."""

    pool: Pool
    engine: Pool
    door: Outbound
    sealer: Sealer
    access: Access

    @property
    def org(self) -> UUID:
        return self.access.org

    async def endpoint(self, url: str, secret: str | None = None) -> tuple[Endpoint, str]:
        draft = Draft("front desk", url)
        return await destinations.create(self.pool, self.access, self.door, self.sealer, draft, secret=secret)

    async def happen(self, *endpoints: Endpoint, count: int = 1, mode: EffectMode = "live") -> list[Event]:
        """Events and their deliveries to these endpoints, in one transaction, as the router writes them."""
        events = [Event("patient.updated", "Patient", uuid7(), 1, None, ("name",), uuid7(), mode) for _ in range(count)]
        at = now()
        async with self.pool.transaction(self.org) as tx:
            await emit(tx, self.org, at, events)
            for endpoint in endpoints:
                await tx.execute(
                    q.insert_deliveries,
                    self.org,
                    at,
                    [event.id for event in events],
                    [endpoint.id] * count,
                    [event.message_id for event in events],
                    [body_of(self.org, event, at, endpoint.api_version) for event in events],
                    [None] * count,
                )
            await tx.execute(q.wake_delivery_lanes, self.org, [endpoint.id for endpoint in endpoints])
        return events

    async def rows(self, sql: str, *args: object) -> list:
        async with self.pool.transaction(self.org) as tx:
            return await tx.fetch(sql, *args)

    async def states(self, endpoint: Endpoint) -> list[str]:
        return [
            row["state"]
            for row in await self.rows(
                "select state from delivery where destination_id = $1 order by event_id", endpoint.id
            )
        ]

    async def hurry(self) -> None:
        """Let the waits of the schedule be over: every open delivery is due now."""
        async with self.pool.transaction(self.org) as tx:
            await tx.execute("update delivery set next_attempt_at = now() where state not in ('delivered', 'dead')")
            await tx.execute("update lane set ready_at = now(), not_before = '-infinity' where kind = 'delivery'")


@contextlib.asynccontextmanager
async def working(worker: DeliveryWorker) -> AsyncIterator[DeliveryWorker]:
    stop = asyncio.Event()
    task = asyncio.create_task(worker.run(stop))
    try:
        yield worker
    finally:
        stop.set()
        worker.wake()
        await task


async def until(condition: Callable[[], Awaitable[bool] | bool], seconds: float = 10.0) -> None:
    """Wait for a promise to come true; fail loudly when it does not."""
    async with asyncio.timeout(seconds):
        while True:
            held = condition()
            if held if isinstance(held, bool) else await held:
                return
            await asyncio.sleep(0.01)
