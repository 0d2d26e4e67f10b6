"""`chartwire up` killed -9: its children end, and the next `up` goes on with the same data."""

import asyncio
import contextlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from tests.chaos.hub import command
from tests.chaos.population import Population
from tests.chaos.run import limit_s, times
from tests.chaos.senders import Sender, Sent

from chartwire.app.embedded import EmbeddedPostgres

READY_S = 90.0
CHILDREN_END_S = 30.0


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A place that the server's own user can reach. A server that a killed `up` left behind ends with it."""
    directory = Path(tempfile.mkdtemp(prefix="chartwire-up-"))
    directory.chmod(0o711)
    yield directory
    if (directory / "postgres").exists():
        left = EmbeddedPostgres(directory / "postgres")
        left.start()
        left.remove()
    shutil.rmtree(directory, ignore_errors=True)


class Up:
    """One `chartwire up --sandbox` on a data directory."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start; returns when everything answers (sandbox.json is written anew then)."""
        told = self.data_dir / "sandbox.json"
        told.unlink(missing_ok=True)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("CHARTWIRE_")}
        with (self.data_dir / "terminal.log").open("ab") as terminal:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "chartwire.app.cli", "up", "--sandbox", "--data-dir", str(self.data_dir),
                "--port", "0", "--mllp-port", "0", stdout=terminal, stderr=terminal, env=environment,
            )  # fmt: skip
        async with asyncio.timeout(READY_S):
            while not told.exists():
                assert self._process.returncode is None, (self.data_dir / "terminal.log").read_text("utf-8")[-2000:]
                await asyncio.sleep(0.05)

    @property
    def sandbox(self) -> dict[str, Any]:
        """What sandbox.json says."""
        return dict(json.loads((self.data_dir / "sandbox.json").read_text("utf-8")))

    @property
    def children(self) -> list[int]:
        """Process ids of the roles."""
        assert self._process is not None
        return [pid for pid in _children(self._process.pid) if b"chartwire.app.child" in command(pid)]

    async def kill(self) -> None:
        """kill -9 of the supervisor alone."""
        assert self._process is not None
        self._process.kill()
        await self._process.wait()

    async def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self._process is not None
        if self._process.returncode is None:
            self._process.terminate()
        async with asyncio.timeout(90):
            return await self._process.wait()

    async def rows(self, sql: str, *args: object) -> list[Any]:
        """Rows of its database, while it runs."""
        told = json.loads((self.data_dir / "run" / "database.json").read_text("utf-8"))
        connection = await asyncpg.connect(told["admin"])
        try:
            return list(await connection.fetch(sql, *args))
        finally:
            await connection.close()


@pytest.mark.timeout(limit_s(300))
async def test_when_the_supervisor_is_killed_its_children_end_and_the_next_one_goes_on_with_the_data(
    data_dir: Path, seed: int
) -> None:
    up = Up(data_dir)
    sent: list[Sent] = []
    try:
        await up.start()
        for cycle in range(times(1, 20)):
            sent += await send_some(up, seed + cycle)
            children = up.children
            assert len(children) >= 4, "a listener, a worker, the API and the sink"
            await up.kill()
            async with asyncio.timeout(CHILDREN_END_S):
                while any(b"chartwire.app.child" in command(pid) for pid in children):
                    await asyncio.sleep(0.05)
            await up.start()
        await all_there(up, sent)
        sent += await send_some(up, seed + 1000)
        await all_there(up, sent)
        print(f"chaos: supervisor killed, seed {seed}: {len(sent)} acked, 0 lost")
        assert await up.stop() == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            await up.stop()


async def send_some(up: Up, seed: int) -> list[Sent]:
    """Forty messages, each answered."""
    sender = Sender(up.sandbox["mllp_port"], Population(seed).script(), seed, pause_s=0.0)
    stop = asyncio.Event()
    task = asyncio.create_task(sender.run(stop))
    async with asyncio.timeout(60):
        while sum(1 for one in sender.log if one.acks) < 40:
            await asyncio.sleep(0.01)
    stop.set()
    await task
    return [one for one in sender.log if one.acks]


async def all_there(up: Up, sent: list[Sent]) -> None:
    """Until every answered message is processed, once."""
    wanted = sorted(one.message.control_id for one in sent)
    org = UUID(up.sandbox["org_id"])
    sql = (
        "select control_id from message where org_id = $1 and control_id = any($2) and state = 'processed'"
        " order by control_id"
    )
    async with asyncio.timeout(60):
        while [row["control_id"] for row in await up.rows(sql, org, wanted)] != wanted:
            await asyncio.sleep(0.1)
    assert await up.rows("select 1 from message where state = 'dead'") == []


def _children(parent: int) -> list[int]:
    path = Path(f"/proc/{parent}/task/{parent}/children")
    return [int(pid) for pid in path.read_text("utf-8").split()]
