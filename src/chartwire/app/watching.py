"""What alerts watch of this machine: disk, backups, certificates, processes, and whether it may speak.

Keys begin with the machine's name, and each probe covers those of this machine only: several that share a database tell
of theirs side by side.
"""

import platform
from collections import deque
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from chartwire.alerts.observations import Look, Observation, Probe, Seen, Severity
from chartwire.alerts.words import counted, spelled
from chartwire.app.backup.state import newest_evidence, read_state, told_at
from chartwire.app.disk import forecast, volume
from chartwire.app.installation import Gate
from chartwire.app.knobs import Settings
from chartwire.app.listening import http_tls, listener_settings
from chartwire.app.services import Services
from chartwire.app.snapshots import read_snapshots
from chartwire.core.errors import TransientError
from chartwire.trust.certificates import expires_at

_CRITICAL_DAYS: Final = 3.0
_CRITICAL_FREE: Final = 0.05
_KEEPER_SILENT: Final = timedelta(minutes=1)
_RESTARTS_WITHIN: Final = timedelta(minutes=15)
_RESTARTS: Final = {"chartwire_process_restarts_total": "", "chartwire_postgres_restarts_total": "PostgreSQL"}


class Machine:
    """The probes of one machine; `armed` tells whether the installation may speak."""

    def __init__(self, settings: Settings, shared: Services, armed: Gate) -> None:
        self._settings, self._shared, self._armed = settings, shared, armed
        self._name = platform.node() or "machine"
        self._restarts: deque[tuple[datetime, dict[str, float]]] = deque()

    @property
    def probes(self) -> Mapping[str, Probe]:
        """By the kinds of alerts/rules.yaml."""
        return {
            "certificate_expiry": self.certificates,
            "disk_forecast": self.disk_forecast,
            "disk_free": self.disk_free,
            "backup_age": self.backup_age,
            "backup_failed": self.backup_failed,
            "disarmed": self.disarmed,
            "process_restarts": self.restarts,
        }

    async def certificates(self, look: Look) -> Seen:
        """Days until the certificates of our doors end; one that cannot be read has ended."""
        doors = {f"listener {one.name}": one.tls for one in listener_settings(self._settings, shared=False)}
        found = []
        for door, tls in {**doors, "http": http_tls(self._settings)}.items():
            if tls is not None:
                left, text = _left(tls.certificate, look.at)
                text = f"certificate of {door} on {self._name} {text}"
                found.append(self._thing(f"certificate:{door}", left, text, _in_days(left)))
        return self._seen(*found)

    async def disk_forecast(self, _: Look) -> Seen:
        """Days until the volume is full, where it grows."""
        left = (await forecast(self._settings, self._shared.pool, self._shared.engine_pool)).days_left
        if left is None:
            return self._seen()
        text = f"the disk of {self._name} is full in {left:.0f} days as it grows now"
        return self._seen(self._thing("volume", left, text, _in_days(left)))

    async def disk_free(self, _: Look) -> Seen:
        """The share of the volume that is free."""
        try:
            found = volume(self._settings)
        except OSError:
            raise TransientError("the volume of the data cannot be asked", code="volume_away") from None
        if found is None:
            return self._seen()
        share = found[0] / found[1]
        severity: Severity | None = "critical" if share < _CRITICAL_FREE else None
        text = f"{share:.0%} of the disk of {self._name} is free"
        return self._seen(self._thing("volume", share, text, severity))

    async def backup_age(self, look: Look) -> Seen:
        """Seconds since the last backup, where there is or was one."""
        last = newest_evidence(self._settings)
        if last is None:
            return self._seen()
        age_s = (look.at - last).total_seconds()
        return self._seen(self._thing("backup", age_s, f"the newest backup is {spelled(age_s)} old"))

    async def backup_failed(self, look: Look) -> Seen:
        """What the keeper of the setting `backup_dir` says, and whether it says anything."""
        if not self._settings.backup_dir:
            return self._seen()
        reason = self._backup_fault(look.at)
        text = f"the backup fails: {reason}" if reason else "the backup goes on"
        return self._seen(self._thing("backup", float(reason is not None), text))

    async def disarmed(self, _: Look) -> Seen:
        """Whether anything may leave."""
        return Seen([Observation("installation", float(not self._armed()), "this installation is disarmed")])

    async def restarts(self, look: Look) -> Seen:
        """How often processes of this machine were started again, as `up` counts them, since a while ago."""
        now = _restarts(self._settings)
        while len(self._restarts) > 1 and self._restarts[1][0] <= look.at - _RESTARTS_WITHIN:
            self._restarts.popleft()
        self._restarts.append((look.at, now))
        before = self._restarts[0][1]
        found = []
        for name, count in now.items():
            since = count - before.get(name, 0.0) if len(self._restarts) > 1 else 0.0
            text = f"{name} on {self._name} was started again {counted(int(since), 'time')}"
            found.append(self._thing(f"process:{name}", since, text))
        return self._seen(*found)

    def _backup_fault(self, at: datetime) -> str | None:
        told, when = read_state(self._settings), told_at(self._settings)
        if told is None or when is None or at - when > _KEEPER_SILENT:
            return "its keeper is silent"
        if told["error"]:
            return str(told["error"])
        return None if told["receiving"] else "the log is not received"

    def _thing(self, name: str, value: float, text: str, severity: Severity | None = None) -> Observation:
        return Observation(f"{self._name}/{name}", value, text, severity=severity)

    def _seen(self, *things: Observation) -> Seen:
        return Seen(things, covers=f"{self._name}/")


def _left(certificate: Path, at: datetime) -> tuple[float, str]:
    try:
        left = expires_at(certificate) - at
    except (OSError, ValueError):
        return 0.0, "cannot be read"
    return left / timedelta(days=1), f"ends in {spelled(left.total_seconds())}" if left > timedelta() else "has ended"


def _in_days(left: float) -> Severity | None:
    return "critical" if left <= _CRITICAL_DAYS else None


def _restarts(settings: Settings) -> dict[str, float]:
    """What `up` has counted since it began, by the name of what was started again."""
    metrics = next((found for process, found in read_snapshots(settings.run_dir, "") if process == "up"), [])
    return {
        labels[0] if labels else _RESTARTS[metric["name"]]: float(value)
        for metric in metrics
        if metric["name"] in _RESTARTS
        for labels, value in metric["values"]
    }
