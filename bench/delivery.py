"""Logged, signed deliveries to a keep-alive receiver: how many a second, and what one costs.

The worker and the receiver are processes of their own beside PostgreSQL with fsync on. Each delivery is an event that
was routed in a transaction, claimed, signed, posted, answered and logged.
"""

import asyncio
import sys
import time
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import structlog
import uvloop

from bench.database import BenchDatabase, database
from bench.processes import ServerClock, child, cpu_s, end, heard, tell, until_terminated
from bench.sender import Receiver
from chartwire.channels import route
from chartwire.channels.sources import create_organisation
from chartwire.core.access import Access
from chartwire.core.clock import now
from chartwire.core.ids import uuid7
from chartwire.delivery import destinations
from chartwire.delivery.worker import DeliveryWorker
from chartwire.events.lanes import WAKE_CHANNEL
from chartwire.events.outbox import Event, emit
from chartwire.store.pool import Pool
from chartwire.store.wakeup import Listener
from chartwire.trust.outbound import Outbound
from chartwire.trust.seal import Sealer

DELIVERIES = 8_000
WARM_UP = 800
ENDPOINTS = (1, 16)
BUDGET_MS = 0.08
_EVENTS_A_TRANSACTION = 100
_KEY = bytes(32)


def rows() -> list[dict[str, Any]]:
    """Deliveries per second and CPU a delivery, by number of endpoints."""
    found = []
    for endpoints in ENDPOINTS:
        with database() as server:
            found.append(uvloop.run(_measure(server, endpoints)))
    return found


async def _measure(server: BenchDatabase, endpoints: int) -> dict[str, Any]:
    pool, clock = Pool(server.app, size=2), ServerClock(server.postmaster)
    org = await create_organisation(pool, "bench", "sandbox")
    sink, worker = (
        child("bench.delivery", "sink", str(endpoints)),
        child("bench.delivery", "worker", server.app, server.engine),
    )
    try:
        await _register(pool, org, heard(sink)["urls"])
        heard(worker)
        await _deliver(server, pool, org, WARM_UP, endpoints)
        await _analyze(server)
        used, python = clock.cpu_s(), cpu_s(worker.pid)
        routing_s, seconds = await _deliver(server, pool, org, DELIVERIES, endpoints)
        python_ms = (cpu_s(worker.pid) - python + routing_s) / DELIVERIES * 1e3
        postgres_ms = (clock.cpu_s() - used) / DELIVERIES * 1e3
    finally:
        end(worker, sink)
        await pool.close()
    return {
        "name": f"route, send, log: {endpoints} endpoint{'s' * (endpoints > 1)}",
        "per_s": round(DELIVERIES / seconds),
        "route_ms": round(routing_s / DELIVERIES * 1e3, 3),
        "python_ms": round(python_ms, 3),
        "postgres_ms": round(postgres_ms, 3),
        "cpu_ms": round(python_ms + postgres_ms, 3),
        "budget_ms": BUDGET_MS,
    }


async def _register(pool: Pool, org: UUID, urls: list[str]) -> None:
    access, door, sealer = Access(org, "cli:bench", "HOPERAT", frozenset("*")), Outbound(), Sealer(_KEY)
    for url in urls:
        await destinations.create(pool, access, door, sealer, destinations.Draft("bench", url))
    await door.close()


async def _deliver(server: BenchDatabase, pool: Pool, org: UUID, count: int, endpoints: int) -> tuple[float, float]:
    """Route `count` deliveries, then wake the worker; CPU seconds of routing and seconds until all are delivered."""
    begun = time.process_time()
    woken: set[UUID] = set()
    for start in range(0, count // endpoints, _EVENTS_A_TRANSACTION):
        async with pool.transaction(org) as tx:
            events = [_event(n) for n in range(start, min(start + _EVENTS_A_TRANSACTION, count // endpoints))]
            at = now()
            await emit(tx, org, at, events)
            woken.update(await route.route(tx, org, at, events))
    routing_s, started = time.process_time() - begun, time.perf_counter()
    async with pool.transaction(org) as tx:
        await route.wake(tx, org, sorted(woken))
    await _notify(server)
    while await _open(pool, org):
        await asyncio.sleep(0.05)
    return routing_s, time.perf_counter() - started


def _event(number: int) -> Event:
    changed = ("status", "start", "participant")
    return Event("appointment.updated", "Appointment", uuid7(), number % 9 + 1, uuid7(), changed, uuid7(), "live")


async def _open(pool: Pool, org: UUID) -> bool:
    query = "select exists (select 1 from delivery where org_id = $1 and state in ('pending', 'retrying', 'unknown'))"
    async with pool.transaction(org) as tx:
        return bool(await tx.fetchval(query, org))


async def _notify(server: BenchDatabase) -> None:
    await _as_admin(server, f"notify {WAKE_CHANNEL}")


async def _analyze(server: BenchDatabase) -> None:
    await _as_admin(server, "analyze")


async def _as_admin(server: BenchDatabase, statement: str) -> None:
    admin = Pool(server.admin, size=1)
    async with admin.connection() as connection:
        await connection.execute(statement)
    await admin.close()


async def _run_sink(endpoints: int) -> None:
    """Each endpoint is a peer of its own, as other people's servers are."""
    receiver, stop = Receiver(), until_terminated()
    tell(urls=[await receiver.serve() for _ in range(endpoints)])
    await stop.wait()
    receiver.close()


async def _run_worker(app: str, engine_dsn: str) -> None:
    stop, door = until_terminated(), Outbound()
    pool, engine = Pool(app, size=8), Pool(engine_dsn, size=4)
    worker = DeliveryWorker(pool, engine, door, Sealer(_KEY))
    listener = Listener(engine_dsn, WAKE_CHANNEL, worker.wake)
    listener.start()
    tell(ready=True)
    await worker.run(stop)
    await listener.close()
    await door.close()


def main(arguments: Sequence[str]) -> None:
    """`python -m bench.delivery` prints the rows; with a role it is one of the processes."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    if not arguments:
        for row in rows():
            print(row)
    elif arguments[0] == "sink":
        uvloop.run(_run_sink(int(arguments[1])))
    else:
        uvloop.run(_run_worker(*arguments[1:]))


if __name__ == "__main__":
    main(sys.argv[1:])
