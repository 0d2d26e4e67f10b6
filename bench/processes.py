"""Processes of a measurement: started as `python -m bench.<module> <role>`, heard by lines of JSON, and what they cost.

CPU is in seconds to the nanosecond, memory in MB, of one process or of a whole PostgreSQL server.
"""

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any


def child(module: str, role: str, *arguments: str) -> "subprocess.Popen[str]":
    """Start one role of a bench module."""
    command = [sys.executable, "-m", module, role, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def heard(process: "subprocess.Popen[str]") -> dict[str, Any]:
    """The next line that a child tells."""
    assert process.stdout is not None
    told: dict[str, Any] = json.loads(process.stdout.readline())
    return told


def tell(**told: Any) -> None:
    """One line for whoever started this child."""
    print(json.dumps(told), flush=True)


def end(*processes: "subprocess.Popen[str]") -> None:
    """SIGTERM to each, and wait."""
    for process in processes:
        process.terminate()
        process.wait(30)


def until_terminated() -> asyncio.Event:
    """Set by SIGTERM, in a child's loop."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    return stop


def cpu_s(*pids: int) -> float:
    """CPU seconds that these processes have used; one that has ended counts nothing."""
    total_ns = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{pid}/task").iterdir():
                total_ns += int((task / "schedstat").read_text().split()[0])
    return total_ns / 1e9


def server_pids(postmaster: int) -> list[int]:
    """The postmaster and the processes that it runs now."""
    with contextlib.suppress(OSError):
        return [postmaster, *map(int, Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split())]
    return [postmaster]


class ServerClock:
    """CPU of a PostgreSQL server over time; what backends used that have ended meanwhile stays counted as last seen."""

    def __init__(self, postmaster: int) -> None:
        self._postmaster = postmaster
        self._seen: dict[int, float] = {}

    def cpu_s(self) -> float:
        """CPU seconds of all its processes since this clock first looked at each."""
        for pid in server_pids(self._postmaster):
            self._seen[pid] = max(self._seen.get(pid, 0.0), cpu_s(pid))
        return sum(self._seen.values())


def rss_mb(pid: int) -> float:
    """Resident memory of a process in MB, code and shared libraries included; 0 when it has ended."""
    return _kilobytes(Path(f"/proc/{pid}/status"), "VmRSS:") / 1024


def server_mb(postmaster: int) -> float:
    """Memory of a PostgreSQL server in MB, each shared page counted once (Pss)."""
    return sum(_kilobytes(Path(f"/proc/{pid}/smaps_rollup"), "Pss:") for pid in server_pids(postmaster)) / 1024


def _kilobytes(path: Path, name: str) -> float:
    with contextlib.suppress(OSError):
        for line in path.read_text().splitlines():
            if line.startswith(name):
                return float(line.split()[1])
    return 0.0


def percentile(values: list[float], share: float) -> float:
    """The value below which `share` (0 to 1) of the values lie; 0 without values."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else 0.0
