"""A writer held open across a cursor: who pages through the events sees each one once, however late it commits."""

import asyncio
import random
from contextlib import AsyncExitStack
from uuid import UUID

from tests.chaos.run import times

from chartwire.core.clock import now
from chartwire.core.ids import uuid7
from chartwire.events.outbox import Event, emit
from chartwire.store.pool import Connection, Pool
from chartwire.store.queries import q

_NOWHERE = (0, UUID(int=0))


class Reader:
    """Pages through the change feed of one organisation by its cursor, and remembers what it saw."""

    def __init__(self, pool: Pool, org: UUID) -> None:
        self.seen: list[UUID] = []
        self._pool = pool
        self._org = org
        self._cursor = _NOWHERE

    async def read(self, page: int = 7) -> list[UUID]:
        """One page."""
        async with self._pool.transaction(self._org) as tx:
            rows = await tx.fetch(q.events_after, self._org, *self._cursor, page)
        if rows:
            self._cursor = (int(rows[-1]["xid"]), rows[-1]["id"])
        ids = [row["id"] for row in rows]
        self.seen += ids
        return ids


async def _happens(tx: Connection, org: UUID, count: int = 1) -> list[UUID]:
    events = [Event("patient.updated", "Patient", uuid7(), 1, None, ("name",), None, "live") for _ in range(count)]
    await emit(tx, org, now(), events)
    return [event.id for event in events]


async def test_events_of_a_writer_that_is_held_open_are_seen_after_its_commit_and_none_is_passed_over(
    pool: Pool, org_id: UUID
) -> None:
    reader = Reader(pool, org_id)
    async with AsyncExitStack() as held:
        slow = await held.enter_async_context(pool.transaction(org_id))
        early = await _happens(slow, org_id, 2)
        async with pool.transaction(org_id) as quick:
            late = await _happens(quick, org_id, 3)
        assert await reader.read() == [], "what commits before an older writer may not be shown yet"
        early += await _happens(slow, org_id)
    assert await reader.read() == early + late
    assert await reader.read() == []


async def test_many_writers_that_overlap_and_fail_hide_no_event_and_double_none(
    pool: Pool, org_id: UUID, seed: int
) -> None:
    reader = Reader(pool, org_id)
    committed: set[UUID] = set()
    writing = True

    async def write(number: int) -> None:
        chance = random.Random(seed + number)
        for _ in range(times(25, 2000)):
            try:
                async with pool.transaction(org_id) as tx:
                    told = await _happens(tx, org_id, chance.randint(1, 3))
                    await asyncio.sleep(chance.random() * 0.02)
                    if chance.random() < 0.2:
                        raise InterruptedError
            except InterruptedError:
                continue
            committed.update(told)

    async def page() -> None:
        while writing:
            await reader.read()
            await asyncio.sleep(0.001)

    reading = asyncio.create_task(page())
    await asyncio.gather(*(write(number) for number in range(6)))
    writing = False
    await reading
    while await reader.read():
        pass
    print(f"chaos: cursor, seed {seed}: {len(reader.seen)} events seen of {len(committed)} committed")
    assert len(reader.seen) == len(set(reader.seen)) == len(committed)
    assert set(reader.seen) == committed
