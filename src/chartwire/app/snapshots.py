"""What this process counted, left in a file for whoever answers `/metrics`.

Every process replaces its file in the run directory once a second, under another name first, so that a reader sees a
whole one.
"""

import asyncio
import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chartwire.core import telemetry

EVERY_S = 1.0
_SUFFIX = ".metrics.json"


def snapshot() -> list[dict[str, Any]]:
    """What this process counted: one object a metric, values as [label values, number or histogram row]."""
    found = []
    for metric in telemetry.metrics():
        values = [[list(labels), value] for labels, value in list(metric.values.items())]
        row: dict[str, Any] = {"name": metric.name, "kind": type(metric).__name__, "help": metric.help_text}
        row["labels"] = metric.labels
        if isinstance(metric, telemetry.Histogram):
            row["bounds"] = metric.bounds
        found.append(row | {"values": values})
    return found


def write_snapshot(run_dir: Path, process: str) -> None:
    """Replace this process's file; the directory is made when there is none."""
    run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = run_dir / f"{process}{_SUFFIX}"
    fresh = path.with_suffix(f".{os.getpid()}")
    fresh.write_text(json.dumps({"pid": os.getpid(), "process": process, "metrics": snapshot()}), encoding="utf-8")
    fresh.replace(path)


async def keep_writing(run_dir: Path, process: str) -> None:
    """Write this process's file every second until cancelled; a full disk is not a reason to stop working."""
    try:
        while True:
            with contextlib.suppress(OSError):
                write_snapshot(run_dir, process)
            await asyncio.sleep(EVERY_S)
    finally:
        (run_dir / f"{process}{_SUFFIX}").unlink(missing_ok=True)


def read_snapshots(run_dir: Path, own: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """(process, metrics) of every other process that lives; files of dead ones are removed."""
    for process, _, metrics in living(run_dir):
        if process != own:
            yield process, metrics


def living(run_dir: Path) -> Iterator[tuple[str, int, list[dict[str, Any]]]]:
    """(process, its id, metrics) of every process that lives; files of dead ones are removed."""
    for path in sorted(run_dir.glob(f"*{_SUFFIX}")):
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if _lives(found["pid"]):
            yield found["process"], found["pid"], found["metrics"]
        else:
            path.unlink(missing_ok=True)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
