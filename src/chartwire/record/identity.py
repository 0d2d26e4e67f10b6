"""Whose record is this? Identifiers decide; name, birth date and sex may only object (domain-rules.md 3). Pure."""

import re
import unicodedata
from typing import Any
from uuid import UUID

from rapidfuzz.distance import JaroWinkler

from chartwire.mapping.conversion import Json

DISAGREEMENT_MAX = 4
"""Points of disagreement that an identifier outweighs: a new family name (3) passes, with a new birth date (6) not."""

_PLACEHOLDER_NAMES = re.compile(
    r"\b(baby ?(boy|girl)?|(boy|girl|twin) [ab12]|newborn|infant|(john|jane) doe|unknown|unidentified|test|trauma)\b"
)
_PLACEHOLDER_BIRTH_DATES = frozenset({"1900-01-01", "1901-01-01", "1800-01-01", "9999-12-31"})
_SAME_NAME = 0.88
_LETTERS = re.compile(r"[^a-z]")


class HeldForReviewError(Exception):
    """Nothing was changed, since it is not certain whose record this is. `code` says why."""

    def __init__(self, code: str, resource_type: str, resource_id: UUID | None) -> None:
        super().__init__(code)
        self.code = code
        self.resource_type = resource_type
        self.resource_id = resource_id


def folded(text: str) -> str:
    """Text without case and accents, for comparison and search: `Müller` -> `muller`."""
    if text.isascii():
        return text.casefold().strip()
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter)).casefold().strip()


def disagreement(standing: Json, told: Json) -> int:
    """How much two Patient bodies disagree about who this is. Missing and placeholder values have no say.

    Birth date 3 (1 when only two digits differ), family name 3, given name 2, sex 1, birth order of a multiple birth 5.
    """
    if _is_placeholder(standing) or _is_placeholder(told):
        names = 0
    else:
        names = _name_points(_names(standing, "family"), _names(told, "family"), 3)
        names += _name_points(_names(standing, "given"), _names(told, "given"), 2)
    return names + _birth_date_points(standing, told) + _sex_points(standing, told) + _twin_points(standing, told)


def overlays(standing: Json, told: Json) -> bool:
    """Whether the identifier matches but the person does not: then nothing may change (the overlay guard)."""
    return disagreement(standing, told) > DISAGREEMENT_MAX


def _is_placeholder(body: Json) -> bool:
    spoken = " ".join([*_names(body, "given"), *_names(body, "family")])
    return bool(_PLACEHOLDER_NAMES.search(spoken)) or bool(
        _PLACEHOLDER_NAMES.search(" ".join([*_names(body, "family"), *_names(body, "given")]))
    )


def _names(body: Json, part: str) -> list[str]:
    found: list[str] = []
    for name in body.get("name", ()):
        held: Any = name.get(part)
        if isinstance(held, str):
            found.append(folded(held))
        elif held:
            found.extend(folded(word) for word in held)
    return found


def _name_points(standing: list[str], told: list[str], points: int) -> int:
    if not standing or not told:
        return 0
    return 0 if any(_same_name(one, other) for one in standing for other in told) else points


def _same_name(one: str, other: str) -> bool:
    one, other = _LETTERS.sub("", one) or one, _LETTERS.sub("", other) or other
    if one.startswith(other) or other.startswith(one):
        return True
    return JaroWinkler.similarity(one, other) >= _SAME_NAME


def _birth_date_points(standing: Json, told: Json) -> int:
    one, other = standing.get("birthDate"), told.get("birthDate")
    if not one or not other or {one, other} & _PLACEHOLDER_BIRTH_DATES:
        return 0
    if one.startswith(other) or other.startswith(one):
        return 0
    different = sum(left != right for left, right in zip(one, other, strict=False))
    return 1 if len(one) == len(other) and different <= 2 else 3


def _sex_points(standing: Json, told: Json) -> int:
    known = {"male", "female"}
    one, other = standing.get("gender"), told.get("gender")
    return int(one in known and other in known and one != other)


def _twin_points(standing: Json, told: Json) -> int:
    one, other = standing.get("multipleBirthInteger"), told.get("multipleBirthInteger")
    return 5 if one is not None and other is not None and one != other else 0
