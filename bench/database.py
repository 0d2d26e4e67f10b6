"""A durable embedded PostgreSQL for one measurement, with the product's own settings (fsync on)."""

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from bench.processes import cpu_s, server_pids
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

    @property
    def postmaster(self) -> int:
        """Process id of the server."""
        return int((self.data_directory / "postmaster.pid").read_text().split()[0])

    def cpu_s(self) -> float:
        """CPU seconds that the server's present processes used so far."""
        return cpu_s(*server_pids(self.postmaster))


@contextlib.contextmanager
def database(settings: dict[str, str] | None = None) -> Iterator[BenchDatabase]:
    """Start, migrate, and at the end remove. `settings` are laid over the product's, to watch with an extension."""
    directory = Path(tempfile.mkdtemp(prefix="chartwire-bench-"))
    directory.chmod(0o711)
    server = EmbeddedPostgres(directory / "pg", settings=settings)
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
