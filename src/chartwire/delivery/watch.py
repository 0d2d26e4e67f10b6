"""What endpoints and replays need beside sending: due rows of the schedule, worked by whichever process claims them."""

import asyncio

import structlog

from chartwire.core.access import Access
from chartwire.core.clock import now
from chartwire.core.errors import ChartwireError
from chartwire.delivery import ladder, replays
from chartwire.delivery.trial import probe
from chartwire.store.pool import Pool, Row
from chartwire.store.queries import q
from chartwire.trust.outbound import Outbound
from chartwire.trust.seal import Sealer

LOOK_EVERY_S = 1.0
_LEASE_S = 90.0
_AT_ONCE_MAX = 20
_log = structlog.get_logger(__name__)


class EndpointWatch:
    """One per worker process: takes failing endpoints up the ladder, probes those that were switched off, and queues
    the pages of replays. Several may run: a row is leased to one of them, and fenced."""

    def __init__(self, pool: Pool, engine: Pool, door: Outbound, sealer: Sealer, announce: ladder.Announce) -> None:
        self._pool, self._engine = pool, engine
        self._door, self._sealer = door, sealer
        self._announce = announce
        self._wakes = {kind: asyncio.Event() for kind in (ladder.KIND, replays.KIND)}

    def wake(self) -> None:
        """Look for work now."""
        for wake in self._wakes.values():
            wake.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`, each kind by itself, so that a probe that hangs delays no replay."""
        async with asyncio.TaskGroup() as group:
            for kind in self._wakes:
                group.create_task(self._serve(kind, stop))

    async def turn(self) -> None:
        """Work all that is due now."""
        for kind in self._wakes:
            await self._turn(kind)

    async def _serve(self, kind: str, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self._wakes[kind].clear()
            try:
                busy = await self._turn(kind)
            except ChartwireError as error:
                _log.warning("endpoint_watch_waits", code=error.code)
                busy = False
            if not busy:
                await self._wait(self._wakes[kind], stop)

    async def _turn(self, kind: str) -> bool:
        async with self._engine.connection() as connection:
            rows = await connection.fetch(q.claim_due, kind, _LEASE_S, _AT_ONCE_MAX)
        await asyncio.gather(*(self._work_safely(row) for row in rows))
        return bool(rows)

    async def _work_safely(self, row: Row) -> None:
        """One row's fault is no other's: its lease ends, and it is tried again."""
        try:
            await (self._work_replay(row) if row["kind"] == replays.KIND else self._work_endpoint(row))
        except ChartwireError as error:
            _log.warning("endpoint_watch_failed", kind=row["kind"], code=error.code)

    async def _work_replay(self, row: Row) -> None:
        access = Access(row["org_id"], "worker:replay", "HOPERAT", frozenset({"*"}))
        async with self._pool.transaction(row["org_id"]) as tx:
            due = await replays.step(tx, access, row["id"])
            claim = (row["org_id"], row["id"], row["fence"])
            await (tx.execute(q.schedule_again, *claim, due) if due else tx.execute(q.schedule_no_more, *claim))

    async def _work_endpoint(self, row: Row) -> None:
        org, endpoint_id = row["org_id"], row["id"]
        async with self._pool.transaction(org) as tx:
            stood = await tx.fetchrow(q.read_destination, org, endpoint_id)
        is_off = stood is not None and stood["state"] == "disabled" and stood["state_reason"] == "failing"
        answer = await probe(self._pool, self._door, self._sealer, org, endpoint_id) if is_off else None
        async with self._pool.transaction(org) as tx:
            due = await ladder.look(tx, org, endpoint_id, now(), self._announce)
            await tx.execute(q.schedule_again, org, endpoint_id, row["fence"], due)
            if stood is not None and answer is not None:
                await tx.execute(q.set_destination_probe, org, endpoint_id, now(), answer)
                if answer == "delivered" != stood["probe_answer"]:
                    name, version = "webhook_endpoint.reachable", stood["version"]
                    event = ladder.endpoint_event(name, endpoint_id, version, {})
                    await self._announce(tx, org, now(), [event])

    async def _wait(self, *events: asyncio.Event) -> None:
        tasks = [asyncio.create_task(event.wait()) for event in events]
        await asyncio.wait(tasks, timeout=LOOK_EVERY_S, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
