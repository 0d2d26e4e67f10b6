"""The CPU budget of architecture.md, stage by stage: where a message's time goes from its arrival to its commit.

A real listener takes the messages; then one process carries them in the worker's own batches, one batch at a time, so
that the CPU time between two moments belongs to one stage: Python's by the process clock, PostgreSQL's by the server's.
"""

import asyncio
import contextlib
import functools
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import uvloop

import chartwire.channels.path
import chartwire.record.fhir_index.columns
import chartwire.record.standing
from bench.database import BenchDatabase, database
from bench.path import source
from bench.processes import ServerClock, child, cpu_s, end, heard
from bench.sender import clinic_messages, send
from chartwire.channels import route
from chartwire.channels.path import Path
from chartwire.channels.sources import create_organisation, create_source
from chartwire.channels.worker import IntakeWorker
from chartwire.core import garbage
from chartwire.core.access import Access
from chartwire.delivery import destinations
from chartwire.events import lanes as lane_engine
from chartwire.events.lanes import Lanes
from chartwire.mapping.convert import load_maps
from chartwire.record.directory import Directory
from chartwire.record.work import Work
from chartwire.store.pool import Pool
from chartwire.trust.audit import AuditTrail, audit_row
from chartwire.trust.outbound import Outbound
from chartwire.trust.seal import Sealer

MESSAGES = 4_000
WARM_UP = 1_000
CONNECTIONS = 64
AUDIT_ROWS = 8_000
_CALLERS = 32
# stage -> (what one is, budget in ms of one core where architecture.md names one)
BUDGETS: dict[str, tuple[str, float | None]] = {
    "accept, light checks, inbox, ACK": ("message", 0.06),
    "parse and map with lineage": ("message", 0.40),
    "find whose record": ("message", None),
    "merge with what stands": ("version", None),
    "index values": ("version", 0.08),
    "save": ("version", 0.10),
    "events": ("event", None),
    "route": ("event", None),
    "lanes, states": ("message", None),
    "audit row": ("row", 0.03),
}


def rows() -> list[dict[str, Any]]:
    """One row a stage: CPU ms of Python and PostgreSQL, a message or whatever the stage handles."""
    with database() as server:
        return uvloop.run(_measure(server))


async def _measure(server: BenchDatabase) -> list[dict[str, Any]]:
    pool, engine, clock = Pool(server.app, size=6), Pool(server.engine, size=3), ServerClock(server.postmaster)
    org = await create_organisation(pool, "bench", "sandbox")
    feed = replace(source(), org=org, authority="PORTALDER", timezone="America/Los_Angeles", live=False)
    await create_source(pool, feed, "bench")
    await _register(pool, org)
    texts = clinic_messages(WARM_UP + MESSAGES, seed=5, step_s=12)
    stages = Stages(clock)
    path = Path(pool, load_maps(), lambda: {feed.id: feed}, "worker:bench")
    with stages.watching():
        await _accept(server, stages, texts[:WARM_UP])
        await _work(path, engine, org)
        await _analyze(server)
        garbage.settle()  # as app/child.py does
        stages.reset()
        before = await _written(pool, org)
        await _accept(server, stages, texts[WARM_UP:])
        await _work(path, engine, org)
    made = {name: count - before[name] for name, count in (await _written(pool, org)).items()}
    made |= {"message": MESSAGES, "row": AUDIT_ROWS}
    await _audit(pool, stages, org)
    await pool.close()
    await engine.close()
    return stages.rows(made)


async def _accept(server: BenchDatabase, stages: "Stages", texts: list[tuple[str, bytes]]) -> None:
    """Through a real listener; what is charged is its CPU and PostgreSQL's."""
    listener = child("bench.path", "listener", server.app, server.engine)
    try:
        port = int(heard(listener)["port"])
        with stages.stage("accept, light checks, inbox, ACK"):
            used = cpu_s(listener.pid)
            await send(port, texts, connections=CONNECTIONS)
            stages.python["accept, light checks, inbox, ACK"] += cpu_s(listener.pid) - used
    finally:
        end(listener)


async def _work(path: Path, engine: Pool, org: UUID) -> None:
    """The worker's own loop with one turn, until no job is left."""
    stop = asyncio.Event()
    task = asyncio.create_task(IntakeWorker(path, engine, turns=1).run(stop))
    waiting = "select exists (select 1 from job where org_id = $1)"
    while True:
        await asyncio.sleep(0.5)
        async with path.pool.transaction(org) as tx:
            if not await tx.fetchval(waiting, org):
                break
    stop.set()
    await task


async def _audit(pool: Pool, stages: "Stages", org: UUID) -> None:
    trail, access = AuditTrail(pool), Access(org, "key:bench", "HOPERAT", frozenset("*"))
    patients = [uuid4()]

    async def caller() -> None:
        for _ in range(AUDIT_ROWS // _CALLERS):
            await trail.write(audit_row(access, "read", "Patient", "GET /patients/{id}", count=1, patients=patients))

    with stages.stage("audit row"):
        begun = time.process_time()
        await asyncio.gather(*(caller() for _ in range(_CALLERS)))
        stages.python["audit row"] += time.process_time() - begun
    await trail.close()


class Stages:
    """CPU seconds by stage. Stages nest: what an inner one uses is not the outer one's."""

    def __init__(self, server: ServerClock) -> None:
        self.python: defaultdict[str, float] = defaultdict(float)
        self.postgres: defaultdict[str, float] = defaultdict(float)
        self._server = server
        self._running: list[str] = []
        self._since = 0.0
        self._server_since = 0.0

    def reset(self) -> None:
        """Forget what the warm-up used."""
        self.python.clear()
        self.postgres.clear()

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Charge PostgreSQL's time to `name` alone; the caller adds Python's."""
        begun = self._server.cpu_s()
        yield
        self.postgres[name] += self._server.cpu_s() - begun

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Put a clock around the functions of each stage, and take it off again."""
        parts: list[tuple[Any, str, str]] = [
            (chartwire.channels.path, "read", "parse and map with lineage"),
            (Directory, "save", "find whose record"),
            (Work, "prefetch", "find whose record"),
            (Work, "load", "find whose record"),
            (chartwire.channels.path, "save", "merge with what stands"),
            (chartwire.record.standing, "index_values", "index values"),
            (chartwire.record.fhir_index.columns, "index_changes", "index values"),
            (Work, "flush", "save"),
            (chartwire.channels.path, "emit", "events"),
            (route, "route", "route"),
            (route, "wake", "route"),
            (chartwire.channels.path, "settle", "lanes, states"),
            (lane_engine, "release", "lanes, states"),
            (Lanes, "claim", "lanes, states"),
            (Path, "load", "lanes, states"),
            (Path, "still_there", "lanes, states"),
        ]
        originals = [(owner, name, getattr(owner, name)) for owner, name, _ in parts]
        for (owner, name, stage), (_, _, function) in zip(parts, originals, strict=True):
            setattr(owner, name, self._clocked(function, stage))
        try:
            yield
        finally:
            for owner, name, function in originals:
                setattr(owner, name, function)

    def _clocked(self, function: Callable[..., Any], stage: str) -> Callable[..., Any]:
        if asyncio.iscoroutinefunction(function):

            @functools.wraps(function)
            async def waited(*args: Any, **named: Any) -> Any:
                self._enter(stage, server=True)
                try:
                    return await function(*args, **named)
                finally:
                    self._leave(server=True)

            return waited

        @functools.wraps(function)
        def called(*args: Any, **named: Any) -> Any:
            self._enter(stage, server=False)
            try:
                return function(*args, **named)
            finally:
                self._leave(server=False)

        return called

    def _enter(self, stage: str, *, server: bool) -> None:
        self._charge(server=server)
        self._running.append(stage)

    def _leave(self, *, server: bool) -> None:
        self._charge(server=server)
        self._running.pop()

    def _charge(self, *, server: bool) -> None:
        """Give what was used since the last moment to the stage that ran; looking at the clocks is nobody's time."""
        used = time.process_time()
        if self._running:
            self.python[self._running[-1]] += used - self._since
        if server:
            present = self._server.cpu_s()
            if self._running:
                self.postgres[self._running[-1]] += present - self._server_since
            self._server_since = present
        self._since = time.process_time()

    def rows(self, made: dict[str, int]) -> list[dict[str, Any]]:
        """Figures by stage; `made` tells how many messages, versions, events and rows there were."""
        found = []
        for name, (unit, budget_ms) in BUDGETS.items():
            python_ms = self.python[name] / made[unit] * 1e3
            postgres_ms = self.postgres[name] / made[unit] * 1e3
            found.append({
                "name": f"{name}, a {unit}",
                "python_ms": round(python_ms, 3),
                "postgres_ms": round(postgres_ms, 3),
                "cpu_ms": round(python_ms + postgres_ms, 3),
                "budget_ms": budget_ms,
                "a_message": round(made[unit] / made["message"], 2) if unit != "row" else None,
            })  # fmt: skip
        return found


async def _written(pool: Pool, org: UUID) -> dict[str, int]:
    queries = {
        "version": "select coalesce(sum(version), 0) from resource where org_id = $1",
        "event": "select count(*) from event where org_id = $1",
    }
    async with pool.transaction(org) as tx:
        return {name: int(await tx.fetchval(query, org)) for name, query in queries.items()}


async def _register(pool: Pool, org: UUID) -> None:
    access, door = Access(org, "cli:bench", "HOPERAT", frozenset("*")), Outbound()
    draft = destinations.Draft("bench", "http://127.0.0.1:9/")
    await destinations.create(pool, access, door, Sealer(bytes(32)), draft)
    await door.close()


async def _analyze(server: BenchDatabase) -> None:
    admin = Pool(server.admin, size=1)
    async with admin.connection() as connection:
        await connection.execute("analyze")
    await admin.close()


if __name__ == "__main__":
    for row in rows():
        print(row)
