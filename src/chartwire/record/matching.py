"""How likely two Patient bodies are one person: a score, and a grade that follows the identity rules. Pure.

Identifiers decide (domain-rules.md 3): a match is certain only where a number of the same system agrees and the person
does not disagree. Name, birth date, sex and the rest say what is probable or possible.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from rapidfuzz.distance import JaroWinkler

from chartwire.mapping.conversion import Json
from chartwire.record.identity import folded, overlays

Grade = Literal["certain", "probable", "possible"]

_WEIGHTS: Mapping[str, float] = {
    "birthDate": 0.30,
    "family": 0.25,
    "given": 0.20,
    "telecom": 0.15,
    "gender": 0.05,
    "postalCode": 0.05,
}
"""What agreement counts, where both tell it."""
_PROBABLE = 0.85
_POSSIBLE = 0.5
_TOLD_LEAST = 0.5
"""Weights that must be told by both, before agreement says anything."""
_SAME_NAME = 0.92


@dataclass(frozen=True, slots=True)
class Match:
    """`score` from 0 to 1."""

    score: float
    grade: Grade


def match(wanted: Json, held: Json) -> Match | None:
    """How well a patient of the record fits one that is looked for; None where it hardly does."""
    score = _score(wanted, held)
    if _identifiers(wanted) & _identifiers(held):
        return Match(min(score, _PROBABLE), "possible") if overlays(held, wanted) else Match(1.0, "certain")
    if score >= _PROBABLE and not overlays(held, wanted):
        return Match(score, "probable")
    return Match(score, "possible") if score >= _POSSIBLE else None


def _score(wanted: Json, held: Json) -> float:
    """The weights of what agrees, as a part of those of what both tell."""
    agreements = {name: _agreement(_values(wanted, name), _values(held, name), name) for name in _WEIGHTS}
    told = sum(_WEIGHTS[name] for name, agreed in agreements.items() if agreed is not None)
    agreed = sum(_WEIGHTS[name] * (agreed or 0.0) for name, agreed in agreements.items())
    return agreed / max(told, _TOLD_LEAST)


def _agreement(wanted: set[str], held: set[str], name: str) -> float | None:
    """From 0 to 1; None where one of them tells nothing."""
    if not wanted or not held:
        return None
    if wanted & held:
        return 1.0
    if name not in ("family", "given"):
        return 0.0
    nearest = max(JaroWinkler.similarity(one, other) for one in wanted for other in held)
    return nearest if nearest >= _SAME_NAME else 0.0


def _values(body: Json, name: str) -> set[str]:
    match name:
        case "family" | "given":
            return {folded(word) for told in body.get("name", ()) for word in _words(told.get(name))}
        case "telecom":
            return {_contact(told["value"]) for told in body.get("telecom", ()) if "value" in told}
        case "postalCode":
            return {folded(told["postalCode"]) for told in body.get("address", ()) if "postalCode" in told}
        case _:
            return {body[name]} if name in body else set()


def _words(told: Any) -> Iterable[str]:
    return told if isinstance(told, list) else [told] if told else []


def _contact(value: str) -> str:
    """A phone number as its last nine digits (country and trunk codes vary), an address of mail folded."""
    digits = "".join(letter for letter in value if letter.isdigit())
    return folded(value) if "@" in value else digits[-9:]


def _identifiers(body: Json) -> set[tuple[str, str]]:
    return {(one["system"], one["value"]) for one in body.get("identifier", ()) if "system" in one and "value" in one}
