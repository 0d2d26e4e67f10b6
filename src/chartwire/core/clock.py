"""Time in one place, so that tests can hold it. All instants are UTC and aware."""

import time
from datetime import UTC, datetime


def now() -> datetime:
    """The present instant, UTC."""
    return datetime.now(UTC)


def now_ms() -> int:
    """Milliseconds since the epoch, UTC."""
    return time.time_ns() // 1_000_000


def monotonic() -> float:
    """Seconds on a clock that never goes back; for durations. (uvloop's loop.time() has steps of 1 ms.)"""
    return time.perf_counter()


def instant(moment: datetime) -> str:
    """FHIR `instant` in UTC with milliseconds: 2026-11-20T08:15:30.123Z."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
