"""The practice API and FHIR reads over sockets, auth, audit and fsync on: CPU a request, Python and PostgreSQL together.

The server is a process of its own; an embedded PostgreSQL holds 20,000 patients; 32 keep-alive connections each
send a request and wait for its answer.
"""

import argparse
import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import uvloop

from chartwire.api.server import ServerSettings, serve_api
from chartwire.api.services import Services
from chartwire.app.embedded import EmbeddedPostgres
from chartwire.core import garbage
from chartwire.core.access import Access
from chartwire.core.clock import now
from chartwire.core.ids import to_prefixed, uuid7
from chartwire.record.index import index_values
from chartwire.store.migrate import migrate
from chartwire.store.partitions import ensure_partitions
from chartwire.store.pool import Pool
from chartwire.store.queries import q
from chartwire.trust.audit import AuditTrail
from chartwire.trust.credentials import Credentials
from chartwire.trust.seal import Sealer

PATIENTS = 20_000
APPOINTMENTS = 20_000
CONNECTIONS = 32
SECONDS = 3.0
ROUNDS = 3
_PASSWORD = "bench"
_TICKS_PER_S = 100
_SAVED_AT_ONCE = 1_000
# What architecture.md allows, in milliseconds of CPU.
BUDGETS_MS = {
    "read patient": 0.15,
    "read FHIR": 0.15,
    "search by MRN": 0.30,
    "search by name": None,
    "day's list": None,
    "no data": None,
}


def rows() -> list[dict[str, Any]]:
    """One row a kind of request: requests/s, CPU of Python and PostgreSQL in ms a request, the budget."""
    with tempfile.TemporaryDirectory(prefix="chartwire-bench-") as directory:
        Path(directory).chmod(0o711)
        server = EmbeddedPostgres(Path(directory) / "pg")
        server.start()
        try:
            return asyncio.run(_measure(server))
        finally:
            server.remove()


async def _measure(server: EmbeddedPostgres) -> list[dict[str, Any]]:
    await migrate(server.dsn(), app_password=_PASSWORD, engine_password=_PASSWORD)
    await ensure_partitions(server.dsn(), now())
    dsn = server.dsn("chartwire_app").replace(server.password("chartwire_app"), _PASSWORD)
    pool = Pool(dsn, size=4)
    token, patients = await _fill(pool)
    async with pool.connection() as connection:
        await connection.execute("select 1")
    await pool.close()
    await _analyze(server)
    paths = {
        "read patient": [f"/api/v1/patients/{to_prefixed('pat', one)}" for one in patients[:5000]],
        "read FHIR": [f"/fhir/R4/Patient/{one}" for one in patients[:5000]],
        "search by MRN": [f"/api/v1/patients?mrn=M{n}" for n in range(5000)],
        "search by name": [f"/api/v1/patients?name=family{n}&limit=5" for n in range(1000)],
        "day's list": [f"/api/v1/appointments?date=2026-11-{n % 28 + 1:02d}&limit=25" for n in range(28)],
    }
    paths["no data"] = ["/health/live"]
    best: dict[str, dict[str, Any]] = {}
    assert server.pid is not None
    with serving(dsn) as (port, pid):
        for _ in range(ROUNDS):
            for name, wanted in paths.items():
                row = await _round(name, wanted, token, port, pid, server.pid)
                if name not in best or row["cpu_ms"] < best[name]["cpu_ms"]:
                    best[name] = row
    return list(best.values())


async def _round(name: str, paths: list[str], token: str, port: int, pid: int, postmaster: int) -> dict[str, Any]:
    python, postgres, started = cpu_s([pid]), cpu_s(tree(postmaster)), time.perf_counter()
    until = started + SECONDS
    counts = await asyncio.gather(
        *(_caller(paths[n::CONNECTIONS] or paths, token, port, until) for n in range(CONNECTIONS))
    )
    elapsed, done = time.perf_counter() - started, sum(counts)
    python_ms = (cpu_s([pid]) - python) / done * 1000
    postgres_ms = (cpu_s(tree(postmaster)) - postgres) / done * 1000
    return {
        "what": f"{name}, {CONNECTIONS} connections",
        "per_s": round(done / elapsed),
        "python_ms": round(python_ms, 3),
        "postgres_ms": round(postgres_ms, 3),
        "cpu_ms": round(python_ms + postgres_ms, 3),
        "budget_ms": BUDGETS_MS[name],
    }


async def _caller(paths: list[str], token: str, port: int, until: float) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    requests = [f"GET {path} HTTP/1.1\r\nHost: b\r\nAuthorization: Bearer {token}\r\n\r\n".encode() for path in paths]
    done = 0
    try:
        while time.perf_counter() < until:
            writer.write(requests[done % len(requests)])
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head[:200]
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            done += 1
    finally:
        writer.close()
    return done


@contextlib.contextmanager
def serving(dsn: str, *command: str) -> Iterator[tuple[int, int]]:
    """A server process over a database (by `python -m bench.api --serve`, or another module): its port and process
    id."""
    command = (sys.executable, "-m", *(command or ("bench.api", "--serve")), dsn)
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline()), process.pid
    finally:
        process.stdin.close()
        process.wait(30)
        process.stdout.close()


async def _serve(dsn: str) -> None:
    garbage.settle()  # as app/child.py does
    pool = Pool(dsn, size=8)
    services = Services(pool, Credentials(pool), AuditTrail(pool), Sealer(bytes(32)))
    stop = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), stop.set)
    await serve_api(ServerSettings(port=0), services, stop, lambda port: print(port, flush=True))
    await pool.close()


async def _fill(pool: Pool) -> tuple[str, list[UUID]]:
    org = uuid7()
    async with pool.transaction(org) as tx:
        await tx.execute("insert into organisation (org_id, name, kind) values ($1, 'bench', 'live')", org)
    key = await Credentials(pool).create(Access(org, "cli:bench", "HOPERAT", frozenset("*")), name="b", scopes=["*"])
    patients = [uuid7() for _ in range(PATIENTS)]
    await _save(pool, org, "Patient", [(one, _patient(n), one) for n, one in enumerate(patients)])
    booked = [(uuid7(), _appointment(n, patients[n % PATIENTS]), patients[n % PATIENTS]) for n in range(APPOINTMENTS)]
    await _save(pool, org, "Appointment", booked)
    return key.token, patients


async def _save(pool: Pool, org: UUID, kind: str, made: list[tuple[UUID, dict[str, Any], UUID]]) -> None:
    at = now()
    for start in range(0, len(made), _SAVED_AT_ONCE):
        part = made[start : start + _SAVED_AT_ONCE]
        size = len(part)
        bodies = [{"resourceType": kind, "id": str(one), **body} for one, body, _ in part]
        texts = [json.dumps(body, separators=(",", ":")) for body in bodies]
        ids, patients = [one for one, _, _ in part], [patient for _, _, patient in part]
        values = [(*pair, one) for one, body in zip(ids, bodies, strict=True) for pair in index_values(kind, body, at)]
        async with pool.transaction(org) as tx:
            columns = [
                [kind] * size,
                ids,
                [1] * size,
                [at] * size,
                [False] * size,
                patients,
                [None] * size,
                [None] * size,
            ]
            await tx.execute(q.save_resources, *columns, ["feed:b"] * size, texts, ["{}"] * size, None)
            params, found, of = zip(*values, strict=True)
            await tx.execute(q.insert_search_values, org, [kind] * len(values), list(params), list(found), list(of))


def _patient(n: int) -> dict[str, Any]:
    kind = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}]}
    return {
        "meta": {"versionId": "1", "lastUpdated": "2026-11-20T08:00:00.000Z"},
        "identifier": [{"type": kind, "system": "urn:chartwire:authority:GENERAL", "value": f"M{n}"}],
        "active": True,
        "name": [{"use": "official", "family": f"Family{n % 5000}", "given": ["Ada", "Grace"]}],
        "telecom": [{"system": "phone", "value": f"+1416{n:07d}", "use": "home"}],
        "gender": "female",
        "birthDate": f"19{n % 90 + 10}-0{n % 9 + 1}-1{n % 9}",
        "address": [{"line": ["1 Main St"], "city": "Springfield", "postalCode": "62701", "country": "USA"}],
    }


def _appointment(n: int, patient: UUID) -> dict[str, Any]:
    return {
        "status": "booked",
        "start": f"2026-11-{n % 28 + 1:02d}T{n % 9 + 9:02d}:00:00.000Z",
        "end": f"2026-11-{n % 28 + 1:02d}T{n % 9 + 9:02d}:30:00.000Z",
        "participant": [{"actor": {"reference": f"Patient/{patient}"}, "status": "accepted"}],
    }


async def _analyze(server: EmbeddedPostgres) -> None:
    admin = Pool(server.dsn(), size=1)
    async with admin.connection() as connection:
        await connection.execute("vacuum analyze")
    await admin.close()


def cpu_s(pids: list[int]) -> float:
    """Seconds of CPU that processes have taken."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
    return total / _TICKS_PER_S


def tree(pid: int) -> list[int]:
    """A process and its children."""
    return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--serve", metavar="DSN")
    arguments = parser.parse_args()
    if arguments.serve:
        uvloop.run(_serve(arguments.serve))
    else:
        for each in rows():
            print(json.dumps(each))
