"""`python -m bench.fhir.serving DSN`: an API process as the product runs one, carriers too; prints its port."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from functools import partial

import uvloop

from chartwire.api.fhir.bundle import carrying
from chartwire.api.fhir.carriers import Carriers, Carry
from chartwire.api.server import ServerSettings, serve_api
from chartwire.api.services import Services
from chartwire.api.table import FHIR
from chartwire.core import garbage
from chartwire.store.pool import Pool
from chartwire.trust.audit import AuditTrail
from chartwire.trust.credentials import Credentials
from chartwire.trust.seal import Sealer


@contextlib.asynccontextmanager
async def open_carrier(dsn: str) -> AsyncIterator[Carry]:
    """A carrier as app/bundling.py opens one."""
    garbage.settle()
    yield carrying(FHIR, _services(Pool(dsn, size=2)))


def _services(pool: Pool, carriers: Carriers | None = None) -> Services:
    return Services(pool, Credentials(pool), AuditTrail(pool), Sealer(bytes(32)), carriers=carriers)


async def _serve(dsn: str) -> None:
    garbage.settle()
    pool, carriers, stop = Pool(dsn, size=8), Carriers(partial(open_carrier, dsn)), asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), stop.set)
    await serve_api(ServerSettings(port=0), _services(pool, carriers), stop, lambda port: print(port, flush=True))
    await carriers.close()
    await pool.close()


if __name__ == "__main__":
    uvloop.run(_serve(sys.argv[1]))
