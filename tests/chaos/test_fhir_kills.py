"""kill -9 of API processes under FHIR clients: what was acknowledged stands, once; transactions are whole."""

import asyncio
from pathlib import Path

import pytest
from tests.chaos.hub import Hub, Process, Server
from tests.chaos.run import Run, limit_s, times
from tests.conftest import Database

API_POINTS = ("api.before_commit", "api.after_commit")
LARGE = 230


@pytest.mark.timeout(limit_s(180))
async def test_fhir_clients_lose_and_double_nothing_when_apis_die_around_their_commits(
    durable_server: Server, database: Database, tmp_path: Path, seed: int
) -> None:
    async with Hub(durable_server, database, tmp_path, apis=2) as hub:
        run = Run("FHIR, every named point", hub, seed)
        run.add_fhir_callers(4, large=LARGE)
        await hub.start("worker-0", "api-0", "api-1")

        async def die_at(process: Process, point: str) -> None:
            for _ in range(times(2, 60)):
                await process.kill()
                run.faults[f"kill -9 {process.name}"] += 1
                await process.start(f"{point}:{run.random.randint(1, 25)}")
                await process.died()
                run.faults[point] += 1
                await process.start()

        async with run.traffic():
            await run.written(10)
            await asyncio.gather(*map(die_at, (hub.add("api-0"), hub.add("api-1")), API_POINTS))
            await run.written(20)
        await run.end()
