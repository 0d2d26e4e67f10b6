"""What the checks look at: settings, processes of this machine, and the database where it answers."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from chartwire.app.knobs import Settings
from chartwire.app.services import DatabaseAddress, Services
from chartwire.channels.sources import Organisation

_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Surroundings:
    """`processes` are those of this machine that live: name -> (process id, what it counted)."""

    settings: Settings
    processes: dict[str, tuple[int, list[dict[str, Any]]]]
    at: datetime


@dataclass(frozen=True, slots=True)
class Reached:
    """The database, for checks that need it. `organisations` without the installation's own."""

    around: Surroundings
    shared: Services
    address: DatabaseAddress
    organisations: tuple[Organisation, ...]

    @property
    def at(self) -> datetime:
        """When the examination began."""
        return self.around.at


def aged(span: timedelta) -> str:
    """A span of time for people: `40 s`, `12 min`, `3 h`, `5 days`."""
    seconds = round(span.total_seconds())
    for unit, size in (("days", _DAY_S), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
