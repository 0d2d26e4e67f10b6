"""What the validator says about a message, and the rules that it says it by (rules.yaml)."""

from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import Final, Literal, NamedTuple

import yaml

from chartwire.formats.hl7v2.validate.dictionary import part_name

Severity = Literal["error", "warning", "information"]
SEVERITIES: Final[tuple[Severity, ...]] = ("error", "warning", "information")
_ALIKE_MAX: Final = 5
_ISSUES_MAX: Final = 1000
_FIELD: Final = 2


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing that is wrong, or worth knowing, about a message. Holds no value of the message.

    `rule` is a stable code of rules.yaml (docs/reference/hl7-validation.md), `location` a path as `chartwire hl7 get`
    reads it (`PID-5.1`, `OBX(3)-5(2).1`) or a segment (`OBX(3)`), `text` says what is wrong and `mend` what to do.
    """

    severity: Severity
    rule: str
    location: str
    text: str
    mend: str


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: how grave it is, and the patterns of what it says."""

    severity: Severity
    what: str
    mend: str


@cache
def rules() -> dict[str, Rule]:
    """Every rule by its code, in the order of rules.yaml."""
    text = (resources.files(__package__) / "rules.yaml").read_text("utf-8")
    return {code: Rule(row["severity"], row["what"], row["mend"]) for code, row in yaml.safe_load(text).items()}


def rule_issue(code: str, location: str, /, **facts: object) -> Issue:
    """The Issue of a rule at a location. `facts` are the places and facts of the standard that the rule speaks of."""
    rule = rules()[code]
    told = {"place": location, **facts}
    return Issue(rule.severity, code, location, rule.what.format_map(told), rule.mend.format_map(told))


class Place(NamedTuple):
    """Where a part of a message stands: a segment (`field` 0), a field, a component or a subcomponent."""

    segment: str
    occurrence: int = 1
    field: int = 0
    repetition: int = 1
    component: int = 0
    sub: int = 0

    def __str__(self) -> str:
        text = _counted(self.segment, self.occurrence)
        if self.field:
            text += _counted(f"-{self.field}", self.repetition)
        return text + "".join(f".{part}" for part in (self.component, self.sub) if part)

    def name(self, kind: str) -> str:
        """What HL7 calls the part; `kind` is the data type around a component."""
        if self.component:
            return part_name(kind, self.sub or self.component)
        return part_name(self.segment, self.field)


def _counted(text: str, number: int) -> str:
    return f"{text}({number})" if number > 1 else text


class Findings:
    """The issues of one message as they are found. Of those that are alike the first few are kept, the rest counted.

    Alike is what breaks the same rule in another occurrence or repetition of the same part. Words are put together
    only for what is kept, so that a hostile message costs little.
    """

    def __init__(self, version: str) -> None:
        self.version = version
        self._issues: list[Issue] = []
        self._alike: dict[tuple[object, ...], list[int]] = {}

    def add(self, code: str, place: Place | str, /, *, kind: str = "", **facts: object) -> None:
        """Tell of a rule that is broken at a place. `kind` is the data type around a component."""
        key = (code, place) if isinstance(place, str) else (code, place.segment, *place[_FIELD::2], place.sub)
        told = self._alike.setdefault(key, [0, 0])
        told[0] += 1
        if told[0] > _ALIKE_MAX or len(self._issues) >= _ISSUES_MAX:
            return
        told[1] = len(self._issues)
        name = "" if isinstance(place, str) else place.name(kind)
        facts = {"version": self.version, "name": name, "segment": str(place)[:3], "type": kind, **facts}
        self._issues.append(rule_issue(code, str(place), **facts))

    def all(self) -> list[Issue]:
        """Every issue in the order in which they were found; the last of many that are alike says how many follow."""
        for count, last in self._alike.values():
            if count > _ALIKE_MAX:
                issue = self._issues[last]
                self._issues[last] = replace(issue, text=f"{issue.text} (and {count - _ALIKE_MAX} more like it)")
        return self._issues
