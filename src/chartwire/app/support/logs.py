"""Logs as they may leave: every line is read and written anew, and what is not known by its form is left out.

Our own lines are JSON with keys of a list (app/logging.py); they pass through the same list again, so that a line that
something else wrote into the file does not come along. Of PostgreSQL's lines those of levels that speak of the server
stay, quoted parts blanked, and none that quotes a statement.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson

from chartwire.app.logging import only_known_keys

TAIL_BYTES_MAX = 2 * 1024 * 1024
_SERVER_LINE = re.compile(r"(?P<at>[\d-]+ [\d:.]+ \w+) \[(?P<pid>\d+)\] (?P<level>LOG|FATAL|PANIC): +(?P<text>.+)")
_QUOTING = ("statement:", "execute ", "duration:", "parse ", "bind ", "parameters:", "could not send", "unexpected")
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'|\([^)]*=[^)]*\)")


def own_log(path: Path) -> bytes:
    """The last lines of a log of ours. Raises OSError."""
    return _kept(path, _own_line)


def server_log(path: Path) -> bytes:
    """The last lines of PostgreSQL's log. Raises OSError."""
    return _kept(path, _server_line)


def _kept(path: Path, cleaned: Callable[[str], str | None]) -> bytes:
    lines = [cleaned(line) for line in _last_lines(path)]
    kept = [line for line in lines if line is not None]
    left_out = len(lines) - len(kept)
    return "\n".join([*kept, f"lines left out: {left_out}", ""]).encode()


def _last_lines(path: Path) -> Iterator[str]:
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - TAIL_BYTES_MAX))
        lines = file.read(TAIL_BYTES_MAX).decode("utf-8", "replace").splitlines()
    yield from lines[1:] if size > TAIL_BYTES_MAX else lines


def _own_line(line: str) -> str | None:
    try:
        told = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(told, dict) or not isinstance(told.get("event"), str):
        return None
    told.pop("refused_keys", None)
    return orjson.dumps(only_known_keys(None, "", told)).decode()


def _server_line(line: str) -> str | None:
    match = _SERVER_LINE.fullmatch(line)
    if match is None or match["text"].startswith(_QUOTING):
        return None
    return f"{match['at']} [{match['pid']}] {match['level']}: {_QUOTED.sub('...', match['text'])}"
