"""The intake worker: claims lanes, carries their messages in batches, and redoes one by one what breaks a batch."""

import asyncio
import contextlib
from collections.abc import Coroutine, Sequence
from itertools import groupby
from uuid import UUID

import structlog

from chartwire.channels.holds import Wait, wait_of
from chartwire.channels.one_by_one import OneByOne
from chartwire.channels.path import Path
from chartwire.channels.reading import Job
from chartwire.core.clock import monotonic
from chartwire.core.errors import ChartwireError, TransientError
from chartwire.core.limits import JOBS_PER_LANE_MAX, LANES_PER_CLAIM_MAX, LEASE_S
from chartwire.core.telemetry import Counter, Histogram
from chartwire.events.lanes import Claim, Lanes, StaleLeaseError, keep_leases
from chartwire.store.pool import Pool

_MESSAGES_PER_BATCH = 100
_LOOK_EVERY_S = 0.5
_CLAIM_EVERY_S = 0.02
_SUSPECTS_EVERY_S = 0.1
_MIND_THE_DEAD_EVERY_S = 1.0
_STORE_AWAY_S_MAX = 2.0
_log = structlog.get_logger(__name__)
_batches = Counter("chartwire_batches_total", "Batches of lanes by how they went", ("outcome",))
_batch_seconds = Histogram("chartwire_batch_seconds", "Time to carry one batch, from claim to commit")


class IntakeWorker:
    """One per process. `turns` batches are under way at a time, so that one computes while another one commits.

    Claims keep a distance of a few milliseconds: the first message after a pause waits for nobody, those of a stream
    gather, since a batch of three costs little more than a batch of one.
    """

    def __init__(self, path: Path, engine: Pool, *, turns: int = 3, lease_s: float = LEASE_S) -> None:
        self._path = path
        self._lanes = Lanes(engine, "intake", lease_s=lease_s)
        self._one_by_one = OneByOne(path, self._lanes)
        self._turns = turns
        self._lease_s = lease_s
        self._wake = asyncio.Event()
        self._suspecting = asyncio.Lock()
        self._next_claim_s = self._next_suspect_s = 0.0

    def wake(self) -> None:
        """Look for work now: the callback of a listener on chartwire_lanes."""
        self._wake.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; a batch under way is finished. While the store is away, wait for it."""
        wait_s = 0.05
        while not stop.is_set():
            try:
                async with self._lanes.alive():
                    await self._lanes.free_own()
                    await self._serve(stop)
                wait_s = 0.05
            except* TransientError as group:
                _log.warning("worker_waits", code=_code(group))
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), wait_s)
                wait_s = min(wait_s * 2, _STORE_AWAY_S_MAX)

    async def _serve(self, stop: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(self._turns):
                group.create_task(self._turn(stop))
            group.create_task(self._mind_the_dead(stop))
            group.create_task(self._wake_at_stop(stop))

    async def _turn(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await self._keep_distance()
            self._wake.clear()
            suspect = await self._work_suspect()
            claims = await self._lanes.claim(LANES_PER_CLAIM_MAX)
            if claims:
                await self._hold(self._carry(claims), claims)
            elif not suspect:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), _LOOK_EVERY_S)

    async def _keep_distance(self) -> None:
        at = monotonic()
        free = max(self._next_claim_s, at)
        self._next_claim_s = free + _CLAIM_EVERY_S
        if free > at:
            await asyncio.sleep(free - at)

    async def _work_suspect(self) -> bool:
        """Work a lane whose last claim did not end well; one at a time in this process: where its message kills the
        process once more, no other suspect's attempts are counted along. Answers whether there was one."""
        if self._suspecting.locked():
            return False
        async with self._suspecting:
            suspect = await self._claim_suspect()
            if suspect:
                await self._hold(self._one_by_one.work(suspect), [suspect])
            return suspect is not None

    async def _claim_suspect(self) -> Claim | None:
        """Suspects are rare and never urgent: at most one look for them in a tenth of a second, until one is found."""
        if monotonic() < self._next_suspect_s:
            return None
        self._next_suspect_s = monotonic() + _SUSPECTS_EVERY_S  # the other turns need not look too
        suspect = await self._lanes.claim_suspect()
        if suspect:
            self._next_suspect_s = 0.0
        return suspect

    async def _hold(self, work: Coroutine[None, None, None], claims: Sequence[Claim]) -> None:
        """Do `work` while the leases of its claims are kept."""
        keeper = asyncio.create_task(keep_leases(self._lanes, [claim.lane_id for claim in claims], self._lease_s / 3))
        try:
            await work
        finally:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)

    async def _carry(self, claims: list[Claim]) -> None:
        """Carry a batch; lanes headed by a merge, and all lanes of a batch that breaks, are worked one by one. Lanes
        whose head waits are parked."""
        started_s = monotonic()
        org = claims[0].org_id
        jobs_per_lane = min(max(_MESSAGES_PER_BATCH // len(claims), 1), JOBS_PER_LANE_MAX)
        jobs = await self._path.load(org, [claim.lane_id for claim in claims], jobs_per_lane)
        merging, waiting, plain = _parted(claims, jobs)
        await self._park(org, waiting)
        try:
            if plain:
                readings = await self._path.read(org, [job for _, held in plain for job in held])
                await self._path.carry(org, readings, [claim for claim, _ in plain])
            _batches.add(1, "carried")
        except StaleLeaseError:
            _batches.add(1, "stale")
            await self._lanes.give_back([claim for claim, _ in plain])
        except Exception as error:
            code = error.code if isinstance(error, ChartwireError) else type(error).__name__
            _log.warning("batch_redone", code=code, lanes=len(plain))
            _batches.add(1, "redone")
            await self._one_by_one.work_all([claim for claim, _ in plain])
        await self._one_by_one.work_all(merging)
        _batch_seconds.observe(monotonic() - started_s)

    async def _park(self, org: UUID, waiting: Sequence[tuple[Claim, Wait]]) -> None:
        """A lane that somebody took over meanwhile is theirs; the others are looked at again."""
        if not waiting:
            return
        try:
            await self._path.park(org, waiting)
            _batches.add(1, "parked")
        except StaleLeaseError:
            _batches.add(1, "stale")
            await self._lanes.give_back([claim for claim, _ in waiting])

    async def _mind_the_dead(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await self._lanes.check_alive()
            await self._path.end_standing_sessions()
            if await self._lanes.free_lanes_of_the_dead():
                self._next_suspect_s = 0.0
                self._wake.set()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _MIND_THE_DEAD_EVERY_S)

    async def _wake_at_stop(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._wake.set()


def _parted(
    claims: Sequence[Claim], jobs: Sequence[Job]
) -> tuple[list[Claim], list[tuple[Claim, Wait]], list[tuple[Claim, list[Job]]]]:
    """(lanes headed by a merge, lanes whose head waits, lanes with the jobs that come before the first of either)."""
    by_lane = {lane_id: list(held) for lane_id, held in groupby(jobs, key=lambda job: job.lane_id)}
    merging: list[Claim] = []
    waiting: list[tuple[Claim, Wait]] = []
    plain: list[tuple[Claim, list[Job]]] = []
    for claim in claims:
        held = by_lane.get(claim.lane_id, [])
        wait = wait_of(held[0]) if held else None
        until = next((number for number, job in enumerate(held) if job.ticket_lanes or wait_of(job)), len(held))
        if wait:
            waiting.append((claim, wait))
        elif held and until == 0:
            merging.append(claim)
        else:
            plain.append((claim, held[:until]))
    return merging, waiting, plain


def _code(group: BaseException) -> str:
    return ", ".join(sorted({error.code for error in getattr(group, "exceptions", ()) if hasattr(error, "code")}))
