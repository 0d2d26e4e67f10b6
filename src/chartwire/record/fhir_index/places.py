"""Who stores what: the alternatives that a type's parameters read, and under which parameter each of them stands.

A value is stored once. Where a parameter reads nothing that others do not read by themselves, it has no rows: an
Observation's `combo-code` is `code` or `component-code`; `patient` is `subject` as far as that begins with `Patient/`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache

from chartwire.formats.fhir.definitions import SearchParameter, common_parameters, search_parameters
from chartwire.record.fhir_index.composites import supported
from chartwire.record.fhir_index.expressions import Chain, alternatives, chain_of
from chartwire.record.fhir_index.keys import key_of

RULES = 1
"""Rises with every change of what rows a resource makes, up to 32,767; workers then index again what older rules did.

With it change the number in `take_unindexed` and `count_unindexed` (store/sql/fhir_index.sql) and, by a migration, in
the index resource_not_indexed.
"""

COMMON = ("_profile", "_security", "_source", "_tag")
_ROWS_OF_KIND: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "token": {"token": ("", "of-type"), "string": ("text",)},
    "reference": {"token": ("", "identifier"), "string": ("text",)},
    "uri": {"token": ("",)},
    "string": {"string": ("", "exact", "contains")},
    "date": {"date": ("",)},
    "number": {"number": ("",)},
    "quantity": {"number": ("",)},
    "composite": {"token": ("",), "string": ("",), "date": ("",), "number": ("",)},
}
_ROOTS = frozenset({"Resource", "DomainResource"})


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
    share = _shares(resource_type).get(code)
    return share.place if share else None


@cache
def keys_of_type(resource_type: str) -> tuple[tuple[str, int], ...]:
    """(table, key) of all rows that a resource of a type can have."""
    return tuple(
        (table, key)
        for code, own in stored(resource_type).items()
        for table, key in keys_of_kind(own[0].kind, resource_type, code)
    )


def keys_of_kind(kind: str, resource_type: str, code: str) -> Iterator[tuple[str, int]]:
    """(table, key) of all rows that a parameter of a kind can have."""
    for table, variants in _ROWS_OF_KIND[kind].items():
        for variant in variants:
            yield table, key_of(resource_type, code, variant)


@cache
def parameters(resource_type: str) -> Mapping[str, SearchParameter]:
    """The parameters of a type that have rows, common ones included, by code."""
    common = {code: told for code, told in common_parameters().items() if code in COMMON}
    own = {code: told for code, told in search_parameters(resource_type).items() if code[0] != "_"}
    return {code: told for code, told in (own | common).items() if told.kind in _ROWS_OF_KIND and told.expression}


@cache
def readings(resource_type: str) -> Mapping[str, tuple[Alternative, ...]]:
    """What each parameter reads, by code; without those that cannot be indexed."""
    found = {code: _alternatives(resource_type, told) for code, told in parameters(resource_type).items()}
    return {code: read for code, read in found.items() if read}


def rooted(resource_type: str, chain: Chain) -> Chain:
    """A chain without the type's name at its beginning."""
    first = chain[0] if chain else None
    return chain[1:] if first and first.kind == "member" and first.word in {resource_type, *_ROOTS} else chain


def stored(resource_type: str) -> Mapping[str, tuple[Alternative, ...]]:
    """What each parameter that has rows of its own stores."""
    return {code: share.own for code, share in _shares(resource_type).items() if share.own}


@dataclass(frozen=True, slots=True)
class _Share:
    """Where a parameter's values stand, and which of them it stores itself."""

    place: Place
    own: tuple[Alternative, ...]


@cache
def _shares(resource_type: str) -> Mapping[str, _Share]:
    """From those that read least to those that read most, so that each finds what others store already."""
    told = readings(resource_type)
    shares: dict[str, _Share] = {}
    for code in sorted(told, key=lambda one: (len(told[one]), _filtered(told[one]), one)):
        shares[code] = _narrowed(told[code], told, shares) or _share(resource_type, code, told, shares)
    return shares


def _filtered(read: tuple[Alternative, ...]) -> bool:
    return any(alternative.target for alternative in read)


def _narrowed(
    read: tuple[Alternative, ...], told: Mapping[str, tuple[Alternative, ...]], shares: Mapping[str, _Share]
) -> _Share | None:
    """The share of a parameter that reads references to one type among those that another reads."""
    whole = (replace(read[0], target=""),)
    holder = next((code for code in shares if told[code] == whole), None)
    if len(read) > 1 or not read[0].target or holder is None:
        return None
    return _Share(replace(shares[holder].place, prefix=f"{read[0].target}/"), ())


def _share(
    resource_type: str, code: str, told: Mapping[str, tuple[Alternative, ...]], shares: Mapping[str, _Share]
) -> _Share:
    read = set(told[code])
    parts = [other for other, share in shares.items() if read.issuperset(told[other]) and not share.place.prefix]
    read.difference_update(*(told[other] for other in parts))
    own = tuple(alternative for alternative in told[code] if alternative in read)
    codes = {stands for other in parts for stands in shares[other].place.codes}
    return _Share(Place(resource_type, tuple(sorted(codes | {code} if own else codes))), own)


def _alternatives(resource_type: str, told: SearchParameter) -> tuple[Alternative, ...]:
    components: list[tuple[str, tuple[Chain, ...]]] = []
    for component in told.components:
        chains = [chain_of(text) for text in alternatives(component.expression)]
        if None in chains:
            return ()
        kind = search_parameters(resource_type)[component.code].kind
        components.append((kind, tuple(chain for chain in chains if chain)))
    if components and not supported([kind for kind, _ in components]):
        return ()
    read = [_alternative(told.kind, text, tuple(components)) for text in alternatives(told.expression)]
    return tuple(dict.fromkeys(read))


def _alternative(kind: str, text: str, components: tuple[tuple[str, tuple[Chain, ...]], ...]) -> Alternative:
    chain = chain_of(text)
    if chain and kind == "reference" and chain[-1].kind == "resolves":
        return Alternative(kind, chain[:-1], "", chain[-1].word)
    return Alternative(kind, chain, "" if chain else text, "", components)
