"""One can go back: the last release works on today's schema. All of its tests: make rollback-check."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
RELEASE = (ROOT / "scripts" / "RELEASES").read_text(encoding="utf-8").split()[-1]
HAS_HISTORY = (
    subprocess.run(["git", "cat-file", "-e", RELEASE], cwd=ROOT, capture_output=True, check=False).returncode == 0
)


@pytest.mark.skipif(not HAS_HISTORY, reason="the last release is not in this checkout's history")
def test_the_last_release_carries_messages_on_the_schema_of_today() -> None:
    tests = ["tests/integration/channels/test_effect_modes.py", "tests/integration/api/test_whole_path.py"]
    command = [sys.executable, "scripts/rollback_check.py", *tests]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
