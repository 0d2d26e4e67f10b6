"""The kinds of things that can be watched: rules.yaml as data."""

from importlib import resources
from typing import Final, Literal

import msgspec

from chartwire.alerts.observations import Severity
from chartwire.alerts.states import Pace


class Kind(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One kind, and the rule that watches it by default. `threshold` is in the unit that `measures` names; `page`
    of docs/ says what to do. It is looked at in every round, or `every_s` seconds where a look costs more."""

    of: Literal["organisation", "installation"]
    watches: str
    measures: str
    bad: Literal["above", "below"]
    threshold: float
    severity: Severity = "warning"
    for_s: float = 0.0
    clear_s: float = 0.0
    every_s: float = 0.0
    enabled: bool = True
    page: str | None = None

    @property
    def pace(self) -> Pace:
        """How its default rule burns."""
        return Pace(self.for_s, self.clear_s)


KINDS: Final[dict[str, Kind]] = msgspec.yaml.decode(
    (resources.files("chartwire.alerts") / "rules.yaml").read_bytes(), type=dict[str, Kind]
)
