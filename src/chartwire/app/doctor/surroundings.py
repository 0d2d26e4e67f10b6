"""What the checks look at: settings, processes of this machine, and the database where it answers."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from chartwire.alerts.words import spelled
from chartwire.app.knobs import Settings
from chartwire.app.services import DatabaseAddress, Services
from chartwire.channels.sources import Organisation


@dataclass(frozen=True, slots=True)
class Surroundings:
    """`processes` are those of this machine that live: name -> (process id, what it counted)."""

    settings: Settings
    processes: dict[str, tuple[int, list[dict[str, Any]]]]
    at: datetime

    def age(self, moment: datetime) -> str:
        """How long ago a moment was, for people."""
        return spelled((self.at - moment).total_seconds())


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
