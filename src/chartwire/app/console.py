"""What commands say: text for people, or one JSON document with `--json`; errors as one sentence."""

import json
import sys
from argparse import Namespace
from typing import Any

from chartwire.core.errors import ChartwireError

OK, PROBLEMS, USAGE = 0, 1, 2


def say(args: Namespace, data: Any, text: str) -> None:
    """Print `data` as JSON when `--json` was given, else `text` (nothing when it is empty)."""
    if getattr(args, "json", False):
        print(json.dumps(data, indent=2, ensure_ascii=False, default=str))
    elif text:
        print(text)


def complain(args: Namespace, code: str, sentence: str) -> None:
    """Tell a failure on standard error; with `--json` also as `{"error": {"code", "message"}}` on standard output."""
    if getattr(args, "json", False):
        print(json.dumps({"error": {"code": code, "message": sentence}}, ensure_ascii=False))
    print(f"chartwire: {sentence}", file=sys.stderr)


def told(error: ChartwireError | OSError) -> tuple[str, str]:
    """Code and sentence of a failure; one of the system names its file."""
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return "system", f"{place}{error.strerror or type(error).__name__}"
    return error.code, error.message


def table(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> str:
    """Rows as aligned text with a head line; a sentence when there are none."""
    if not rows:
        return "none"
    cells = [list(columns)] + [["" if row.get(name) is None else str(row[name]) for name in columns] for row in rows]
    widths = [max(len(line[position]) for line in cells) for position in range(len(columns))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells
    )
