"""Receivers that hang, reset, answer 500, 410, half, a redirect or a gigabyte, while workers are killed: each event is
delivered at least once under one id and one body, no sooner than the schedule says, in bounded memory."""

import asyncio
import random
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest
from tests.chaos.run import limit_s, times
from tests.conftest import Database
from tests.integration.delivery import worker_process
from tests.integration.delivery.clinic import Clinic, until

from chartwire.channels.route import announce
from chartwire.core.access import Access
from chartwire.core.ids import uuid7
from chartwire.delivery import destinations, replays
from chartwire.delivery.destinations import Draft, Endpoint
from chartwire.delivery.settings import EndpointSettings
from chartwire.delivery.watch import EndpointWatch
from chartwire.store.pool import Pool
from chartwire.trust.outbound import Outbound
from chartwire.trust.seal import Sealer
from simulators.webhook_sink import Behaviour, WebhookSink

EVENTS = 12
RSS_MB_MAX = 150
WAITS_S = (1.0, 1.0, 1.5, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0)
BEHAVIOURS = {
    "hangs": Behaviour(hang=True, times=1),
    "resets": Behaviour(reset=True, times=2),
    "answers 500": Behaviour(status=500, times=2),
    "answers half": Behaviour(half=True, times=1),
    "redirects": Behaviour(redirect="http://127.0.0.1:1/", times=2),
    "answers a gigabyte": Behaviour(huge=True),
    "is gone at first": Behaviour(status=410),
    "is slow": Behaviour(delay_ms=400),
    "is fine": Behaviour(),
}


@pytest.fixture
async def clinic(database: Database) -> AsyncIterator[Clinic]:
    pool, engine, org, door = Pool(database.app_dsn, size=4), Pool(database.engine_dsn, size=3), uuid7(), Outbound()
    async with pool.transaction(org) as tx:
        await tx.execute("insert into organisation (org_id, name, kind) values ($1, 'Alder clinic', 'sandbox')", org)
    yield Clinic(pool, engine, door, Sealer(b"k" * 32), Access(org, "test", "HOPERAT", frozenset("*")))
    await door.close()
    await pool.close()
    await engine.close()


class Workers:
    """Two worker processes, of which one may be killed at any time and is started again."""

    def __init__(self, database: Database) -> None:
        command = [sys.executable, worker_process.__file__, database.app_dsn, database.engine_dsn]
        self._start = lambda: subprocess.Popen(command)
        self.running = [self._start(), self._start()]

    def kill(self, number: int) -> None:
        """kill -9, and another takes its place."""
        self.running[number].kill()
        self.running[number].wait()
        self.running[number] = self._start()

    def most_memory_mb(self) -> float:
        """The most that one of them ever held."""
        told = [Path(f"/proc/{one.pid}/status").read_text() for one in self.running]
        return max(int(re.search(r"VmHWM:\s+(\d+) kB", text)[1]) for text in told) / 1024

    def end(self) -> None:
        """All gone."""
        for one in self.running:
            one.kill()
            one.wait()


@pytest.mark.timeout(limit_s(120))
async def test_receivers_misbehave_and_workers_die_and_every_event_is_delivered_under_one_id_and_body(
    clinic: Clinic, database: Database, seed: int
) -> None:
    draw = random.Random(seed)
    sinks = {name: await WebhookSink().serve() for name in BEHAVIOURS}
    endpoints = {name: await _endpoint(clinic, sinks[name], name) for name in BEHAVIOURS}
    workers = Workers(database)
    watch = EndpointWatch(clinic.pool, clinic.engine, clinic.door, clinic.sealer, announce)
    try:
        for _ in range(EVENTS // 4):
            await clinic.happen(*endpoints.values(), count=4)
            await asyncio.sleep(draw.uniform(0.1, 0.5))
        for _ in range(times(4, 60)):
            await asyncio.sleep(draw.uniform(0.3, 1.2))
            workers.kill(draw.randrange(2))
        await until(lambda: _is_off(clinic, endpoints["is gone at first"]), 30)
        sinks["is gone at first"].behaviours.clear()
        async with clinic.pool.transaction(clinic.org) as tx:
            await replays.recover(tx, clinic.access, endpoints["is gone at first"].id)
        await until(lambda: _all_delivered(clinic, watch), 45)
        assert workers.most_memory_mb() < RSS_MB_MAX
    finally:
        workers.end()
        for sink in sinks.values():
            await sink.close()
    for name, sink in sinks.items():
        bodies = defaultdict(set)
        for one in sink.received:
            bodies[one.id].add(one.body)
            assert one.verified, (seed, name)
        assert len(bodies) == EVENTS and all(len(each) == 1 for each in bodies.values()), (seed, name)
    await _schedule_was_kept(clinic, seed)


async def _endpoint(clinic: Clinic, sink: WebhookSink, name: str) -> Endpoint:
    sink.behaviours["/hook"] = BEHAVIOURS[name]
    draft = Draft(name, sink.url + "/hook", settings=EndpointSettings(schedule=WAITS_S, timeout_s=1.0))
    made = await destinations.create(clinic.pool, clinic.access, clinic.door, clinic.sealer, draft)
    sink.add_secret(made[1])
    return made[0]


async def _is_off(clinic: Clinic, endpoint: Endpoint) -> bool:
    async with clinic.pool.transaction(clinic.org) as tx:
        return (await destinations.read(tx, clinic.access, endpoint.id)).state_reason == "gone"


async def _all_delivered(clinic: Clinic, watch: EndpointWatch) -> bool:
    await watch.turn()
    await asyncio.sleep(0.2)
    return not await clinic.rows("select 1 from delivery where state <> 'delivered'")


async def _schedule_was_kept(clinic: Clinic, seed: int) -> None:
    """An attempt begins no sooner than 80 % of its wait after the one before ended; a replay begins anew."""
    log = await clinic.rows(
        "select destination_id, event_id, number, outcome, extract(epoch from started_at)::float8 as at, duration_ms"
        " from delivery_attempt order by 1, 2, 3"
    )
    for before, after in pairwise(log):
        same = (before["destination_id"], before["event_id"]) == (after["destination_id"], after["event_id"])
        if same and before["outcome"] in ("retrying", "unknown"):
            gap_s = after["at"] - before["at"] - before["duration_ms"] / 1000
            assert gap_s >= 0.8 * WAITS_S[0] - 0.02, (seed, tuple(before), tuple(after))
