"""What the validator says about a resource, and the rules that it says it by (rules.yaml)."""

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Final, Literal, NamedTuple, cast

import yaml

Severity = Literal["error", "warning", "information"]
SEVERITIES: Final[tuple[Severity, ...]] = ("error", "warning", "information")
ISSUES_MAX: Final = 500
_GRAVE_WHEN_STRICT: Final = frozenset({"profile-unknown", "profile-version"})
Place = tuple[Any, str, int]
"""Where something stands: (the place around it or None, its name, its index or -1). Words only when it is told of."""


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing that is wrong, or worth knowing, about a resource. Holds no value of the resource.

    `code` is an R4 IssueType, `location` a FHIRPath (`Patient.name[0].given[1]`), `rule` a key of rules.yaml or of an
    invariant (`obs-6`), `text` says what is wrong and how to mend it. `profile` is the profile that asks for it, "" for
    R4 itself.
    """

    severity: Severity
    code: str
    location: str
    rule: str
    text: str
    profile: str = ""


class Rule(NamedTuple):
    """One rule: how grave it is, its IssueType, and the pattern of what it says."""

    severity: Severity
    code: str
    text: str


@cache
def rules() -> dict[str, Rule]:
    """Every rule by its key, in the order of rules.yaml."""
    text = (resources.files(__package__) / "rules.yaml").read_text("utf-8")
    return {key: Rule(*row) for key, row in yaml.safe_load(text).items()}


def location_of(place: Place) -> str:
    """A place as FHIRPath writes it."""
    steps = []
    around: Place | None = place
    while around is not None:
        around, name, index = around
        steps.append(name if index < 0 else f"{name}[{index}]")
    return ".".join(reversed(steps))


class Findings:
    """The issues of one resource as they are found, bounded, so that a hostile resource costs little.

    `of_profile` is the profile that is being checked, "" for R4 itself. `strict` makes an error of what could not be
    checked for want of a profile.
    """

    __slots__ = ("_issues", "_seen", "of_profile", "strict")

    def __init__(self, *, strict: bool = False) -> None:
        self.strict = strict
        self._issues: list[Issue] = []
        self._seen: set[tuple[str, str]] = set()
        self.of_profile = ""

    def add(self, rule: str, place: Place, /, **facts: object) -> None:
        """Tell of a rule that is broken at a place."""
        known = rules()[rule]
        severity: Severity = "error" if self.strict and rule in _GRAVE_WHEN_STRICT else known.severity
        self._keep(severity, known.code, place, rule, known.text, facts)

    def add_invariant(self, key: str, severity: str, human: str, place: Place) -> None:
        """Tell of an invariant of the definitions that does not hold."""
        known = rules()["invariant"]
        self._keep(cast("Severity", severity), known.code, place, key, known.text, {"key": key, "human": human})

    def _keep(
        self, severity: Severity, code: str, place: Place, rule: str, text: str, facts: dict[str, object]
    ) -> None:
        if self.full:
            return
        location = location_of(place)
        if (rule, location) in self._seen:
            return
        if len(self._issues) == ISSUES_MAX:
            code, rule, text, location = (
                "too-costly",
                "too-many-issues",
                rules()["too-many-issues"].text,
                location.partition(".")[0],
            )
            facts = {"maximum": ISSUES_MAX}
        self._seen.add((rule, location))
        told = f"`{location}` {text.format_map(facts)}"
        self._issues.append(Issue(severity, code, location, rule, told, self.of_profile))

    @property
    def full(self) -> bool:
        """Whether nothing more is told."""
        return len(self._issues) > ISSUES_MAX

    def all(self) -> list[Issue]:
        """Every issue in the order in which they were found."""
        return self._issues
