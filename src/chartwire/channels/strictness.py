"""How strict a source is: which issues of a message refuse it, hold it for a person, or are only told of.

`Source.strictness` pairs what the validator finds with what happens then. The first of a pair is a rule
(`field_required`), the beginning of rules (`datatype_*`), or a severity (`error`, `warning`, `information`); of several
pairs that fit the last one counts. What no pair names is told of, information is not.

    refuse   before the answer: AE with the place in ERR-2; kept as a dead letter
    hold     accepted and answered; nothing of it enters the record before a person has decided (a case `strictness`)
    warn     in the findings of the message
    ignore   nothing

Pure. Without any pair nothing is validated, and the listener's short way for familiar messages stays open.
"""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import cache
from typing import Final, NamedTuple

from chartwire.core.errors import ParseError
from chartwire.core.source import Source
from chartwire.formats import hl7v2
from chartwire.formats.hl7v2.document import Document
from chartwire.formats.hl7v2.validate import Issue, Validator

UNREADABLE: Final = "unreadable"
"""The rule of a message that is no HL7 v2 document at all."""

Place = tuple[str, str]
_SEVERITIES: Final = {"error": "warn", "warning": "warn", "information": "ignore"}
_PLACES_MAX: Final = 50
# Table HL70357, by the first pattern that fits a rule.
_TABLE_0357: Final = (
    ("segment_*", "100"),
    ("*_required", "101"),
    ("datatype_*", "102"),
    ("value_not_in_table", "103"),
    ("*", "102"),
)


class Objections(NamedTuple):
    """What a source has against a message: the issue that refuses it, places that hold it, places to tell of."""

    refused: Issue | None = None
    held_by: tuple[Place, ...] = ()
    warned_of: tuple[Place, ...] = ()


NO_OBJECTION: Final = Objections()


def judge(document: Document, source: Source) -> Objections:
    """What `source` has against a message."""
    refused: Issue | None = None
    places: dict[str, list[Place]] = {"hold": [], "warn": []}
    for issue in _validator().check(document):
        action = action_on(issue, source.strictness)
        if action == "refuse":
            refused = refused or issue
        elif action in places:
            places[action].append((issue.rule, issue.location))
    return Objections(refused, tuple(places["hold"][:_PLACES_MAX]), tuple(places["warn"][:_PLACES_MAX]))


def refusal(body: bytes, source: Source) -> Issue | None:
    """The first issue for which `source` refuses these bytes; what cannot be read is an error, `unreadable`."""
    try:
        return judge(hl7v2.parse(body, charset=source.charset), source).refused
    except ParseError as error:
        issue = Issue("error", UNREADABLE, error.location, error.message, "")
        return issue if action_on(issue, source.strictness) == "refuse" else None


def action_on(issue: Issue, strictness: Iterable[tuple[str, str]]) -> str:
    """What happens for an issue: refuse, hold, warn or ignore."""
    action = _SEVERITIES[issue.severity]
    for pattern, chosen in strictness:
        if pattern == issue.severity or fnmatchcase(issue.rule, pattern):
            action = chosen
    return action


@cache
def _validator() -> Validator:
    return Validator()


def table_0357(rule: str) -> str:
    """The ERR-3 code (table HL70357) that tells of a broken rule."""
    return next(code for pattern, code in _TABLE_0357 if fnmatchcase(rule, pattern))
