"""How long data is kept, in days by class of data: what holds without a word said, and the least that may be set."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chartwire.core.errors import ValidationError
from chartwire.core.limits import EVENT_RETENTION_DAYS

_SIX_YEARS_DAYS = 2192


@dataclass(frozen=True, slots=True)
class Term:
    """Days that data of a class is kept, and how few may be set."""

    days: int
    least: int


TERMS = {
    "raw": Term(90, 1),
    "dead_letters": Term(365, 1),
    "messages": Term(400, 1),
    "events": Term(EVENT_RETENTION_DAYS, EVENT_RETENTION_DAYS),
    "deliveries": Term(90, EVENT_RETENTION_DAYS),
    "audit": Term(_SIX_YEARS_DAYS, _SIX_YEARS_DAYS),
    "quarantine": Term(30, 1),
    "contents": Term(30, 1),
}
"""In the order in which they go: bodies before the messages that they belong to."""


def read_terms(words: Sequence[str]) -> dict[str, int]:
    """`raw=30` and the like. Raises ValidationError (`retention`) for unknown classes and terms that are too short."""
    terms: dict[str, int] = {}
    for word in words:
        name, _, days = word.partition("=")
        if name not in TERMS or not (days.isascii() and days.isdigit()):
            raise ValidationError(
                f"retention {word}: a term is CLASS=DAYS with one of {', '.join(TERMS)}", code="retention"
            )
        terms[name] = int(days)
        if terms[name] < TERMS[name].least:
            raise ValidationError(f"retention {name}: at least {TERMS[name].least} days", code="retention")
    return terms


def in_force(installation: Mapping[str, int], own: Mapping[str, int]) -> dict[str, int]:
    """The terms of one organisation: its own, else the installation's, else the defaults.

    Messages are kept as long as their bodies at least.
    """
    terms = {name: own.get(name, installation.get(name, term.days)) for name, term in TERMS.items()}
    terms["messages"] = max(terms["messages"], terms["raw"], terms["dead_letters"])
    return terms
