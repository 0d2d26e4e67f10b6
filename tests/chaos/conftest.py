"""A durable PostgreSQL for the tests that kill: what root's conftest gives, with fsync on."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import conftest as root
from tests.chaos.hub import Server

from chartwire.app.embedded import EmbeddedPostgres

_SETTINGS = {"max_connections": "80", "shared_buffers": "64MB", "min_wal_size": "80MB", "max_wal_size": "512MB"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test of this folder is a chaos test."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.chaos)


@pytest.fixture(scope="session")
def durable_server() -> Iterator[Server]:
    """One server for all chaos tests: fsync, synchronous commit and full page writes as in production."""
    directory = Path(tempfile.mkdtemp(prefix="chartwire-chaos-"))
    directory.chmod(0o711)
    embedded = EmbeddedPostgres(directory / "pg", settings=_SETTINGS)
    embedded.start()
    try:
        yield Server(embedded, [])
    finally:
        embedded.remove()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server(durable_server: Server) -> root.Server:
    """Where this folder's databases are made."""
    return root.Server(durable_server.embedded.dsn(database="postgres"), f"chaos{os.getpid()}")


@pytest.fixture
def seed() -> int:
    """The seed of a run, printed with its results; CHARTWIRE_CHAOS_SEED repeats one."""
    return int(os.environ.get("CHARTWIRE_CHAOS_SEED") or int.from_bytes(os.urandom(3), "big"))
