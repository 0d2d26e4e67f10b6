"""What can be searched by: the parameters of each type from the definitions, and the words of each kind.

The parser and /metadata read the same tables, so that what is listed is what works.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from chartwire.formats.fhir.definitions import SearchParameter, common_parameters, search_parameters, served_types
from chartwire.record.fhir_index import Place, place_of
from chartwire.record.fhir_index.composites import supported as composite_is_indexed
from chartwire.record.fhir_index.expressions import alternatives, chain_of
from chartwire.record.fhir_index.names import trigram_keys
from chartwire.store.fhir_search.conditions import Table

PREFIXES = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")
RESULT_PARAMETERS = frozenset(
    {
        "_elements",
        "_include",
        "_include:iterate",
        "_include:recurse",
        "_revinclude",
        "_revinclude:iterate",
        "_revinclude:recurse",
        "_summary",
    }
)
"""Parameters about what is given back, which are not this room's."""

OF_THE_ROW = ("_id", "_lastUpdated")
"""Parameters that need no index rows."""
OF_THE_TEXT = ("_content", "_text")
"""Parameters that read the resource itself, only among few candidates."""

TABLES: Mapping[str, Table] = {
    "date": "date",
    "number": "number",
    "quantity": "number",
    "reference": "token",
    "string": "string",
    "token": "token",
    "uri": "token",
}
_MODIFIERS: Mapping[str, tuple[str, ...]] = {
    "composite": ("missing",),
    "date": ("missing",),
    "number": ("missing",),
    "quantity": ("missing",),
    "reference": ("identifier", "missing", "text", "type"),
    "string": ("contains", "exact", "missing"),
    "token": ("above", "below", "in", "missing", "not", "not-in", "of-type", "text"),
    "uri": ("above", "below", "missing"),
}
_WITH_PREFIXES = frozenset({"date", "number", "quantity"})


@dataclass(frozen=True, slots=True)
class Parameter:
    """A search parameter of one type, as it can be used here. In `modifiers`, `type` stands for the name of a type."""

    type: str
    told: SearchParameter
    place: Place | None
    modifiers: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()

    @property
    def code(self) -> str:
        """Its name in a search."""
        return self.told.code

    @property
    def kind(self) -> str:
        """`token`, `string` and the other kinds of R4."""
        return self.told.kind

    @property
    def trigrams(self) -> tuple[int, ...]:
        """Under which the trigrams of its values stand, for `:contains`; () for a text that is not name-like."""
        return trigram_keys(self.type, self.code) if self.kind == "string" else ()

    @property
    def targets(self) -> tuple[str, ...]:
        """The types that a reference may lead to, of those that are served; `Resource` is all of them."""
        prefix = self.place.prefix.rstrip("/") if self.place else ""
        if prefix:
            return (prefix,)
        if "Resource" in self.told.targets:
            return served_types()
        return self.told.targets

    def under(self, variant: str = "") -> tuple[int, ...]:
        """Under which its index rows stand, or those of a variant."""
        return self.place.keys(variant) if self.place else ()


@cache
def supported(resource_type: str) -> Mapping[str, Parameter]:
    """All that a type can be searched by, by code. A parameter, modifier or prefix that is not here is refused."""
    told = {**search_parameters(resource_type), **common_parameters()}
    found = (_parameter(resource_type, one) for code, one in sorted(told.items()))
    return {one.code: one for one in found if one is not None}


def _parameter(resource_type: str, told: SearchParameter) -> Parameter | None:
    if told.code in OF_THE_ROW:
        return Parameter(resource_type, told, None, prefixes=PREFIXES if told.kind == "date" else ())
    if told.code in OF_THE_TEXT or (told.kind == "special" and told.code == "near"):
        return Parameter(resource_type, told, None)
    place = place_of(resource_type, told.code)
    if place is None or told.kind not in _MODIFIERS or not _is_indexed(resource_type, told):
        return None
    modifiers = tuple(word for word in _MODIFIERS[told.kind] if word != "of-type" or _identifies(told))
    prefixes = PREFIXES if _ranged(resource_type, told) in _WITH_PREFIXES else ()
    return Parameter(resource_type, told, place, modifiers, prefixes)


def _is_indexed(resource_type: str, told: SearchParameter) -> bool:
    if told.kind != "composite":
        return True
    return composite_is_indexed([part_of(resource_type, told, place).kind for place in range(len(told.components))])


def _ranged(resource_type: str, told: SearchParameter) -> str:
    """The kind whose values may have a prefix: a composite's last part's."""
    return part_of(resource_type, told, -1).kind if told.kind == "composite" else told.kind


def part_of(resource_type: str, told: SearchParameter, place: int) -> SearchParameter:
    """The parameter that says how a part of a composite is read."""
    return search_parameters(resource_type)[told.components[place].code]


def _identifies(told: SearchParameter) -> bool:
    """Whether it reads Identifiers."""
    chains = [chain_of(text) for text in alternatives(told.expression)]
    ends = [chain[-1] for chain in chains if chain]
    return any(end.kind == "member" and end.word.lower().endswith("identifier") for end in ends)
