"""A ValueSet resource as the value set that it describes."""

from typing import Any

import msgspec

from chartwire.core.errors import ValidationError
from chartwire.formats.fhir.definitions.codes import Part, ValueSet

_OPERATORS = frozenset({"is-a", "descendent-of", "is-not-a", "=", "in", "not-in", "exists"})
"""R4's, without regex (a pattern of a client may cost anything) and generalizes."""
_PARTS_MAX = 100
_SETS_OF_A_PART_MAX = 10


class _Concept(msgspec.Struct):
    code: str
    display: str = ""


class _Filter(msgspec.Struct):
    property: str
    op: str
    value: str


class _Part(msgspec.Struct):
    system: str = ""
    concept: list[_Concept] = []
    filter: list[_Filter] = []
    value_set: list[str] = msgspec.field(name="valueSet", default_factory=list)


class _Compose(msgspec.Struct):
    include: list[_Part]
    exclude: list[_Part] = []


class _ValueSet(msgspec.Struct):
    compose: _Compose
    name: str = ""
    title: str = ""


def value_set_of(resource: Any) -> ValueSet:
    """What `compose` says.

    Raises ValidationError (`invalid_value_set`) with the place where that cannot be evaluated: no compose, a part
    without system and value sets, an operator that is not taken.
    """
    try:
        told = msgspec.convert(resource, _ValueSet)
    except msgspec.ValidationError as error:
        raise _invalid(f"the ValueSet cannot be read: {str(error).replace('$.', 'ValueSet.')}") from None
    parts = {"include": told.compose.include, "exclude": told.compose.exclude}
    if any(len(listed) > _PARTS_MAX for listed in parts.values()):
        raise _invalid(f"ValueSet.compose has at most {_PARTS_MAX} parts of a kind")
    include, exclude = (
        tuple(_part(part, f"ValueSet.compose.{side}[{place}]") for place, part in enumerate(listed))
        for side, listed in parts.items()
    )
    return ValueSet(told.name, told.title, include, exclude)


def _part(told: _Part, place: str) -> Part:
    if not told.system and (told.concept or told.filter or not told.value_set):
        raise _invalid(f"{place} names neither a system nor value sets")
    if len(told.value_set) > _SETS_OF_A_PART_MAX:
        raise _invalid(f"{place}.valueSet: at most {_SETS_OF_A_PART_MAX} are taken")
    if told.concept and told.filter:
        raise _invalid(f"{place} has concepts or filters, not both")
    if any(one.op not in _OPERATORS for one in told.filter):
        raise _invalid(f"{place}.filter: an operator is one of {', '.join(sorted(_OPERATORS))}")
    concepts = {one.code: one.display for one in told.concept} if told.concept else None
    filters = tuple((one.property, one.op, one.value) for one in told.filter)
    return Part(told.system.partition("|")[0], tuple(told.value_set), concepts, filters)


def _invalid(message: str) -> ValidationError:
    return ValidationError(message, code="invalid_value_set")
