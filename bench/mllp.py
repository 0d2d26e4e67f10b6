"""Durable ACKs through real sockets, fsync on: our listener beside a bare receiver, in turns.

The floor is what uvloop, one INSERT a group and a fixed ACK can do: no parsing, no ledger, no lanes. The loader is a
process of its own: every connection sends, waits for the answer, checks MSA-2, sends the next one.
"""

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, cast
from uuid import UUID

import uvloop

from bench.processes import ServerClock, cpu_s
from chartwire.core.ids import uuid7
from chartwire.core.source import IdentifierRule, Source

ROUNDS = 3
SECONDS = 3.0
CONNECTIONS = 64
PACED_PER_S = 300
_BODY = (
    "MSH|^~\\&|REGISTRATION|GENERAL|HUB|CLINIC|20261120081500||ADT^A08^ADT_A01|{id}|P|2.5.1\r"
    "EVN|A08|20261120081500|||CLERK^Adams^Ruth\r"
    "PID|1||{mrn}^^^GENERAL^MR~444333222^^^USSSA^SS||Everywoman^Eve^E^^^^L||19620320|F||2106-3^White^HL70005|"
    "1 Main St^^Springfield^IL^62701^USA^H||(217)555-0100^PRN^PH|(217)555-0101|eng|M|CHR|ACC{mrn}^^^GENERAL^AN\r"
    "NK1|1|Everyman^Adam^A|SPO^Spouse^HL70063|1 Main St^^Springfield^IL^62701^USA|(217)555-0102\r"
    "PV1|1|I|W3^312^A^GENERAL||||0148^Addison^James^^^Dr|0123^Welby^Marcus^^^Dr||MED||||7|||0148^Addison^James|INP|"
    "V{mrn}^^^GENERAL^VN|||||||||||||||||||||||||20261120080000\r"
    "AL1|1|DA|70618^Penicillin^RXNORM|SV|Hives~Swelling|20100101\r"
    "DG1|1||I10^Essential hypertension^I10C||20261120|A\r"
    "IN1|1|PLAN01^Basic Plan^L|INS001|Payer Co^^^^^^XX|PO Box 1^^Springfield^IL^62701\r"
)
_PATIENTS = 10_000
_LOG_FILES = 64


class _Target(NamedTuple):
    port: int
    pid: int


def rows(rounds: int = ROUNDS, seconds: float = SECONDS) -> list[dict[str, Any]]:
    """One row a measurement: ACKs per second (median of the rounds), p50 and p99 in ms, CPU of receiver and PostgreSQL
    in us a message, ratio to the floor (median of the rounds, each measured one after the other)."""
    found: list[dict[str, Any]] = []
    with _targets() as (targets, server):
        measured: dict[str, list[dict[str, Any]]] = {name: [] for name in targets}
        for _ in range(rounds):
            for name, target in targets.items():
                measured[name].append(_watched(target, server, seconds))
        for name, turns in measured.items():
            ratios = [ours["per_s"] / floor["per_s"] for ours, floor in zip(turns, measured["floor"], strict=True)]
            found.append(
                {
                    "name": f"durable ACKs, {name}, {CONNECTIONS} connections stop-and-wait",
                    "per_s": round(_median([one["per_s"] for one in turns])),
                    "best_per_s": round(max(one["per_s"] for one in turns)),
                    "p50_ms": round(_median([one["p50_ms"] for one in turns]), 2),
                    "p99_ms": round(_median([one["p99_ms"] for one in turns]), 2),
                    "receiver_us": round(_median([one["receiver_us"] for one in turns]), 1),
                    "postgres_us": round(_median([one["postgres_us"] for one in turns]), 1),
                    "ratio_to_floor": round(_median(ratios), 2),
                }
            )
        paced = _load(targets["chartwire"].port, 16, seconds, per_s=PACED_PER_S)
        del paced["messages"]
        found.append({"name": f"ACK latency at {PACED_PER_S}/s, chartwire", **paced})
    return found


def _watched(target: _Target, server: ServerClock, seconds: float) -> dict[str, Any]:
    receiver_s, server_s = cpu_s(target.pid), server.cpu_s()
    turn = _load(target.port, CONNECTIONS, seconds)
    for key, spent_s in (("receiver_us", cpu_s(target.pid) - receiver_s), ("postgres_us", server.cpu_s() - server_s)):
        turn[key] = spent_s * 1e6 / turn["messages"]
    return turn


def _median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    return ordered[len(ordered) // 2]


@contextlib.contextmanager
def _targets() -> Iterator[tuple[dict[str, _Target], ServerClock]]:
    """Both receivers by name, each in a process of its own, and the PostgreSQL that they share."""
    from chartwire.app.embedded import EmbeddedPostgres

    with tempfile.TemporaryDirectory(prefix="chartwire-bench-") as directory:
        Path(directory).chmod(0o711)
        server = EmbeddedPostgres(Path(directory) / "pg")
        server.start()
        children: list[subprocess.Popen[str]] = []
        try:
            dsns = [server.dsn(role) for role in ("chartwire_admin", "chartwire_app", "chartwire_engine")]
            admin, app, _ = dsns
            asyncio.run(_prepare(admin, app, server))
            targets = {}
            for name in ("chartwire", "floor"):
                child = _child(name, dsns)
                children.append(child)
                assert child.stdout is not None
                targets[name] = _Target(int(child.stdout.readline()), child.pid)
            assert server.pid is not None
            yield targets, ServerClock(server.pid)
        finally:
            for child in children:
                child.terminate()
                child.wait()
            server.remove()


async def _prepare(admin: str, app: str, server: Any) -> None:
    import asyncpg

    from chartwire.channels.sources import create_organisation, create_source
    from chartwire.core.clock import now
    from chartwire.store.migrate import migrate
    from chartwire.store.partitions import ensure_partitions
    from chartwire.store.pool import Pool

    await migrate(
        admin, app_password=server.password("chartwire_app"), engine_password=server.password("chartwire_engine")
    )
    await ensure_partitions(admin, now())
    connection = await asyncpg.connect(admin)
    await connection.execute("create table floor_inbox (id uuid primary key, raw bytea not null)")
    await connection.execute("grant insert on floor_inbox to chartwire_app")
    await _age(connection)
    await connection.close()
    pool = Pool(app)
    org = await create_organisation(pool, "Bench", "live")
    source = Source(org, uuid7(), "bench", "GENERAL", identifiers=(IdentifierRule("*", "MR"),))
    await create_source(pool, source, "main")
    await pool.close()


async def _age(connection: Any) -> None:
    """Give the server the log files of one that has run for a while: a checkpoint keeps used ones to be written again.

    A new cluster makes a file of 16 MB for every 3,000 of our messages, and all commits wait meanwhile (20 to 50 ms).
    """
    for _ in range(_LOG_FILES):
        await connection.execute("select pg_logical_emit_message(false, '', ''), pg_switch_wal()")
    await connection.execute("checkpoint")


def _child(role: str, arguments: Sequence[str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "bench.mllp", role, *arguments], stdout=subprocess.PIPE, text=True, env=os.environ
    )


def _load(port: int, connections: int, seconds: float, *, per_s: int = 0) -> dict[str, Any]:
    child = _child("load", [str(port), str(connections), str(seconds), str(per_s)])
    out, _ = child.communicate()
    assert child.returncode == 0, "the loader failed: an answer was missing or wrong"
    answer: dict[str, Any] = json.loads(out)
    return answer


# Loader --------------------------------------------------------------------------------------------------------------


class _Sender(asyncio.Protocol):
    """One stop-and-wait connection; with a pace it sends when its turn comes, late ones counted from their due time."""

    def __init__(self, load: "_Load", number: int) -> None:
        self.load, self.number, self.count = load, number, 0
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.send(time.perf_counter())

    def send(self, due: float) -> None:
        self.count += 1
        self.id = f"{self.load.run}.{self.number}.{self.count}"
        self.due = due
        mrn = (self.number * 7919 + self.count * 104_729) % _PATIENTS
        self.transport.write(b"\x0b" + self.load.body.format(id=self.id, mrn=mrn).encode() + b"\x1c\r")

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if not self.buffer.endswith(b"\x1c\r"):
            return
        answer, self.buffer = self.buffer, b""
        assert f"MSA|AA|{self.id}\r".encode() in answer, "a wrong answer"
        now = time.perf_counter()
        self.load.waits.append(now - self.due)
        if now >= self.load.end:
            self.transport.close()
        elif self.load.interval_s:
            due = self.due + self.load.interval_s
            self.load.loop.call_later(max(due - now, 0), self.send, due)
        else:
            self.send(now)

    def connection_lost(self, _error: Exception | None) -> None:
        self.load.open -= 1
        if not self.load.open:
            self.load.done.set()


class _Load:
    def __init__(self, connections: int, seconds: float, per_s: int) -> None:
        self.run = uuid7().hex[6:14]
        self.body = _BODY
        self.waits: list[float] = []
        self.open = connections
        self.end = time.perf_counter() + seconds
        self.interval_s = connections / per_s if per_s else 0.0
        self.done = asyncio.Event()
        self.loop = asyncio.get_running_loop()


async def _run_load(port: int, connections: int, seconds: float, per_s: int) -> None:
    load = _Load(connections, seconds, per_s)
    begun = time.perf_counter()
    for number in range(connections):
        await load.loop.create_connection(partial(_Sender, load, number), "127.0.0.1", port)
        if load.interval_s:
            await asyncio.sleep(load.interval_s / connections)
    await asyncio.wait_for(load.done.wait(), seconds + 30)
    spent = time.perf_counter() - begun
    waits = sorted(load.waits)
    print(json.dumps({
        "messages": len(waits),
        "per_s": len(waits) / spent,
        "p50_ms": round(waits[len(waits) // 2] * 1000, 2),
        "p99_ms": round(waits[int(len(waits) * 0.99)] * 1000, 2),
    }))  # fmt: skip


# Receivers -----------------------------------------------------------------------------------------------------------


async def _run_chartwire(_admin: str, app: str, engine: str) -> None:
    import signal

    import structlog

    from chartwire.mllp.server import serve_listener
    from chartwire.mllp.settings import ListenerSettings

    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await serve_listener(
        app, engine, [ListenerSettings("main", port=0)], stop, ready=lambda ports: print(ports["main"], flush=True)
    )


class _Floor(asyncio.Protocol):
    """Stores frames in groups and answers each by a fixed ACK with its MSH-10."""

    waiting: ClassVar["list[tuple[UUID, bytes, _Floor]]"] = []
    asked: ClassVar[asyncio.Event]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\x1c\r")) >= 0:
            _Floor.waiting.append((uuid7(), self.buffer[1:end], self))
            self.buffer = self.buffer[end + 2 :]
            _Floor.asked.set()

    @staticmethod
    async def write(dsn: str) -> None:
        import asyncpg

        connection = await asyncpg.connect(dsn)
        while True:
            await _Floor.asked.wait()
            _Floor.asked.clear()
            batch, _Floor.waiting = _Floor.waiting, []
            if not batch:
                continue
            await connection.execute(
                "insert into floor_inbox select * from unnest($1::uuid[], $2::bytea[])",
                [one[0] for one in batch], [one[1] for one in batch],
            )  # fmt: skip
            if _Floor.waiting:
                _Floor.asked.set()
            for _, raw, peer in batch:
                control_id = raw[:300].split(b"|", 10)[9]
                peer.transport.write(
                    b"\x0bMSH|^~\\&|HUB|CLINIC|REGISTRATION|GENERAL|20261120||ACK|1|P|2.5.1\rMSA|AA|"
                    + control_id
                    + b"\r\x1c\r"
                )


async def _run_floor(_admin: str, app: str, _engine: str) -> None:
    _Floor.asked = asyncio.Event()
    server = await asyncio.get_running_loop().create_server(_Floor, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await _Floor.write(app)


def main() -> None:
    """`python -m bench.mllp` prints the rows; with a role it is one of the processes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("role", nargs="?", default="rows")
    parser.add_argument("arguments", nargs="*")
    chosen = parser.parse_args()
    if chosen.role == "rows":
        for row in rows():
            print(row)
    elif chosen.role == "load":
        port, connections, seconds, per_s = chosen.arguments
        uvloop.run(_run_load(int(port), int(connections), float(seconds), int(per_s)))
    else:
        uvloop.run({"chartwire": _run_chartwire, "floor": _run_floor}[chosen.role](*chosen.arguments))


if __name__ == "__main__":
    main()
