"""kill -9 of API processes under FHIR clients: what was acknowledged stands, once; transactions are whole."""

import asyncio
from pathlib import Path

import aiohttp
import pytest
from tests.chaos.hub import Hub, Process, Server, children, command
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


@pytest.mark.timeout(limit_s(120))
async def test_an_api_that_is_told_to_end_answers_the_large_bundle_at_work_and_leaves_no_process(
    durable_server: Server, database: Database, tmp_path: Path
) -> None:
    async with Hub(durable_server, database, tmp_path) as hub:
        await hub.start("api-0")
        api = hub.add("api-0")
        asked = asyncio.create_task(large_bundle(hub))
        async with asyncio.timeout(60):
            while not (carriers := [pid for pid in children(api.pid) if b"spawn_main" in command(pid)]):
                await asyncio.sleep(0.01)
        await api.stop()
        assert await asked == (200, ["201 Created"] * LARGE)
        assert not any(command(pid) for pid in carriers)
        assert await hub.value("select count(*) from resource") == LARGE


async def large_bundle(hub: Hub) -> tuple[int, list[str]]:
    """Status of a large transaction, and those of its entries."""
    entry = {
        "resource": {"resourceType": "Basic", "code": {"text": "x"}},
        "request": {"method": "POST", "url": "Basic"},
    }
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry] * LARGE}
    headers = {"Authorization": f"Bearer {hub.api_key}", "Content-Type": "application/fhir+json"}
    url = f"http://127.0.0.1:{hub.http_port}/fhir/R4"
    async with aiohttp.ClientSession() as session, session.post(url, json=bundle, headers=headers) as answer:
        told = await answer.json(content_type=None)
        return answer.status, [entry["response"]["status"] for entry in told["entry"]]
