"""A durable embedded PostgreSQL for one measurement, with the product's own settings (fsync on)."""

import asyncio
import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from chartwire.app.embedded import EmbeddedPostgres
from chartwire.store.migrate import migrate
from chartwire.store.pool import Pool

_PASSWORDS = {"chartwire_app": "app-of-the-bench", "chartwire_engine": "engine-of-the-bench"}


@dataclass(frozen=True, slots=True)
class BenchDatabase:
    """DSNs of a migrated database, and the pid of its server for its CPU time."""

    admin: str
    app: str
    engine: str
    data_directory: Path

    def cpu_s(self) -> float:
        """CPU seconds that the server's processes used so far."""
        postmaster = int((self.data_directory / "postmaster.pid").read_text().split()[0])
        return sum(_cpu_s(pid) for pid in [postmaster, *_children(postmaster)])


@contextlib.contextmanager
def database() -> Iterator[BenchDatabase]:
    """Start, migrate, and at the end remove."""
    directory = Path(tempfile.mkdtemp(prefix="chartwire-bench-"))
    directory.chmod(0o711)
    server = EmbeddedPostgres(directory / "pg")
    server.start()
    try:
        admin = server.dsn(database="postgres")
        app, engine = _PASSWORDS.values()
        asyncio.run(migrate(admin, app_password=app, engine_password=engine))
        dsns = {role: _as_role(admin, role) for role in _PASSWORDS}
        yield BenchDatabase(admin, dsns["chartwire_app"], dsns["chartwire_engine"], asyncio.run(_data_directory(admin)))
    finally:
        server.remove()
        shutil.rmtree(directory, ignore_errors=True)


def _as_role(admin: str, role: str) -> str:
    parts = urlsplit(admin)
    return urlunsplit(parts._replace(netloc=f"{role}:{_PASSWORDS[role]}@{parts.netloc.rpartition('@')[2]}"))


async def _data_directory(admin: str) -> Path:
    pool = Pool(admin, size=1)
    try:
        async with pool.connection() as connection:
            return Path(str(await connection.fetchval("show data_directory")))
    finally:
        await pool.close()


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _cpu_s(pid: int) -> float:
    with contextlib.suppress(FileNotFoundError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    return 0.0
