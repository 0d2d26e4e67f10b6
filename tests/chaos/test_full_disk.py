"""Disks that are full (F4 the log's, F5 the data's) or lie (F6): no AA for what is not stored, nothing answered is lost,
and everything goes on by itself once there is room."""

import asyncio
import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from tests import conftest as root
from tests.chaos.hub import Hub, Server
from tests.chaos.run import Run, limit_s, times
from tests.chaos.test_supervisor import Up, all_there, send_some
from tests.small_disk import fill, small_disk

from chartwire.app.embedded import EmbeddedPostgres
from chartwire.app.placement import place
from chartwire.core.errors import ConflictError

_SETTINGS = {
    "max_connections": "80", "shared_buffers": "16MB", "min_wal_size": "32MB", "max_wal_size": "64MB",
}  # fmt: skip
_FULL_FOR_S = 2.0
Rows = Callable[[str], Awaitable[list[Any]]]


@dataclass(frozen=True, slots=True)
class Disks:
    """A server whose data and log lie on small disks of their own."""

    server: Server
    data: Path
    log: Path

    def ballast(self, which: str) -> Path:
        """The file that fills one of them."""
        return (self.data if which == "data" else self.log) / "ballast"


@pytest.fixture(scope="module")
def parent() -> Iterator[Path]:
    """A place that the server's own user can reach."""
    directory = Path(tempfile.mkdtemp(prefix="chartwire-full-"))
    directory.chmod(0o711)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="module")
def disks(parent: Path) -> Iterator[Disks]:
    """One server for the tests of this file."""
    with small_disk(parent / "data", "320m") as data, small_disk(parent / "log", "128m") as log:
        embedded = EmbeddedPostgres(data / "pg", settings=_SETTINGS)
        embedded.start()
        try:
            embedded.stop()
            placement = place(embedded.data_dir)
            moved = Path(shutil.move(placement.cluster / "pg_wal", log / "pg_wal"))
            for path in (log, moved, *moved.rglob("*")):
                placement.user.own(path)
            (placement.cluster / "pg_wal").symlink_to(moved)
            embedded.start()
            yield Disks(Server(embedded, []), data, log)
        finally:
            embedded.remove()


@pytest.fixture(scope="module")
def databases(disks: Disks) -> root.Server:
    """Where the databases on the small disks are made."""
    return root.Server(disks.server.embedded.dsn(database="postgres"), f"full{os.getpid()}")


@pytest.fixture
def small_database(databases: root.Server) -> Iterator[root.Database]:
    """A migrated database on the small disks."""
    made = databases.create(migrated=True)
    yield made
    databases.drop(made)


@contextlib.asynccontextmanager
async def kept_running(server: Server) -> AsyncIterator[None]:
    """What `chartwire up` does: a server that ended is started again, until it can be."""

    async def keep() -> None:
        while True:
            await asyncio.sleep(0.25)
            if server.embedded.pid is None:
                with contextlib.suppress(ConflictError):
                    await server.start_again()

    keeping = asyncio.create_task(keep())
    try:
        yield
    finally:
        keeping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeping


@pytest.mark.timeout(limit_s(180))
@pytest.mark.parametrize("which", ["log", "data"])
async def test_a_full_disk_of_the_database_loses_nothing_and_is_over_once_there_is_room(
    disks: Disks, small_database: root.Database, tmp_path: Path, seed: int, which: str
) -> None:
    async with Hub(disks.server, small_database, tmp_path) as hub, kept_running(disks.server):
        run = Run(f"the {which}'s disk is full", hub, seed)
        run.add_senders(1, 8)
        await hub.start("listener-0", "worker-0")
        async with run.traffic():
            for _ in range(times(1, 5)):
                await run.acked(30)
                run.faults["disk full"] += 1
                await silence(run, disks.ballast(which))
                disks.ballast(which).unlink()
            await run.acked(30)
        await run.end()


async def silence(run: Run, ballast: Path) -> None:
    """Until nothing was answered for a while. What a checkpoint gives back is taken again."""
    async with asyncio.timeout(60):
        answered = -1
        while answered != run.answered:
            answered = run.answered
            fill(ballast)
            await use_up_the_log(run.hub.rows)
            await asyncio.sleep(_FULL_FOR_S)


async def use_up_the_log(rows: Rows) -> None:
    """Write until the segments that the server has made already are full, or it is no more."""
    with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        for _ in range(40):
            await rows("select pg_logical_emit_message(false, 'filler', repeat('x', 1000000))")


@pytest.mark.timeout(limit_s(120))
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not here: fsync cannot be made to fail")
async def test_an_fsync_that_fails_is_a_crash_and_no_lie(
    durable_server: Server, database: root.Database, tmp_path: Path, seed: int
) -> None:
    async with Hub(durable_server, database, tmp_path) as hub, kept_running(durable_server):
        run = Run("fsync fails", hub, seed)
        run.add_senders(1, 8)
        await hub.start("listener-0", "worker-0")
        async with run.traffic():
            for _ in range(times(1, 5)):
                await run.acked(40)
                await fail_one_fsync(hub)
                run.faults["fsync: EIO"] += 1
            await run.acked(40)
        await run.end()


async def fail_one_fsync(hub: Hub) -> None:
    """The checkpointer's next fsync fails: PostgreSQL panics, since what the disk holds is not known any more."""
    pid = await hub.value("select pid from pg_stat_activity where backend_type = 'checkpointer'")
    command = ["strace", "-qq", "-e", "trace=fsync", "-e", "inject=fsync:error=EIO:when=1", "-p", str(pid)]
    tracing = await asyncio.create_subprocess_exec(*command, stderr=subprocess.PIPE)
    try:
        await asyncio.sleep(0.5)
        if tracing.returncode is not None:
            pytest.skip("no right to trace a process: fsync cannot be made to fail")
        with pytest.raises((asyncpg.PostgresError, OSError)):
            await hub.rows("checkpoint")
    finally:
        with contextlib.suppress(ProcessLookupError):
            tracing.kill()
        await tracing.wait()


@pytest.mark.timeout(limit_s(240))
async def test_an_installation_on_one_disk_that_was_full_goes_on_by_itself(parent: Path, seed: int) -> None:
    """Log, data, our own logs and state: all on the one disk, as on most machines."""
    with small_disk(parent / "all", "500m") as disk:
        up = Up(disk / "data")
        up.data_dir.mkdir(mode=0o711)
        try:
            await up.start()
            sent = await send_some(up, seed)
            fill(disk / "ballast")
            await use_up_the_log(up.rows)
            sending = asyncio.create_task(send_some(up, seed + 1))
            await asyncio.sleep(_FULL_FOR_S)
            fill(disk / "ballast")
            await use_up_the_log(up.rows)
            await asyncio.sleep(_FULL_FOR_S)
            assert not sending.done()
            (disk / "ballast").unlink()
            sent += await asyncio.wait_for(sending, 90)
            await all_there(up, sent)
            print(f"chaos: one full disk, seed {seed}: {len(sent)} acked, 0 lost")
        finally:
            with contextlib.suppress(ProcessLookupError):
                assert await up.stop() == 0
            EmbeddedPostgres(up.data_dir / "postgres").remove()
