"""Two hundred endpoints of which twenty hang: how long the other 180 wait for an event, and what a delivery costs then.

100 events a second, each in a transaction of its own, go to one endpoint in one row and to ten in the other. Every
endpoint is a server of its own port; one that hangs takes the request and never answers. Two delivery workers, as `up`
runs them, beside PostgreSQL with fsync on. Latency is from the event's `created_at` to its arrival.
"""

import asyncio
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast
from uuid import UUID

import orjson
import structlog
import uvloop

from bench.database import BenchDatabase, database
from bench.processes import ServerClock, child, cpu_s, end, heard, percentile, tell, until_terminated
from chartwire.channels.route import announce
from chartwire.channels.sources import create_organisation
from chartwire.core.access import Access
from chartwire.core.clock import now
from chartwire.core.ids import uuid7
from chartwire.delivery import destinations
from chartwire.delivery.settings import EndpointSettings, Filters
from chartwire.events.lanes import WAKE_CHANNEL
from chartwire.events.outbox import Event
from chartwire.store.pool import Pool
from chartwire.store.wakeup import Notifier
from chartwire.trust.outbound import Outbound
from chartwire.trust.seal import Sealer

ENDPOINTS, HANGING = 200, 20
EVENTS_PER_S, SECONDS, WARM_UP_S = 100, 10.0, 5.0
FAN_OUT = (1, 10)
_OK = b"HTTP/1.1 204 No Content\r\n\r\n"
_KEY = bytes(32)


def rows() -> list[dict[str, Any]]:
    """Latencies of the endpoints that answer."""
    found = []
    for fan_out in FAN_OUT:
        with database() as server:
            found.append(uvloop.run(_measure(server, fan_out)))
    return found


async def _measure(server: BenchDatabase, fan_out: int) -> dict[str, Any]:
    pool, clock, notifier = Pool(server.app, size=4), ServerClock(server.postmaster), Notifier(server.app)
    org = await create_organisation(pool, "bench", "sandbox")
    sink = child("bench.fairness", "sink")
    workers = [child("bench.delivery", "worker", server.app, server.engine) for _ in range(2)]
    pids = [worker.pid for worker in workers]
    notifier.start()
    try:
        await _register(pool, org, heard(sink)["urls"], ENDPOINTS // fan_out)
        for worker in workers:
            heard(worker)
        await _happen(pool, org, notifier, WARM_UP_S, fan_out)
        began, used, python = time.time(), clock.cpu_s(), cpu_s(*pids)
        await _happen(pool, org, notifier, SECONDS, fan_out)
        await asyncio.sleep(1.0)
        python_s, postgres_s = cpu_s(*pids) - python, clock.cpu_s() - used
    finally:
        await notifier.close()
        sink.terminate()
        told = heard(sink)["arrivals"]
        end(*workers, sink)
        await pool.close()
    waits = [(at - created) * 1e3 for created, at in told if created >= began]
    deliveries = max(len(waits), 1)
    return {
        "name": f"180 of {ENDPOINTS} endpoints while {HANGING} hang, each event to {fan_out}",
        "arrived": len(waits),
        "p50_ms": round(percentile(waits, 0.5), 1),
        "p95_ms": round(percentile(waits, 0.95), 1),
        "max_ms": round(max(waits, default=0.0), 1),
        "worker_ms": round(python_s / deliveries * 1e3, 3),
        "postgres_ms": round(postgres_s / deliveries * 1e3, 3),
    }


async def _register(pool: Pool, org: UUID, urls: list[str], groups: int) -> None:
    """Endpoints in groups, each of which wants the events that change a field of its own."""
    access, door, sealer = Access(org, "cli:bench", "HOPERAT", frozenset("*")), Outbound(), Sealer(_KEY)
    for number, url in enumerate(urls):
        settings = EndpointSettings(filters=Filters(changed=(f"field{number % groups}",)))
        draft = destinations.Draft(f"bench {number}", url, settings=settings)
        await destinations.create(pool, access, door, sealer, draft)
    await door.close()


async def _happen(pool: Pool, org: UUID, notifier: Notifier, seconds: float, fan_out: int) -> None:
    began = time.perf_counter()
    for number in range(round(seconds * EVENTS_PER_S)):
        wait_s = began + number / EVENTS_PER_S - time.perf_counter()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        field = f"field{number % (ENDPOINTS // fan_out)}"
        event = Event("patient.updated", "Patient", uuid7(), 1, uuid7(), (field,), uuid7(), "live")
        async with pool.transaction(org) as tx:
            await announce(tx, org, now(), [event])
        notifier.notify(WAKE_CHANNEL)


class _Answering(asyncio.Protocol):
    """A receiver that answers at once and notes when each event was made and when it came."""

    def __init__(self, arrivals: list[tuple[float, float]]) -> None:
        self._arrivals, self._buffer = arrivals, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        _, _, body = self._buffer.partition(b"\r\n\r\n")
        if body.endswith(b"}"):
            created = datetime.fromisoformat(orjson.loads(body)["created_at"]).timestamp()
            self._arrivals.append((created, time.time()))
            self._buffer = b""
            self._transport.write(_OK)


async def _run_sink() -> None:
    """The first endpoints hang: one in each group of ten."""
    arrivals: list[tuple[float, float]] = []
    loop, stop, servers = asyncio.get_running_loop(), until_terminated(), []
    for number in range(ENDPOINTS):
        protocol = asyncio.Protocol if number < HANGING else lambda: _Answering(arrivals)
        servers.append(await loop.create_server(protocol, "127.0.0.1", 0))
    tell(urls=[f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/" for server in servers])
    await stop.wait()
    tell(arrivals=arrivals)


def main(arguments: Sequence[str]) -> None:
    """`python -m bench.fairness` prints the rows; with a role it is one of the processes."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    if arguments:
        uvloop.run(_run_sink())
        return
    for row in rows():
        print(row)


if __name__ == "__main__":
    main(sys.argv[1:])
