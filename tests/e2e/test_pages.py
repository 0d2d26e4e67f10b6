"""Whoever follows one of these pages word by word sees what it says: every shell block is run."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.harness import Installation, eventually
from tests.e2e.pages import Shell, blocks, fits

# One installation serves the whole module: it runs in one test process.
pytestmark = pytest.mark.xdist_group("pages")

REPOSITORY = Path(__file__).parents[2]
PAGES = ("README.md", "docs/start/quick-start.md", "docs/how-to/use-the-fhir-server.md")


@pytest.fixture(scope="module")
def running() -> Iterator[Installation]:
    installation = Installation()
    installation.data_dir = installation.home / ".chartwire"
    try:
        yield installation.start()
    finally:
        installation.remove()


@pytest.fixture
def shell(running: Installation) -> Iterator[Shell]:
    """A second terminal: in the directory of the sandbox, with `chartwire` on the path, and no settings of its own."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CHARTWIRE_")}
    opened = Shell(running.home, environment | {"PATH": path})
    yield opened
    opened.close()


def _quiet(running: Installation) -> bool:
    """Whether all that was sent is worked and told: a person's pause between two commands."""
    status, body = running.get("/health/ready")
    assert status == 200, body
    waits = json.loads(body)["checks"]["lag"]["oldest_waiting_s"] > 0
    return not waits and not running.listed("/api/v1/webhooks/deliveries?state=pending,retrying")


def _makes(commands: str) -> None:
    """What the first terminal runs are targets of the Makefile; `make run` starts what the harness has started."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    for line in commands.splitlines():
        command, target = shlex.split(line, comments=True)
        done = subprocess.run(
            [command, "--dry-run", target], cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=True
        )
        assert target != "run" or "chartwire up --sandbox" in done.stdout


@pytest.mark.parametrize("page", PAGES)
def test_every_shell_block_does_what_its_page_says(page: str, running: Installation, shell: Shell) -> None:
    found = blocks((REPOSITORY / page).read_text(encoding="utf-8"))
    assert found
    for block in found:
        if "first-terminal" in block.words:
            _makes(block.commands)
            continue
        printed, failed = shell.run(block.commands)
        place = f"{page}:{block.line}:\n{block.commands}\n{printed}"
        assert bool(failed) == ("fails" in block.words), f"{failed or 'nothing'} failed at {place}"
        assert block.printed is None or fits(printed, block.printed), place
        eventually(lambda: _quiet(running))
