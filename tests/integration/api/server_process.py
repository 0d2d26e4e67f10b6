"""An API server as a process of its own, for tests that kill it: `server_process.py APP_DSN` prints its port."""

import asyncio
import sys

from chartwire.api.server import ServerSettings, serve_api
from chartwire.api.services import Services
from chartwire.store.pool import Pool
from chartwire.trust.audit import AuditTrail
from chartwire.trust.credentials import Credentials
from chartwire.trust.seal import Sealer


async def main(app_dsn: str) -> None:
    pool = Pool(app_dsn, size=4)
    services = Services(pool, Credentials(pool), AuditTrail(pool), Sealer(bytes(range(32))))
    await serve_api(ServerSettings(port=0), services, asyncio.Event(), lambda port: print(port, flush=True))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
