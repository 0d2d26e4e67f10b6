"""An API server as a process of its own, for tests that kill it or ask it from a thread:
`python -m tests.integration.api.server_process APP_DSN` prints its port."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tests.integration.api.hub import services_of

from chartwire.api.server import ServerSettings, serve_api
from chartwire.store.pool import Pool
from chartwire.trust.outbound import Outbound

ROOT = Path(__file__).parents[3]


@contextmanager
def server(dsn: str, crashpoint: str = "") -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server process and its base URL; ended at the end."""
    command = [sys.executable, "-m", "tests.integration.api.server_process", dsn]
    environment = {**os.environ, "CHARTWIRE_CRASHPOINT": crashpoint}
    with subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process, f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.kill()


async def main(app_dsn: str) -> None:
    services = replace(services_of(Pool(app_dsn, size=4), Outbound()), export_metrics=lambda: b"")
    await serve_api(ServerSettings(port=0), services, asyncio.Event(), lambda port: print(port, flush=True))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
