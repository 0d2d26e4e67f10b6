"""Lanes worked alone, one message a transaction: merges, lanes whose last claim failed, and batches that broke.

A permanent failure makes a dead letter and the lane goes on; a transient one holds this lane for a while, and no other.
A merge runs in the lane that reaches it last: until then the others are parked at it.
"""

import asyncio
from collections.abc import Sequence
from typing import Literal
from uuid import UUID

import structlog

from chartwire.channels import holds, route
from chartwire.channels.holds import Wait, wait_of
from chartwire.channels.message_keys import MessageKey, keys_of
from chartwire.channels.path import Path
from chartwire.channels.reading import Fault, Job, Reading, fault_of
from chartwire.channels.settling import Settlement, settle
from chartwire.core import clock
from chartwire.core.crashpoints import hit
from chartwire.core.errors import ChartwireError, ConflictError, TransientError
from chartwire.core.limits import JOBS_PER_LANE_MAX, LANE_ATTEMPTS_MAX
from chartwire.events import lanes as lane_engine
from chartwire.events.lanes import Claim, Lanes, StaleLeaseError
from chartwire.store.pool import Connection
from chartwire.store.queries import q

_CONFLICT_TRIES = 4
_CONFLICT_PAUSE_S = 0.02
_log = structlog.get_logger(__name__)


class OneByOne:
    """Works single lanes."""

    def __init__(self, path: Path, lanes: Lanes) -> None:
        self._path = path
        self._lanes = lanes

    async def work_all(self, claims: Sequence[Claim]) -> None:
        """Work these lanes one after the other."""
        for claim in claims:
            await self.work(claim)

    async def work(self, claim: Claim) -> None:
        """Work one lane to its end or to JOBS_PER_LANE_MAX messages, then give it back. Raises TransientError only
        when not even the lane's hold could be written."""
        try:
            jobs = await self._path.load(claim.org_id, [claim.lane_id], JOBS_PER_LANE_MAX)
            if jobs and claim.attempts > LANE_ATTEMPTS_MAX:
                exhausted = Fault("attempts_exhausted", "", f"tried {claim.attempts - 1} times without an end")
                await self._bury(claim, jobs.pop(0), exhausted)
            for job in jobs:
                wait = wait_of(job)
                if wait:
                    await self._path.park(claim.org_id, [(claim, wait)])
                    return
                if not await self._carry(claim, job):
                    return
            async with self._path.pool.transaction(claim.org_id) as tx:
                await lane_engine.release(tx, [claim])
        except StaleLeaseError:
            _log.info("lane_taken_over", lane_id=str(claim.lane_id))
        except (TransientError, ConflictError) as error:
            _log.warning("lane_held", lane_id=str(claim.lane_id), code=error.code, attempts=claim.attempts)
            await self._lanes.back_off(claim)

    async def _carry(self, claim: Claim, job: Job) -> bool:
        """Carry one message; False where its lane is parked, at a merge or to wait."""
        try:
            return await self._carry_through_conflicts(claim, job)
        except (StaleLeaseError, TransientError, ConflictError):
            raise
        except ChartwireError as error:
            await self._bury(claim, job, fault_of(error), self._numbers(job))
        except Exception as error:
            _log.exception("message_failed", message_id=str(job.message_id), error=type(error).__name__)
            fault = Fault("internal_error", "", f"{type(error).__name__} while saving")
            await self._bury(claim, job, fault, self._numbers(job))
        return True

    async def _carry_through_conflicts(self, claim: Claim, job: Job) -> bool:
        """Another transaction that was first is no fault of the message: try again at once, a few times."""
        for _ in range(_CONFLICT_TRIES):
            try:
                return await self._carry_once(claim, job)
            except ConflictError:
                await asyncio.sleep(_CONFLICT_PAUSE_S)
        return await self._carry_once(claim, job)

    async def _carry_once(self, claim: Claim, job: Job) -> bool:
        org = claim.org_id
        [reading] = await self._path.read(org, [job])
        hit("worker.before_single")
        async with self._path.pool.transaction(org) as tx:
            if await holds.on_hold(tx, org, [job.source_id]):
                await holds.park(tx, org, [(claim, Wait(source_id=job.source_id))])
                return False
            if job.ticket_lanes:
                if not await self._heads_all(tx, claim, job, job.ticket_lanes):
                    turn = await self._turn_of_merge(tx, claim, job)
                    if turn != "run":
                        return turn == "done"
                wait = await holds.wait_of_lanes(tx, org, job)
                if wait:
                    await holds.park(tx, org, [(claim, wait)])
                    return False
                destinations, waits = await self._run_ticket(tx, claim, reading)
            else:
                destinations, waits = await self._path.apply(tx, org, await self._path.still_there(tx, org, [reading]))
                await self._check_fence(tx, claim, [claim.lane_id])
            await tx.execute(q.forgive_lane, claim.lane_id, claim.fence)
            await holds.hold_lanes(tx, org, waits)
            await route.wake(tx, org, destinations)
        if destinations:
            self._path.deliveries_made()
        return not waits

    async def _turn_of_merge(self, tx: Connection, claim: Claim, job: Job) -> Literal["run", "done", "parked"]:
        """Lock all lanes of a merge and see. `done`: another of its lanes carried it since this job was loaded.
        `parked`: it does not head them all yet, so this lane waits for the last to get there."""
        await self._check_fence(tx, claim, job.ticket_lanes)
        if not await self._heads_all(tx, claim, job, [claim.lane_id]):
            return "done"
        if await self._heads_all(tx, claim, job, job.ticket_lanes):
            return "run"
        await tx.execute(q.park_lane, claim.lane_id)
        return "parked"

    async def _heads_all(self, tx: Connection, claim: Claim, job: Job, lane_ids: Sequence[UUID]) -> bool:
        rows = await tx.fetch(q.lane_heads, claim.org_id, list(lane_ids))
        return {row["lane_id"] for row in rows if row["message_id"] == job.message_id} == set(lane_ids)

    async def _run_ticket(self, tx: Connection, claim: Claim, reading: Reading) -> tuple[list[UUID], dict[UUID, Wait]]:
        """Work a merge and lock its lanes only at the end, as a batch does: the inbox goes on meanwhile. Whether it
        still heads them decides then; where another lane's worker was first, this one rolls back and looks again.

        A case that stops one of its lanes stops all of them.
        """
        job = reading.job
        destinations, waits = await self._path.apply(tx, claim.org_id, [reading])
        await self._check_fence(tx, claim, job.ticket_lanes)
        others = [lane_id for lane_id in job.ticket_lanes if lane_id != claim.lane_id]
        if not await self._heads_all(tx, claim, job, others):
            raise ConflictError("another lane's worker carried this merge", code="merge_carried")
        if not (waits and await self._heads_all(tx, claim, job, [claim.lane_id])):  # else it waits behind a case
            await self._remove_ticket(tx, claim, job)
        if waits:
            await tx.execute(q.take_lanes_over, others)  # who works one may have loaded what is to wait now
        return destinations, {lane_id: wait for wait in waits.values() for lane_id in job.ticket_lanes}

    async def _remove_ticket(self, tx: Connection, claim: Claim, job: Job) -> None:
        await tx.execute(q.delete_ticket, claim.org_id, list(job.ticket_lanes), job.message_id)
        await tx.execute(q.wake_lanes_with_jobs, [lane for lane in job.ticket_lanes if lane != claim.lane_id])

    def _numbers(self, job: Job) -> tuple[MessageKey, ...]:
        """What a message that was read, but not saved, will be found by."""
        source = self._path.sources().get(job.source_id)
        return keys_of(job.raw, source.charset if source else None)

    async def _bury(self, claim: Claim, job: Job, fault: Fault, keys: tuple[MessageKey, ...] = ()) -> None:
        """Make a dead letter; the lane goes on with the next message."""
        async with self._path.pool.transaction(claim.org_id) as tx:
            await self._check_fence(tx, claim, job.ticket_lanes or [claim.lane_id])
            await settle(tx, claim.org_id, clock.now(), [Settlement(job, "dead", fault=fault, keys=keys)])
            if job.ticket_lanes:
                await self._remove_ticket(tx, claim, job)
            await tx.execute(q.forgive_lane, claim.lane_id, claim.fence)

    async def _check_fence(self, tx: Connection, claim: Claim, lane_ids: Sequence[UUID]) -> None:
        fences = await lane_engine.lock(tx, lane_ids)
        if fences.get(claim.lane_id) != claim.fence:
            raise StaleLeaseError
