"""A worker that stands still past its lease (SIGSTOP), and comes back (SIGCONT) when others did its work."""

import asyncio
from pathlib import Path

import pytest
from tests.chaos.hub import Hub, Server, standing_still
from tests.chaos.run import Run, limit_s, times
from tests.conftest import Database

LEASE_S = 3.0
# A worker that stands still inside a transaction holds row locks until the server ends its idle session, or another
# worker one that stands between Parse and Bind (10 s each). The lanes that it left are suspects, worked one at a time.
TAKEN_OVER_S = 400.0


@pytest.mark.timeout(limit_s(1200))
async def test_a_worker_that_stood_still_past_its_lease_writes_nothing_over_its_successor(
    durable_server: Server, database: Database, tmp_path: Path, seed: int
) -> None:
    async with Hub(durable_server, database, tmp_path, intake_lease_s=LEASE_S) as hub:
        run = Run("SIGSTOP past the lease", hub, seed)
        run.add_senders(1, 1, 8)
        await hub.start("listener-0", "worker-1")
        stopped = hub.add("worker-0")
        async with run.traffic():
            for point in ("worker.before_batch", "worker.before_commit") * times(1, 50):
                await stopped.start(f"{point}:{run.random.randint(1, 8)}!stop")
                async with standing_still(stopped):
                    run.faults[f"SIGSTOP at {point}"] += 1
                    await asyncio.wait_for(_taken_over(hub), TAKEN_OVER_S)
                    await run.acked(20)
                await asyncio.wait_for(_refused(hub, stopped.name), 60)
                await stopped.stop()
        await run.end()


async def _taken_over(hub: Hub) -> None:
    """Until no lane is held under a lease that has run out: somebody else has claimed or finished them."""
    await asyncio.sleep(LEASE_S)
    while await hub.value("select count(*) from lane where kind = 'intake' and lease_until < now()"):
        await asyncio.sleep(0.05)


async def _refused(hub: Hub, worker: str) -> None:
    """Until a worker has counted a batch that it could not end: its lanes or its session had gone meanwhile."""
    while not any(hub.metric(worker, "chartwire_batches_total", outcome) for outcome in ("stale", "redone")):
        await asyncio.sleep(0.1)
