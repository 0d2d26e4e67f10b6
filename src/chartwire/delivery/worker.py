"""The delivery worker: claims the lanes of destinations that have something due, and works each in a task of its own.

At least once, with one id and one body: a worker that dies leaves its lanes to others, who send again what it had not
recorded. The lease outlasts every request, so that two workers send the same delivery at once only when one of them
stood still past its lease; its results are then refused.
"""

import asyncio
import contextlib
from datetime import datetime

import structlog

from chartwire.core.clock import monotonic, now
from chartwire.core.errors import TransientError
from chartwire.core.limits import (
    DELIVERY_LANES_PER_WORKER_MAX,
    DELIVERY_LEASE_MARGIN_S,
    DELIVERY_LEASE_S,
    LANES_PER_CLAIM_MAX,
)
from chartwire.core.telemetry import Gauge
from chartwire.delivery.flush import Flusher
from chartwire.delivery.lane import LaneRun, Sending
from chartwire.delivery.settings import TIMEOUT_S_MAX
from chartwire.events.lanes import Claim, Lanes
from chartwire.store.pool import Pool
from chartwire.store.queries import q
from chartwire.trust.outbound import Outbound
from chartwire.trust.seal import Sealer

_LOOK_EVERY_S = 0.5
_CLAIM_EVERY_S = 0.01
_SUSPECTS_EVERY_S = 0.1
_EVERY_LANE_LOOKS_S = 1.0
_CLOCK_STEP_S = 0.002
_MIND_THE_DEAD_EVERY_S = 5.0
_STORE_AWAY_S_MAX = 2.0
_log = structlog.get_logger(__name__)
_lanes_held = Gauge("chartwire_delivery_lanes_held", "Destinations that this worker is sending to now")


class DeliveryWorker:
    """One per process. `pool` connects as chartwire_app, `engine` as chartwire_engine (one connection of it is kept).
    `timeout_s` is the longest that an endpoint may have for its answer.

    Raises ValueError when the lease could end before a request does: that would send twice as a matter of course.
    """

    def __init__(
        self,
        pool: Pool,
        engine: Pool,
        door: Outbound,
        sealer: Sealer,
        *,
        timeout_s: float = TIMEOUT_S_MAX,
        lease_s: float = DELIVERY_LEASE_S,
        lanes_max: int = DELIVERY_LANES_PER_WORKER_MAX,
    ) -> None:
        if lease_s < timeout_s + 2 * DELIVERY_LEASE_MARGIN_S:
            raise ValueError("the delivery lease must outlast the request timeout by twice its margin")
        self._engine = engine
        self._door = door
        self._flusher = Flusher(pool)
        self._sending = Sending(pool, door, sealer, self._flusher, timeout_s)
        self._lanes = Lanes(engine, "delivery", lease_s=lease_s)
        self._lease_s = lease_s
        self._lanes_max = lanes_max
        self._runs: dict[asyncio.Task[None], LaneRun] = {}
        self._wake = asyncio.Event()
        self._next_suspect_s = 0.0
        self._next_look_s = 0.0

    def wake(self) -> None:
        """Look for work now: the callback of a listener on chartwire_lanes."""
        self._wake.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until `stop` is set; then what is in flight ends within its timeout and is recorded."""
        flusher = asyncio.create_task(self._flusher.run())
        stopper = asyncio.create_task(self._wake_at_stop(stop))
        try:
            await self._serve_patiently(stop)
            await self._end_runs()
        finally:
            for task in (flusher, stopper, *self._runs):
                task.cancel()
            await asyncio.gather(flusher, stopper, *self._runs, return_exceptions=True)

    async def _serve_patiently(self, stop: asyncio.Event) -> None:
        """Serve, again and again when the store goes away: the session that shows us alive goes with it."""
        wait_s = 0.05
        while not stop.is_set():
            try:
                async with self._lanes.alive():
                    await self._serve(stop)
            except TransientError as error:
                _log.warning("delivery_worker_waits", code=error.code)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), wait_s)
                wait_s = min(wait_s * 2, _STORE_AWAY_S_MAX)
            else:
                wait_s = 0.05

    async def _serve(self, stop: asyncio.Event) -> None:
        next_extend_s = next_dead_s = next_claim_s = monotonic()
        await self._free_unknown()
        while not stop.is_set():
            if (early_s := next_claim_s - monotonic()) > 0:
                await asyncio.sleep(early_s)  # a stream of wake-ups shares its looks; a lone one waits for nobody
            next_claim_s = monotonic() + _CLAIM_EVERY_S
            self._wake.clear()
            if monotonic() >= next_extend_s:
                next_extend_s = monotonic() + self._lease_s / 6
                await self._extend()
            if monotonic() >= next_dead_s:
                next_dead_s = monotonic() + _MIND_THE_DEAD_EVERY_S
                if await self._lanes.free_lanes_of_the_dead():
                    self._next_suspect_s = 0.0
            claimed_s = monotonic()
            claims = await self._claim()
            for claim in claims:
                self._start(claim, claimed_s + self._lease_s)
            await self._poke()
            if not claims:
                await self._wait_for_work()
        await self._end_runs()  # while the session still shows us alive, so that nobody takes our lanes over

    async def _free_unknown(self) -> None:
        """Free lanes that were claimed in our name by a statement whose answer was lost: nobody works them."""
        held = [run.claim.lane_id for run in self._runs.values()]
        async with self._engine.connection() as connection:
            await connection.execute(q.free_other_lanes_of_owner, self._lanes.owner, held)

    async def _claim(self) -> list[Claim]:
        room = min(self._lanes_max - len(self._runs), LANES_PER_CLAIM_MAX)
        if room <= 0 or not self._door.armed:
            return []
        suspect = await self._claim_suspect()
        return [*([suspect] if suspect else []), *(await self._lanes.claim(room - 1 if suspect else room))]

    async def _poke(self) -> None:
        """Lanes that were woken since this worker last looked have new deliveries; now and then every lane looks, for
        retries that came due."""
        if not self._runs:
            return
        async with self._engine.connection() as connection:
            rows = await connection.fetch(q.lane_turns, self._lanes.owner)
        turns = {row["lane_id"]: row["seq"] for row in rows}
        everyone = monotonic() >= self._next_look_s
        if everyone:
            self._next_look_s = monotonic() + _EVERY_LANE_LOOKS_S
        for run in self._runs.values():
            turn = turns.get(run.claim.lane_id)
            if everyone or turn != run.turn:
                run.turn = turn
                run.poke()

    async def _claim_suspect(self) -> Claim | None:
        """Suspects are rare and never urgent: at most one look for them in a tenth of a second, until one is found."""
        if monotonic() < self._next_suspect_s:
            return None
        suspect = await self._lanes.claim_suspect()
        self._next_suspect_s = 0.0 if suspect else monotonic() + _SUSPECTS_EVERY_S
        return suspect

    async def _wait_for_work(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_EVERY_S):
                await self._wake.wait()

    def _start(self, claim: Claim, lease_until_s: float) -> None:
        run = LaneRun(self._sending, claim, lease_until_s)
        if run.is_failing and sum(each.is_failing for each in self._runs.values()) >= self._lanes_max // 2:
            run.defer()  # half the places are kept for endpoints that answer
        task = asyncio.create_task(self._work(run))
        self._runs[task] = run
        task.add_done_callback(self._ended)
        _lanes_held.set(len(self._runs))

    async def _work(self, run: LaneRun) -> None:
        wake_at = await run.run()
        if wake_at is not None:
            self._wake_later(wake_at)

    def _wake_later(self, wake_at: datetime) -> None:
        """Keep the schedule to the millisecond for what this worker knows; the rest is found by looking."""
        delay_s = (wake_at - now()).total_seconds()
        if delay_s < _LOOK_EVERY_S * 20:
            asyncio.get_running_loop().call_later(max(delay_s, 0.0) + _CLOCK_STEP_S, self._wake.set)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        run = self._runs.pop(task)
        _lanes_held.set(len(self._runs))
        if not task.cancelled() and task.exception() is not None:
            _log.error("delivery_lane_failed", lane_id=str(run.claim.lane_id), error=type(task.exception()).__name__)
        self._wake.set()

    async def _extend(self) -> None:
        runs = list(self._runs.values())
        if not runs:
            return
        asked_s = monotonic()
        lane_ids, fences = [run.claim.lane_id for run in runs], [run.claim.fence for run in runs]
        async with self._engine.connection() as connection:
            rows = await connection.fetch(q.extend_delivery_leases, self._lanes.owner, self._lease_s, lane_ids, fences)
        ours = {row["lane_id"] for row in rows}
        for run in runs:
            if run.claim.lane_id in ours:
                run.lease_until_s = asked_s + self._lease_s
            else:
                run.stop()

    async def _end_runs(self) -> None:
        for run in self._runs.values():
            run.stop()
        if self._runs:
            await asyncio.wait(list(self._runs))

    async def _wake_at_stop(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._wake.set()
