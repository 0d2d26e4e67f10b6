"""Invariants of hot types by hand: a third of the time that FHIRPath takes. A test compares each with its expression.

Like the expressions they break nothing where what they ask of is not there or of another kind: other checks tell that.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from chartwire.formats.fhir.validate.run import Json

Holds = Callable[[Json], bool]
"""Whether an invariant holds for the object that it stands on."""
_DATE_CHARACTERS: Final = 10
VALUES: Final = ("value", "_value")
"""How the members of `value[x]` begin."""
_WITH_ANSWERS: Final = frozenset(
    {"choice", "open-choice", "decimal", "integer", "date", "dateTime", "time", "string", "quantity"}
)
_WITH_LENGTH: Final = frozenset({"boolean", "decimal", "integer", "string", "text", "url", "open-choice"})


def _has(held: Json, name: str) -> bool:
    return name in held or f"_{name}" in held


def _in_order(period: Json) -> bool:
    """Whether a Period may be in order (per-1): dates of different precision are compared as far as both go."""
    start, end = period.get("start"), period.get("end")
    if type(start) is not str or type(end) is not str or (start <= end and len(start) == len(end)):
        return True
    if "T" in start and "T" in end:
        try:
            return datetime.fromisoformat(start) <= datetime.fromisoformat(end)
        except (ValueError, TypeError):
            return True
    known = min(len(start), len(end), _DATE_CHARACTERS)
    return start[:known] <= end[:known]


def _value_told_once(observation: Json) -> bool:
    """obs-7: no component has the code of an Observation that has a value itself."""
    parts = observation.get("component")
    if type(parts) is not list or not any(name.startswith(VALUES) for name in observation):
        return True
    codings = _codings(observation)
    return all(codings.isdisjoint(_codings(part)) for part in parts if type(part) is dict)


def _displays(item: Json) -> bool:
    return item.get("type") == "display"


def _type_within(item: Json, types: frozenset[str]) -> bool:
    """Whether an item's type is one of these; one that has none breaks nothing."""
    told = item.get("type")
    return type(told) is not str or told in types


def _codings(held: Json) -> set[str]:
    """The codings of `code`, in a form in which equal ones are equal text."""
    code = held.get("code")
    codings = code.get("coding") if type(code) is dict else None
    return {repr(sorted(one.items())) for one in codings if type(one) is dict} if type(codings) is list else set()


BY_HAND: Final[Mapping[str, Holds]] = {
    "per-1": _in_order,
    "cpt-2": lambda held: not _has(held, "value") or _has(held, "system"),
    "qty-3": lambda held: not _has(held, "code") or _has(held, "system"),
    "att-1": lambda held: not _has(held, "data") or _has(held, "contentType"),
    "sqty-1": lambda held: not _has(held, "comparator"),
    "obs-6": lambda held: "dataAbsentReason" not in held or not any(name.startswith(VALUES) for name in held),
    "obs-7": _value_told_once,
    "que-1": lambda held: ("item" in held) if held.get("type") == "group" else not (_displays(held) and "item" in held),
    "que-3": lambda held: not (_displays(held) and "code" in held),
    "que-5": lambda held: (
        _type_within(held, _WITH_ANSWERS) or not ("answerOption" in held or _has(held, "answerValueSet"))
    ),
    "que-6": lambda held: not (_displays(held) and (_has(held, "required") or _has(held, "repeats"))),
    "que-8": lambda held: "initial" not in held or held.get("type") not in ("group", "display"),
    "que-9": lambda held: not (_displays(held) and _has(held, "readOnly")),
    "que-10": lambda held: _type_within(held, _WITH_LENGTH) or not _has(held, "maxLength"),
    "qrs-1": lambda held: not ("answer" in held and "item" in held),
    "bdl-5": lambda held: any(name in held for name in ("resource", "request", "response")),
    "bdl-8": lambda held: "/_history/" not in str(held.get("fullUrl")),
    "pat-1": lambda held: any(name in held for name in ("name", "telecom", "address", "organization")),
}
"""By key, for the object that the invariant stands on. A test holds each to the expression in the definitions."""
