"""The whole path: messages through real sockets into the inbox, through lanes into the record, events written.

Listener, worker and loader are processes of their own beside PostgreSQL with fsync on, as `chartwire up` runs them.
`stages` shows where one core's time goes, a message at a time and in batches.
"""

import asyncio
import itertools
import sys
import time
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import structlog
import uvloop

from bench.database import BenchDatabase, database
from bench.processes import child, cpu_s, end, heard, tell, until_terminated
from chartwire.channels.path import Path
from chartwire.channels.sources import SourceDirectory, create_organisation, create_source
from chartwire.channels.worker import IntakeWorker
from chartwire.core import garbage
from chartwire.core.ids import uuid7
from chartwire.core.source import IdentifierRule, Source
from chartwire.events.lanes import WAKE_CHANNEL
from chartwire.formats import hl7v2
from chartwire.mapping.convert import load_maps
from chartwire.mllp.server import serve_listener
from chartwire.mllp.settings import ListenerSettings
from chartwire.store.pool import Pool
from chartwire.store.wakeup import Listener
from simulators.hospital import Hospital, Mix
from simulators.segments import Profile

MESSAGES = 12_000
CONNECTIONS = 32
WORKERS = 2
_LISTENER, _MODULE = "bench", "bench.path"


def rows() -> list[dict[str, Any]]:
    """The stages, then the whole path, sustained over MESSAGES messages."""
    return [*stages(), whole_path()]


def messages(count: int, seed: int = 7) -> list[tuple[str, bytes]]:
    """(order key, message): 60% ADT, 25% SIU, 15% ORU of 5."""
    start = datetime(2026, 3, 2, 7, tzinfo=ZoneInfo("Europe/Berlin"))
    hospital = Hospital(Profile(), seed=seed, start=start, mix=Mix(results=5))
    return [(one.order_key, one.data) for one in itertools.islice(hospital.messages(), count)]


def source() -> Source:
    """A feed that takes everything, as the sandbox's."""
    any_patient = (IdentifierRule("*", "MR"), IdentifierRule("*", "PI"))
    return Source(uuid7(), uuid7(), "bench", "GENERAL", timezone="Europe/Berlin", identifiers=any_patient, live=True)


def stages(count: int = 3000) -> list[dict[str, Any]]:
    """Milliseconds of one core a message: parse, and map with lineage, by family."""
    mapper, feed = load_maps(), source()
    families: dict[str, list[bytes]] = {}
    for _, data in messages(count):
        families.setdefault(data.split(b"|", 9)[8][:3].decode(), []).append(data)
    found = []
    for family, texts in sorted(families.items()):
        for data in texts[:100]:
            mapper.convert(hl7v2.parse(data), feed)
        parsing = mapping = 0.0
        resources = 0
        for data in texts:
            started = time.process_time()
            document = hl7v2.parse(data)
            parsed = time.process_time()
            resources += len(mapper.convert(document, feed).resources)
            parsing += parsed - started
            mapping += time.process_time() - parsed
        found.append({
            "name": f"{family}, {resources / len(texts):.1f} resources a message",
            "parse_ms": round(parsing / len(texts) * 1e3, 3),
            "map_ms": round(mapping / len(texts) * 1e3, 3),
        })  # fmt: skip
    return found


def whole_path(count: int = MESSAGES) -> dict[str, Any]:
    """Messages per second from the first byte sent until the last message is processed."""
    with database() as server:
        return uvloop.run(_measure(server, count))


async def _measure(server: BenchDatabase, count: int) -> dict[str, Any]:
    pool = Pool(server.app, size=2)
    org = await create_organisation(pool, "bench", "live")
    await create_source(pool, Source(**{**_fields(source()), "org": org}), _LISTENER)
    listener = child(_MODULE, "listener", server.app, server.engine)
    workers = [child(_MODULE, "worker", server.app, server.engine) for _ in range(WORKERS)]
    try:
        port = int(heard(listener)["port"])
        for worker in workers:
            heard(worker)
        cpu, used = server.cpu_s(), [cpu_s(one.pid) for one in (listener, *workers)]
        loader = child(_MODULE, "loader", server.app, server.engine, str(port), str(count))
        started = time.perf_counter()
        sent = heard(loader)
        while await _open(pool, org, count):
            await asyncio.sleep(0.1)
        spent = time.perf_counter() - started
        postgres = server.cpu_s() - cpu
        spent_by = [cpu_s(one.pid) - before for one, before in zip((listener, *workers), used, strict=True)]
        listening, working = spent_by[0], sum(spent_by[1:])
    finally:
        end(listener, *workers)
    return {
        "name": f"whole path, {count} messages, {WORKERS} workers",
        "per_s": round(count / spent),
        "accepted_per_s": round(count / sent["seconds"]),
        "listener_ms": round(listening / count * 1e3, 2),
        "worker_ms": round(working / count * 1e3, 2),
        "postgres_ms": round(postgres / count * 1e3, 2),
        "cpu_ms": round((listening + working + postgres) / count * 1e3, 2),
    }


async def _open(pool: Pool, org: Any, count: int) -> bool:
    async with pool.transaction(org) as tx:
        return bool(
            await tx.fetchval("select count(*) < $2 from message where org_id = $1 and state <> 'received'", org, count)
        )


def _fields(feed: Source) -> dict[str, Any]:
    return {name: getattr(feed, name) for name in feed.__dataclass_fields__}


async def _run_worker(app: str, engine_dsn: str) -> None:
    pool, engine = Pool(app, size=8), Pool(engine_dsn, size=6)
    directory = SourceDirectory(pool, engine)
    await directory.refresh()
    sources = {one.id: one for one in directory.all}
    worker = IntakeWorker(Path(pool, load_maps(), lambda: sources, "worker:bench"), engine)
    listener = Listener(engine_dsn, WAKE_CHANNEL, worker.wake)
    listener.start()
    stop = until_terminated()
    garbage.settle()
    tell(ready=True)
    await worker.run(stop)
    await listener.close()


async def _run_loader(port: int, count: int) -> None:
    """Every connection sends its people's messages in order, stop and wait."""
    queues: list[list[bytes]] = [[] for _ in range(CONNECTIONS)]
    for key, data in messages(count):
        queues[hash(key) % CONNECTIONS].append(hl7v2.frame(data))
    started = time.perf_counter()
    await asyncio.gather(*(_send(port, queue) for queue in queues))
    tell(seconds=time.perf_counter() - started)


async def _send(port: int, queue: list[bytes]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for framed in queue:
        writer.write(framed)
        answer = await reader.readuntil(b"\x1c\r")
        assert b"\rMSA|AA|" in answer, answer[:200]
    writer.close()
    await writer.wait_closed()


async def _run_listener(app: str, engine: str) -> None:
    stop = until_terminated()
    listeners = [ListenerSettings(_LISTENER, port=0)]
    await serve_listener(app, engine, listeners, stop, ready=lambda ports: tell(port=ports[_LISTENER]))


def main() -> None:
    """A child process of the measurement."""
    role, app, engine, *arguments = sys.argv[1:]
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    run = {
        "listener": lambda: _run_listener(app, engine),
        "worker": lambda: _run_worker(app, engine),
        "loader": lambda: _run_loader(int(arguments[0]), int(arguments[1])),
    }
    uvloop.run(run[role]())


if __name__ == "__main__":
    main()
