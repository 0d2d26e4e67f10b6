"""A real PostgreSQL for every test that asks: one server a test process, one migrated template, a fresh copy a test.

The embedded server starts at the first use. CHARTWIRE_TEST_DATABASE_URL (a superuser's DSN, PostgreSQL >= 15) runs the
same tests on another server.
"""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit
from uuid import UUID

import asyncpg
import hypothesis
import pytest
import structlog

from chartwire.app.embedded import EmbeddedPostgres
from chartwire.core.ids import uuid7
from chartwire.store.migrate import migrate
from chartwire.store.pool import Pool

hypothesis.settings.register_profile("default", max_examples=100, deadline=None)
hypothesis.settings.register_profile("fuzz", max_examples=10_000, deadline=None)
hypothesis.settings.load_profile("default")

# The default draws every local variable of a traceback: slow, and a flood in a test that breaks things on purpose.
_PLAIN = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
structlog.configure(processors=[structlog.processors.add_log_level, _PLAIN])

_PASSWORDS = {"chartwire_app": "app-of-the-tests", "chartwire_engine": "engine-of-the-tests"}
# Nothing that this server holds is worth a disk's time; chaos tests start durable servers of their own.
_FAST = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "120",
    "shared_buffers": "64MB",
    "min_wal_size": "80MB",
    "max_wal_size": "512MB",
    "autovacuum": "off",
}


@dataclass(frozen=True, slots=True)
class Database:
    """One database, by the DSN of each role: the superuser, chartwire_app and chartwire_engine."""

    name: str
    admin_dsn: str
    app_dsn: str
    engine_dsn: str


class Server:
    """A PostgreSQL server: makes empty databases and migrated ones, and drops them."""

    def __init__(self, admin_dsn: str, prefix: str) -> None:
        self._parts = urlsplit(admin_dsn)
        self._prefix = prefix
        self._count = 0
        self._template: str | None = None

    def create(self, *, migrated: bool) -> Database:
        """A database of its own: empty, or a copy of the template that was migrated once."""
        if migrated and self._template is None:
            template = self._create("template0")
            asyncio.run(
                migrate(
                    template.admin_dsn,
                    app_password=_PASSWORDS["chartwire_app"],
                    engine_password=_PASSWORDS["chartwire_engine"],
                )
            )
            self._template = template.name
        return self._create(self._template if migrated and self._template else "template0")

    def copy(self, database: Database) -> Database:
        """A copy of a database that nobody is connected to."""
        return self._create(database.name)

    def drop(self, database: Database) -> None:
        """Drop a database, whoever is still connected."""
        self._execute(f"drop database {database.name} with (force)")

    def dsn_of(self, database: str, user: str, password: str) -> str:
        """The DSN of a database for any user."""
        netloc = f"{user}:{quote(password)}@{self._parts.netloc.rpartition('@')[2]}"
        return urlunsplit(self._parts._replace(netloc=netloc, path=f"/{database}"))

    def _create(self, template: str) -> Database:
        self._count += 1
        name = f"{self._prefix}_{self._count}"
        self._execute(f"create database {name} template {template} strategy file_copy")
        return Database(name, self._dsn(name), self._dsn(name, "chartwire_app"), self._dsn(name, "chartwire_engine"))

    def _dsn(self, database: str, role: str | None = None) -> str:
        if role is None:
            return urlunsplit(self._parts._replace(path=f"/{database}"))
        return self.dsn_of(database, role, _PASSWORDS[role])

    def _execute(self, sql: str) -> None:
        async def run() -> None:
            connection = await asyncpg.connect(self._dsn("postgres"))
            try:
                await connection.execute(sql)
            finally:
                await connection.close()

        asyncio.run(run())


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """The server of this test process."""
    prefix = f"t{os.getpid()}"
    external = os.environ.get("CHARTWIRE_TEST_DATABASE_URL")
    if external:
        yield Server(external, prefix)
        return
    # Not under pytest's 0700 directories: as root the server runs as another user, which has to reach its cluster.
    directory = Path(tempfile.mkdtemp(prefix="chartwire-tests-"))
    directory.chmod(0o711)
    server = EmbeddedPostgres(directory / "pg", settings=_FAST)
    server.start()
    try:
        yield Server(server.dsn(database="postgres"), prefix)
    finally:
        server.remove()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def database(postgres_server: Server) -> Iterator[Database]:
    """A fresh migrated database."""
    fresh = postgres_server.create(migrated=True)
    yield fresh
    postgres_server.drop(fresh)


@pytest.fixture
def empty_database(postgres_server: Server) -> Iterator[Database]:
    """A fresh database without any table; the roles may exist already."""
    fresh = postgres_server.create(migrated=False)
    yield fresh
    postgres_server.drop(fresh)


@pytest.fixture
async def pool(database: Database) -> AsyncIterator[Pool]:
    """Connections as chartwire_app: what the doors and workers use."""
    fresh = Pool(database.app_dsn, size=8)
    yield fresh
    await fresh.close()


@pytest.fixture
async def engine_pool(database: Database) -> AsyncIterator[Pool]:
    """Connections as chartwire_engine: credentials, routes, lanes and schedules only."""
    fresh = Pool(database.engine_dsn, size=4)
    yield fresh
    await fresh.close()


@pytest.fixture
async def org_id(pool: Pool) -> UUID:
    """A live organisation."""
    return await _create_organisation(pool, "Lindenhof clinic")


@pytest.fixture
async def other_org_id(pool: Pool) -> UUID:
    """Another live organisation, which must never see what belongs to `org_id`."""
    return await _create_organisation(pool, "Harbour practice")


async def _create_organisation(pool: Pool, name: str) -> UUID:
    org = uuid7()
    async with pool.transaction(org) as tx:
        await tx.execute("insert into organisation (org_id, name, kind) values ($1, $2, 'live')", org, name)
        await tx.execute("insert into route (kind, org_id) values ('organisation', $1)", org)
    return org
