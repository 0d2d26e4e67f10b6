"""`<data-dir>/sandbox.json`: how to reach a running sandbox. Mode 0600, since it holds the sandbox's keys."""

import json
import os
from pathlib import Path
from typing import Any

from chartwire.core.errors import NotFoundError

NAME = "sandbox.json"


def read_sandbox(data_dir: Path) -> dict[str, Any]:
    """What `write_sandbox` wrote. Raises NotFoundError (`no_sandbox`) that says how to start one."""
    path = data_dir / NAME
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise NotFoundError(
            f"no sandbox in {data_dir}: start one with `chartwire up --sandbox`, or name its --data-dir",
            code="no_sandbox",
        ) from None
    return found


def write_sandbox(data_dir: Path, content: dict[str, Any]) -> None:
    """Replace the file, complete or not at all, readable by its owner only."""
    write_private(data_dir / NAME, json.dumps(content, indent=2) + "\n")


def write_private(path: Path, text: str) -> None:
    """Write `text` to a file of mode 0600, complete or not at all."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    fresh.replace(path)
