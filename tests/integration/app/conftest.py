"""A shell at an installation of its own."""

from pathlib import Path

import pytest
from tests.conftest import Database
from tests.integration.app.shell import Shell


@pytest.fixture
def shell(
    database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Shell:
    monkeypatch.setenv("CHARTWIRE_DATABASE_APP_URL", database.app_dsn)
    monkeypatch.setenv("CHARTWIRE_DATABASE_ENGINE_URL", database.engine_dsn)
    monkeypatch.setenv("CHARTWIRE_DATA_DIR", str(tmp_path / "data"))
    return Shell(capsys)


@pytest.fixture
def org(shell: Shell) -> str:
    """A sandbox: its webhooks and notices may go to this machine."""
    return str(shell("org", "create", "Test clinic", "--kind", "sandbox")["org_id"])
