"""The FHIR server over sockets, auth, audit and fsync on: CPU a request, Python and PostgreSQL together.

`make bench ARGS=fhir` measures Chartwire over 40,000 resources. `python -m bench.fhir` measures any server by its URL
with the same data and requests, or Chartwire over more (`--resources 1000000`).
"""

import asyncio
import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from bench.api import serving
from bench.fhir.filling import fill_directly
from bench.fhir.phases import PHASES, Phase, World
from bench.fhir.running import run, run_beside
from bench.fhir.wire import Server
from bench.processes import server_pids
from chartwire.app.embedded import EmbeddedPostgres
from chartwire.core.access import Access
from chartwire.core.clock import now
from chartwire.core.ids import uuid7
from chartwire.store.migrate import migrate
from chartwire.store.partitions import ensure_partitions
from chartwire.store.pool import Pool
from chartwire.trust.credentials import Credentials

RESOURCES = 40_000
SECONDS = 3.0
ROUNDS = 2
_PASSWORD = "bench"


def rows() -> list[dict[str, Any]]:
    """One row a phase: requests/s (resources of Bundles), p50 and p99 in ms, CPU in ms, the budget."""
    return measure(RESOURCES, PHASES, SECONDS, ROUNDS)


def measure(resources: int, phases: Sequence[Phase], seconds: float, rounds: int) -> list[dict[str, Any]]:
    """As `rows`, over any number of resources."""
    with _filled(resources) as filled, serving(filled.dsn, "bench.fhir.serving") as (port, pid):
        server = Server(f"http://127.0.0.1:{port}/fhir/R4", f"Bearer {filled.token}")
        pids = partial(_pids, pid, filled.postmaster)
        found = asyncio.run(run(server, filled.world, phases, pids, seconds=seconds, rounds=rounds))
        return [*found, asyncio.run(run_beside(server, filled.world, seconds))]


@dataclass(frozen=True, slots=True)
class _Filled:
    dsn: str
    postmaster: int
    token: str
    world: World


@contextlib.contextmanager
def _filled(resources: int) -> Iterator[_Filled]:
    """An embedded PostgreSQL with one organisation that has so many resources, and its key."""
    with tempfile.TemporaryDirectory(prefix="chartwire-bench-") as directory:
        Path(directory).chmod(0o711)
        postgres = EmbeddedPostgres(Path(directory) / "pg")
        postgres.start()
        try:
            dsn = postgres.dsn("chartwire_app").replace(postgres.password("chartwire_app"), _PASSWORD)
            org, token = asyncio.run(_prepare(postgres, dsn))
            world = fill_directly(dsn, org, resources)
            asyncio.run(_analyze(postgres))
            assert postgres.pid is not None
            yield _Filled(dsn, postgres.pid, token, world)
        finally:
            postgres.remove()


async def _prepare(postgres: EmbeddedPostgres, dsn: str) -> tuple[UUID, str]:
    await migrate(postgres.dsn(), app_password=_PASSWORD, engine_password=_PASSWORD)
    await ensure_partitions(postgres.dsn(), now())
    pool, org = Pool(dsn, size=1), uuid7()
    async with pool.transaction(org) as tx:
        await tx.execute("insert into organisation (org_id, name, kind) values ($1, 'bench', 'sandbox')", org)
    access = Access(org, "cli:bench", "HOPERAT", frozenset("*"))
    key = await Credentials(pool).create(access, name="bench", scopes=["*"])
    await pool.close()
    return org, key.token


async def _analyze(postgres: EmbeddedPostgres) -> None:
    admin = Pool(postgres.dsn(), size=1)
    async with admin.connection() as connection:
        await connection.execute("vacuum analyze")
    await admin.close()


def _pids(api: int, postmaster: int) -> list[int]:
    """The API process with its carriers, and PostgreSQL's processes."""
    return [*server_pids(api), *server_pids(postmaster)]
