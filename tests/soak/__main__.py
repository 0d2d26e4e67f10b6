"""The soak: all faults at once until so many messages are answered, then every invariant.

python -m tests.soak --messages 1000000        hours; a page of results at the end
python -m tests.soak --messages 5000 --seed 7  a try-out
"""

import argparse
import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

from tests.chaos.hub import Hub, Server
from tests.chaos.run import Run
from tests.conftest import Server as Databases
from tests.soak.faults import FAULTS, memory_mb

from chartwire.app.embedded import EmbeddedPostgres

_MEMORY_MB_MAX = 400.0


async def soak(server: Server, directory: Path, messages: int, seed: int) -> None:
    """One run. Raises AssertionError that names every broken promise."""
    databases = Databases(server.embedded.dsn(database="postgres"), "soak")
    database = await asyncio.to_thread(databases.create, migrated=True)
    async with Hub(server, database, directory, intake_lease_s=5.0) as hub:
        run = Run("soak, all faults at once", hub, seed)
        run.add_senders(1, 1, 1, 1, 8, 8, 64, pause_s=0.03)
        run.add_caller()
        await hub.start("listener-0", "worker-0", "worker-1", "api-0")
        peak_mb = 0.0
        async with run.traffic():
            while run.answered < messages:
                await run.acked(run.random.randint(20, 400), within_s=300)
                peak_mb = max(peak_mb, *(memory_mb(process.pid) for process in hub.processes.values()))
                await run.random.choice(FAULTS)(run)
            await run.acked(100, within_s=300)
        await run.end()
        print(f"largest process {peak_mb:.0f} MB")
        assert peak_mb <= _MEMORY_MB_MAX, f"I13 a process held {peak_mb:.0f} MB"


def main() -> int:
    """Run; 0 when every invariant holds."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak")
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="chartwire-soak-"))
    directory.chmod(0o711)
    embedded = EmbeddedPostgres(directory / "pg")
    embedded.start()
    try:
        asyncio.run(soak(Server(embedded, []), directory, args.messages, args.seed))
    except AssertionError as broken:
        print(broken)
        return 1
    finally:
        embedded.remove()
        shutil.rmtree(directory, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
