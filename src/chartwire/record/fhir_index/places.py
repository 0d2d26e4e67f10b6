"""Who stores what: the alternatives that a type's parameters read, and under which parameter each of them stands.

A value is stored once. Where a parameter reads nothing that others do not read by themselves, it has no rows: Observation
`combo-code` is `code` or `component-code`; `patient` is `subject` as far as that begins with `Patient/`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache

from chartwire.formats.fhir.definitions import SearchParameter, common_parameters, search_parameters
from chartwire.record.fhir_index.expressions import Chain, alternatives, chain_of
from chartwire.record.fhir_index.keys import key_of

RULES = 1
"""Rises with every change of what rows a resource makes; `chartwire fhir reindex` brings all to the present one."""

COMMON = ("_profile", "_security", "_source", "_tag")
VARIANTS = ("", "exact", "text", "contains", "identifier", "of-type")
_KINDS = frozenset({"composite", "date", "number", "quantity", "reference", "string", "token", "uri"})


@dataclass(frozen=True, slots=True)
class Alternative:
    """One thing that a parameter reads: a chain (or, where it is none, FHIRPath text) and what its values are read as.

    `target` is the only resource type of references that count. `components` are (kind, chains) of a composite.
    """

    kind: str
    chain: Chain | None
    text: str
    target: str = ""
    components: tuple[tuple[str, tuple[Chain, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """Where the values of a parameter stand: under `codes` of the type; those that begin with `prefix`, where given."""

    type: str
    codes: tuple[str, ...]
    prefix: str = ""

    def keys(self, variant: str = "") -> tuple[int, ...]:
        """Keys of the index rows, or of those of a variant."""
        return tuple(key_of(self.type, code, variant) for code in self.codes)


def place_of(resource_type: str, code: str) -> Place | None:
    """Where the values of a parameter stand; None for a parameter without rows (`_id`, `_text`, or unknown)."""
    return _places(resource_type).get(code)


@cache
def keys_of_type(resource_type: str) -> tuple[int, ...]:
    """All keys under which a resource of a type can have rows, variants included."""
    return tuple(key_of(resource_type, code, variant) for code in parameters(resource_type) for variant in VARIANTS)


@cache
def parameters(resource_type: str) -> Mapping[str, SearchParameter]:
    """The parameters of a type that have rows, common ones included, by code."""
    common = {code: told for code, told in common_parameters().items() if code in COMMON}
    own = {code: told for code, told in search_parameters(resource_type).items() if code[0] != "_"}
    return {code: told for code, told in (own | common).items() if told.kind in _KINDS and told.expression}


@cache
def stored(resource_type: str) -> Mapping[str, tuple[Alternative, ...]]:
    """What each parameter that has rows of its own stores."""
    return {
        code: tuple(alternative for alternative in read if _sole(resource_type).get(alternative, code) == code)
        for code, read in _readings(resource_type).items()
        if code in _places(resource_type)[code].codes
    }


@cache
def _readings(resource_type: str) -> Mapping[str, tuple[Alternative, ...]]:
    found = {code: _alternatives(resource_type, told) for code, told in parameters(resource_type).items()}
    return {code: read for code, read in found.items() if read}


@cache
def _sole(resource_type: str) -> Mapping[Alternative, str]:
    """Which parameter reads an alternative and nothing else; the first by name where several do."""
    found: dict[Alternative, str] = {}
    for code, read in _readings(resource_type).items():
        if len(read) == 1:
            found.setdefault(read[0], code)
    return found


@cache
def _places(resource_type: str) -> Mapping[str, Place]:
    sole = _sole(resource_type)
    same: dict[frozenset[Alternative], str] = {}
    places: dict[str, Place] = {}
    for code, read in _readings(resource_type).items():
        whole = replace(read[0], target="")
        if len(read) == 1 and read[0].target and whole in sole:
            places[code] = Place(resource_type, (sole[whole],), f"{read[0].target}/")
            continue
        holder = same.setdefault(frozenset(read), code)
        places[code] = Place(resource_type, tuple(sorted({sole.get(alternative, holder) for alternative in read})))
    return places


def _alternatives(resource_type: str, told: SearchParameter) -> tuple[Alternative, ...]:
    components: list[tuple[str, tuple[Chain, ...]]] = []
    for component in told.components:
        chains = [chain_of(text) for text in alternatives(component.expression)]
        if None in chains:
            return ()
        kind = search_parameters(resource_type)[component.code].kind
        components.append((kind, tuple(chain for chain in chains if chain)))
    read = [_alternative(told.kind, text, tuple(components)) for text in alternatives(told.expression)]
    return tuple(dict.fromkeys(read))


def _alternative(kind: str, text: str, components: tuple[tuple[str, tuple[Chain, ...]], ...]) -> Alternative:
    chain = chain_of(text)
    if chain and kind == "reference" and chain[-1].kind == "resolves":
        return Alternative(kind, chain[:-1], "", chain[-1].word)
    return Alternative(kind, chain, "" if chain else text, "", components)
