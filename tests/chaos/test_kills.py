"""kill -9 of processes, at every named point and at random: nothing is lost, doubled, reordered or stuck."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.chaos.hub import Hub, Process, Server
from tests.chaos.run import Run, limit_s, times
from tests.conftest import Database

STORE_AWAY_S = 5.0
LISTENER_POINTS = ("intake.before_flush", "intake.after_flush", "mllp.before_ack", "mllp.after_ack")
WORKER_POINTS = (
    "worker.before_read",
    "worker.before_batch",
    "worker.before_commit",
    "worker.after_commit",
    "worker.before_single",
    "delivery.before_send",
    "delivery.after_send",
    "delivery.before_record",
    "delivery.after_record",
)


@pytest.mark.timeout(limit_s(180))
async def test_a_process_killed_at_any_named_point_loses_doubles_and_reorders_nothing(
    durable_server: Server, database: Database, tmp_path: Path, seed: int
) -> None:
    async with Hub(durable_server, database, tmp_path) as hub:
        run = Run("every named point", hub, seed)
        run.add_senders(1, 1, 8)

        async def die_at(process: Process, points: Sequence[str], passages_max: int) -> None:
            for point in [*points] * times(1, 20):
                await process.start(f"{point}:{run.random.randint(1, passages_max)}")
                await process.died()
                run.faults[point] += 1
            await process.start()

        async with run.traffic():
            await asyncio.gather(
                die_at(hub.add("listener-0"), LISTENER_POINTS, 60),
                die_at(hub.add("worker-0"), WORKER_POINTS[::2], 6),
                die_at(hub.add("worker-1"), WORKER_POINTS[1::2], 6),
            )
            await run.acked(20)
        await run.end()


@pytest.mark.timeout(limit_s(180))
async def test_processes_killed_at_random_lose_double_and_reorder_nothing(
    durable_server: Server, database: Database, tmp_path: Path, seed: int
) -> None:
    async with Hub(durable_server, database, tmp_path) as hub:
        run = Run("kill -9 at random", hub, seed)
        run.add_senders(1, 1, 8)
        run.add_caller()
        await hub.start("listener-0", "worker-0", "worker-1", "api-0")
        victims = [*hub.processes.values()] * times(2, 50)
        run.random.shuffle(victims)
        async with run.traffic():
            for victim in victims:
                await run.acked(run.random.randint(1, 40))
                await victim.kill()
                run.faults[f"kill -9 {victim.name}"] += 1
                await victim.start()
            await run.acked(20)
        await run.end()


@pytest.mark.timeout(limit_s(180))
async def test_a_database_killed_with_all_its_processes_loses_nothing_that_was_answered(
    durable_server: Server, database: Database, tmp_path: Path, seed: int
) -> None:
    """While the store is away a sender sees a closed connection, never AE or AR (a sender checks each answer)."""
    async with Hub(durable_server, database, tmp_path) as hub:
        run = Run("kill -9 of PostgreSQL", hub, seed)
        run.add_senders(1, 1, 8, 100)
        run.add_fhir_callers(2)
        await hub.start("listener-0", "worker-0", "worker-1", "api-0")
        async with run.traffic():
            for cycle in range(times(3, 200)):
                await run.acked(run.random.randint(20, 80))
                durable_server.kill()
                run.faults["kill -9 postgres"] += 1
                if cycle % 2:
                    await asyncio.sleep(STORE_AWAY_S)  # longer than the listener keeps trying
                await durable_server.start_again()
            await run.acked(20)
            await run.written(5)
        await run.end()
