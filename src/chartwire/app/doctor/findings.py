"""A finding: what is wrong, why it matters, how to mend it. The words stand in advice.yaml."""

from dataclasses import dataclass
from importlib import resources
from typing import Final, Literal

import msgspec

Severity = Literal["error", "warning", "note"]
Section = Literal["safety", "lags", "stuck", "capacity", "feeds", "expiry"]
SECTIONS: Final[tuple[Section, ...]] = ("safety", "lags", "stuck", "capacity", "feeds", "expiry")
_GRAVEST_FIRST = {"error": 0, "warning": 1, "note": 2}


class Advice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What can be said of one kind of finding; `what`, `why` and `mend` take the facts of a finding by name."""

    section: Section
    severity: Severity
    what: str
    why: str
    mend: str
    page: str
    production: Severity | None = None


ADVICE: Final[dict[str, Advice]] = msgspec.yaml.decode(
    (resources.files("chartwire.app.doctor") / "advice.yaml").read_bytes(), type=dict[str, Advice]
)


@dataclass(frozen=True, slots=True)
class Found:
    """What a check saw: the kind (a name in advice.yaml) and the facts that its words take, none about a patient."""

    code: str
    facts: dict[str, str | int]


def found(code: str, **facts: str | int) -> Found:
    """What a check saw."""
    return Found(code, facts)


@dataclass(frozen=True, slots=True)
class Finding:
    """What is told. `page` is the address of a guide on this installation, without host."""

    section: Section
    severity: Severity
    code: str
    what: str
    why: str
    mend: str
    page: str


def told(saw: Found, *, production: bool) -> Finding:
    """The finding in words, by the stricter severity where `production` asks for it."""
    advice = ADVICE[saw.code]
    severity = advice.production or advice.severity if production else advice.severity
    what, why, mend = (text.format_map(saw.facts) for text in (advice.what, advice.why, advice.mend))
    return Finding(advice.section, severity, saw.code, what, why, mend, f"/docs/guide/{advice.page}")


def in_order(findings: list[Finding]) -> list[Finding]:
    """By section, the gravest first."""
    return sorted(findings, key=lambda one: (SECTIONS.index(one.section), _GRAVEST_FIRST[one.severity]))
