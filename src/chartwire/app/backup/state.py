"""What the backup keeper tells of itself, for `backup list`, doctor and alerts: `<data_dir>/run/backup.json`."""

import contextlib
import json
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from chartwire.app.knobs import Settings
from chartwire.app.sandbox_file import write_private
from chartwire.core.clock import now

_NAME = "backup.json"


@dataclass(slots=True)
class State:
    """What the keeper knows. Times ISO 8601 in UTC, `error` a code and a sentence; None or 0 for not yet."""

    directory: str
    synchronous: bool
    receiving: bool = False
    log_until: str | None = None
    log_at: str | None = None
    log_lag_bytes: int | None = None
    base: str | None = None
    base_at: str | None = None
    base_bytes: int = 0
    error: str | None = None
    error_at: str | None = None


def write_state(settings: Settings, state: State) -> None:
    """Replace the file. Raises OSError."""
    settings.run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(settings.run_dir / _NAME, json.dumps(asdict(state)))


def read_state(settings: Settings) -> dict[str, Any] | None:
    """What the keeper told last, None where none ever ran. Stale when its process is gone: see `told_at`."""
    try:
        told: dict[str, Any] = json.loads((settings.run_dir / _NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return told


def told_at(settings: Settings) -> datetime | None:
    """When the keeper told last; it does so every second while it lives."""
    try:
        return datetime.fromtimestamp((settings.run_dir / _NAME).stat().st_mtime, now().tzinfo)
    except OSError:
        return None


def newest_evidence(settings: Settings) -> datetime | None:
    """When the data was last known to be backed up: a base backup here, or the operator's own by `backup_evidence`."""
    told = read_state(settings)
    times = [datetime.fromisoformat(told["base_at"])] if told and told["base_at"] else []
    if settings.backup_evidence:
        with contextlib.suppress(OSError):
            touched_s = Path(settings.backup_evidence).stat().st_mtime
            times.append(datetime.fromtimestamp(touched_s, now().tzinfo))
    return max(times, default=None)
