"""An embedded cluster of its own with a keeper that backs it up, to be killed and brought back."""

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg

from chartwire.app.backup.keeper import Keeper
from chartwire.app.backup.keys import create_keys, read_recovery_key
from chartwire.app.embedded import EmbeddedPostgres
from chartwire.app.knobs import Settings
from chartwire.app.services import master_key
from chartwire.store.migrate import migrate

ROWS = 40


class Clinic:
    """A data directory, its backup and what was committed in it: organisation names in order of commit."""

    def __init__(self) -> None:
        self.parent = Path(tempfile.mkdtemp(prefix="cw-"))
        self.parent.chmod(0o711)
        self.backup = self.parent / "backup"
        settings = Settings(data_dir=self.parent / "data", backup_dir=str(self.backup), backup_synchronous=True)
        self.settings = replace(settings, backup_every_s=3600.0)
        self.server = EmbeddedPostgres(self.settings.data_dir / "postgres")
        self.committed: list[str] = []
        self.positions: list[tuple[str, str]] = []

    def live_and_die(self) -> None:
        """Commit while the backup runs, each commit waiting for it; then kill -9, and the disk is gone."""
        self.settings.data_dir.mkdir(mode=0o711)
        create_keys(self.settings.data_dir, self.parent / "recovery.key")
        self.key = read_recovery_key(self.parent / "recovery.key")
        self.master_key = f"{master_key(self.settings).hex()}\n"
        self.server_key = (self.settings.data_dir / "backup.key").read_text()
        self.server.start()
        asyncio.run(self._live())
        self.server.remove()
        shutil.rmtree(self.settings.data_dir)

    async def _live(self) -> None:
        await migrate(self.server.dsn(), app_password="x", engine_password="y")
        stop, ready = asyncio.Event(), asyncio.Event()
        keeper = Keeper(self.settings, self.server.dsn())
        keeping = asyncio.create_task(keeper.run(stop, ready.set))
        connection = await asyncpg.connect(self.server.dsn())
        try:
            async with asyncio.timeout(30):
                await ready.wait()
                for number in range(ROWS):
                    while number == ROWS // 2 and keeper.state.base is None:
                        await asyncio.sleep(0.01)
                    if number in (ROWS // 4, ROWS * 3 // 4):
                        await connection.execute("select pg_switch_wal()")
                    await self._commit(connection, f"clinic-{number}")
        finally:
            os.kill(self.server.pid or 0, signal.SIGKILL)
            connection.terminate()
            keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeping

    async def _commit(self, connection: Any, name: str) -> None:
        sql = "insert into organisation (org_id, name, kind) values (gen_random_uuid(), $1, 'live')"
        await connection.execute(sql, name)
        self.committed.append(name)
        row = await connection.fetchrow("select pg_current_wal_flush_lsn()::text as lsn, clock_timestamp()::text as at")
        self.positions.append((row["lsn"], row["at"]))

    def rows_in(self, data_dir: Path) -> list[str]:
        """Names of the organisations in a restored data directory."""
        return [row["name"] for row in self.query(data_dir, "select name from organisation order by created_at")]

    def installation_in(self, data_dir: Path) -> tuple[bool, str]:
        """Whether a restored installation may speak, and why (not)."""
        [row] = self.query(data_dir, "select armed, reason from installation")
        return row["armed"], row["reason"]

    def query(self, data_dir: Path, sql: str) -> list[Any]:
        """Rows of a query in a data directory whose server is started for it."""

        async def ask(dsn: str) -> list[Any]:
            connection = await asyncpg.connect(dsn)
            try:
                return list(await connection.fetch(sql))
            finally:
                await connection.close()

        with EmbeddedPostgres(data_dir / "postgres") as server:
            return asyncio.run(ask(server.dsn()))

    def remove(self) -> None:
        """Delete everything."""
        self.server.remove()
        shutil.rmtree(self.parent, ignore_errors=True)
