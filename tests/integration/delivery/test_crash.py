"""A worker process dies by SIGKILL at each named point, or stands still past its lease; another takes over."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.integration.delivery.clinic import until, working

SCRIPT = Path(__file__).with_name("worker_process.py")


def start(database, crashpoint: str = "") -> subprocess.Popen:
    environment = {**os.environ, "CHARTWIRE_CRASHPOINT": crashpoint}
    return subprocess.Popen([sys.executable, SCRIPT, database.app_dsn, database.engine_dsn], env=environment)


@pytest.mark.parametrize(
    "point",
    ["delivery.before_send:9", "delivery.after_send:9", "delivery.before_record:2", "delivery.after_record:2"],
)
async def test_a_worker_killed_at_any_point_loses_nothing_and_repeats_under_the_same_id_and_body(
    clinic, sink, worker_of, database, point
) -> None:
    endpoint, secret = await clinic.endpoint(sink.url + "/hook?delay_ms=30")
    sink.add_secret(secret)
    events = await clinic.happen(endpoint, count=40)
    process = start(database, point)
    assert await asyncio.to_thread(process.wait, 20) == -signal.SIGKILL

    async def all_delivered() -> bool:
        return set(await clinic.states(endpoint)) == {"delivered"}

    async with working(worker_of(clinic)):
        await until(all_delivered, 20)
    bodies: dict[str, set[str]] = {}
    for received in sink.received:
        bodies.setdefault(received.id, set()).add(received.body)
        assert received.verified
    assert len(bodies) == len(events) and all(len(each) == 1 for each in bodies.values())
    log = await clinic.rows("select count(*) as n, count(distinct event_id) as events from delivery_attempt")
    assert tuple(log[0]) == (40, 40)


async def test_a_worker_that_stood_still_past_its_lease_records_nothing_over_its_successor(
    clinic, sink, worker_of, database
) -> None:
    endpoint, _ = await clinic.endpoint(sink.url + "/hook?delay_ms=1000&times=1")
    await clinic.happen(endpoint)
    process = start(database)
    try:
        await until(lambda: len(sink.received) == 1, 20)
        process.send_signal(signal.SIGSTOP)
        async with clinic.pool.transaction(clinic.org) as tx:
            await tx.execute("update lane set lease_until = now()")
        async with working(worker_of(clinic)):

            async def delivered() -> bool:
                return await clinic.states(endpoint) == ["delivered"]

            await until(delivered)
            process.send_signal(signal.SIGCONT)
            await asyncio.sleep(1.0)
        [row] = await clinic.rows("select attempts, state from delivery")
        assert tuple(row) == (1, "delivered")
        assert len(await clinic.rows("select 1 from delivery_attempt")) == 1
        assert len({received.body for received in sink.received}) == 1
    finally:
        process.kill()
        process.wait()
