"""What the validator says about a message, and the rules that it says it by (rules.yaml)."""

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final, Literal

import yaml

Severity = Literal["error", "warning", "information"]
SEVERITIES: Final[tuple[Severity, ...]] = ("error", "warning", "information")
_ALIKE_MAX: Final = 5
_ISSUES_MAX: Final = 1000


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


class Findings:
    """The issues of one message as they are found. Of those that are alike the first few are kept, the rest counted."""

    def __init__(self, version: str) -> None:
        self.version = version
        self._issues: list[Issue] = []
        self._alike: dict[tuple[str, str], list[int]] = {}

    def add(self, code: str, location: str, /, *, alike: str = "", **facts: object) -> None:
        """Tell of a rule that is broken at a location. `alike` names what is the same fault elsewhere."""
        key = (code, alike or location)
        told = self._alike.setdefault(key, [0, 0])
        told[0] += 1
        if told[0] > _ALIKE_MAX or len(self._issues) >= _ISSUES_MAX:
            return
        told[1] = len(self._issues)
        self._issues.append(rule_issue(code, location, version=self.version, **facts))

    def all(self) -> list[Issue]:
        """Every issue in the order in which they were found; the last of many that are alike says how many follow."""
        for count, last in self._alike.values():
            if count > _ALIKE_MAX:
                issue = self._issues[last]
                text = f"{issue.text} (and {count - _ALIKE_MAX} more like it)"
                self._issues[last] = Issue(issue.severity, issue.rule, issue.location, text, issue.mend)
        return self._issues
