"""What runs out: the disk, database sessions, memory, open files; and processes that end again and again."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from chartwire.app import disk as volumes
from chartwire.app.disk import shown
from chartwire.app.doctor.findings import Found, found
from chartwire.app.doctor.surroundings import Reached, Surroundings
from chartwire.core.limits import MLLP_CONNECTIONS_MAX
from chartwire.store import condition, disk

_DAYS_LEFT_LEAST = 14
_DISK_SHARE_LEAST = 0.05
_MEMORY_SHARE_LEAST = 0.05
_SESSIONS_SHARE_MAX = 0.8
_FILES_LEAST = 2 * MLLP_CONNECTIONS_MAX
_RESTARTS = "chartwire_process_restarts_total"


async def disk_space(around: Surroundings) -> Iterable[Found]:
    """What is left of the volume of the embedded database."""
    free, whole = volumes.volume(around.settings) or (1, 1)
    if free / whole >= _DISK_SHARE_LEAST:
        return ()
    return [found("disk_nearly_full", size=shown(free), percent=round(100 * free / whole))]


async def disk_growth(reached: Reached) -> Iterable[Found]:
    """When it is full, at the growth of the last days."""
    free = volumes.free_bytes(reached.around.settings)
    told = await disk.forecast(reached.shared.pool, [], reached.at.date(), free)
    if told.days_left is None or told.days_left >= _DAYS_LEFT_LEAST:
        return ()
    return [found("disk_soon_full", days=round(told.days_left))]


async def sessions(reached: Reached) -> Iterable[Found]:
    """Sessions of the database server."""
    load = await condition.load(reached.shared.pool)
    if load.sessions < _SESSIONS_SHARE_MAX * load.sessions_max:
        return ()
    return [found("sessions_short", count=load.sessions, limit=load.sessions_max)]


async def memory(around: Surroundings) -> Iterable[Found]:
    """Memory of this machine (Linux; elsewhere nothing is said)."""
    figures = _meminfo()
    available, total = figures.get("MemAvailable", 1), figures.get("MemTotal", 1)
    if available / total >= _MEMORY_SHARE_LEAST:
        return ()
    own = sum(resident_bytes(pid) for pid, _ in around.processes.values())
    percent = round(100 * available / total)
    return [found("memory_short", size=shown(available), percent=percent, own=shown(own))]


async def open_files(around: Surroundings) -> Iterable[Found]:
    """How many sockets the listeners may open."""
    limits = {name: _open_files_max(pid) for name, (pid, _) in around.processes.items() if name.startswith("listener")}
    return (
        found("files_short", process=name, limit=limit)
        for name, limit in limits.items()
        if limit is not None and limit < _FILES_LEAST
    )


async def restarts(around: Surroundings) -> Iterable[Found]:
    """Children that `up` had to start again."""
    metrics = around.processes["up"][1] if "up" in around.processes else []
    values: list[Any] = next((metric["values"] for metric in metrics if metric["name"] == _RESTARTS), [])
    return (found("process_restarts", process=labels[0], count=int(count)) for labels, count in values)


def resident_bytes(pid: int) -> int:
    """Memory that a process holds, 0 where that cannot be told."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError, ValueError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _meminfo() -> dict[str, int]:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return {}
    rows = [line.split() for line in lines]
    return {row[0].rstrip(":"): int(row[1]) * 1024 for row in rows if row[-1] == "kB"}


def _open_files_max(pid: int) -> int | None:
    try:
        lines = Path(f"/proc/{pid}/limits").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    soft = next((line.split()[3] for line in lines if line.startswith("Max open files")), "")
    return int(soft) if soft.isdigit() else None
