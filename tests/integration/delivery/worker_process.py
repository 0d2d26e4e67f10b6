"""A delivery worker as a process of its own, for tests that kill it: `worker_process.py APP_DSN ENGINE_DSN`."""

import asyncio
import sys

from chartwire.delivery.worker import DeliveryWorker
from chartwire.store.pool import Pool
from chartwire.trust.outbound import Outbound
from chartwire.trust.seal import Sealer


async def main(app_dsn: str, engine_dsn: str) -> None:
    worker = DeliveryWorker(
        Pool(app_dsn, size=4), Pool(engine_dsn, size=3), Outbound(), Sealer(b"k" * 32), timeout_s=2.0, lease_s=12.0
    )
    await worker.run(asyncio.Event())


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
