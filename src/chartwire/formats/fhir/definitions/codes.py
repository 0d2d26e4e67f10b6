"""Code systems and value sets as the packages list them."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from functools import cache, cached_property

import msgspec

from chartwire.formats.fhir.definitions.packaged import VERSIONS, packaged

Coding = tuple[str, str]
"""System and code."""


class CodeSystem(msgspec.Struct, frozen=True, dict=True):
    """The concepts of one system, by place: parents come before their children.

    `content` is `complete`, or `example` or `fragment` where there may be more codes than these. `displays` are ""
    where they are the code itself. `abstract` concepts group others, `inactive` ones are not to be used any more.
    """

    name: str
    codes: tuple[str, ...]
    displays: tuple[str, ...]
    content: str = "complete"
    version: str = ""
    parents: tuple[int, ...] = ()
    more_parents: tuple[tuple[int, int], ...] = ()
    abstract: frozenset[int] = frozenset()
    inactive: frozenset[int] = frozenset()
    ignores_case: bool = False

    @cached_property
    def places(self) -> Mapping[str, int]:
        """Where each code stands."""
        return {self.folded(code): place for place, code in enumerate(self.codes)}

    def folded(self, code: str) -> str:
        """The form in which codes of this system are compared."""
        return code.casefold() if self.ignores_case else code

    def place(self, code: str) -> int | None:
        """Where the code stands, or None."""
        return self.places.get(self.folded(code))

    def display(self, place: int) -> str:
        """What the concept is called."""
        return self.displays[place] or self.codes[place]

    def above(self, place: int) -> tuple[int, ...]:
        """The places of the concepts one step up."""
        return self._above.get(place, ())

    def children(self, place: int) -> list[int]:
        """The places of the concepts one step down."""
        return [child for child, parents in sorted(self._above.items()) if place in parents]

    @cached_property
    def _above(self) -> Mapping[int, tuple[int, ...]]:
        above = {place: (parent,) for place, parent in enumerate(self.parents) if parent >= 0}
        for child, parent in self.more_parents:
            above[child] = (*above.get(child, ()), parent)
        return above

    def ancestors(self, place: int) -> AbstractSet[int]:
        """The places of all concepts that subsume this one; itself is none of them."""
        found: set[int] = set()
        waiting = [place]
        while waiting:
            new = {*self.above(waiting.pop())} - found
            found |= new
            waiting.extend(new)
        return found

    def below(self, code: str) -> list[str]:
        """The codes that a concept subsumes, itself not among them; none where the system lacks it."""
        place = self.place(code)
        if place is None:
            return []
        return [other for at, other in enumerate(self.codes) if place in self.ancestors(at)]


class Part(msgspec.Struct, frozen=True):
    """One include or exclude: a system (all of it, the `concepts` listed, or those that pass all `filters`), and value
    sets that must contain the code too."""

    system: str = ""
    sets: tuple[str, ...] = ()
    concepts: Mapping[str, str] | None = None
    filters: tuple[tuple[str, str, str], ...] = ()


class ValueSet(msgspec.Struct, frozen=True):
    """What a value set is made of."""

    name: str
    title: str = ""
    include: tuple[Part, ...] = ()
    exclude: tuple[Part, ...] = ()


class Ucum(msgspec.Struct):
    """The atoms of the Unified Code for Units of Measure."""

    prefixes: frozenset[str]
    metric: frozenset[str]
    other: frozenset[str]


class _File(msgspec.Struct):
    systems: dict[str, msgspec.Raw]
    sets: dict[str, msgspec.Raw]
    languages: frozenset[str]
    ucum: Ucum


@cache
def _file() -> _File:
    return packaged("terminology", _File)


def code_system(url: str) -> CodeSystem | None:
    """The system, with or without `|version` (there is one version of each), or None where no package lists it."""
    system = url.partition("|")[0]
    return _code_system(system) if system in _file().systems else None


@cache
def _code_system(url: str) -> CodeSystem:
    return msgspec.json.decode(_file().systems[url], type=CodeSystem)


def value_set_definition(url: str) -> ValueSet | None:
    """The value set that a canonical means; where it has no such version, the one there is."""
    canonical = known_canonical(url)
    return _value_set(canonical) if canonical else None


@cache
def _value_set(canonical: str) -> ValueSet:
    return msgspec.json.decode(_file().sets[canonical], type=ValueSet)


def known_canonical(url: str) -> str:
    """The `url|version` of the value set that a canonical means, "" where there is none."""
    if url in _file().sets:
        return url
    base = url.partition("|")[0]
    preferred = (f"{base}|{version}" for version in VERSIONS)
    return next((one for one in preferred if one in _file().sets), _versions().get(base, ""))


@cache
def _versions() -> Mapping[str, str]:
    return {canonical.partition("|")[0]: canonical for canonical in _file().sets}


def value_sets() -> tuple[str, ...]:
    """The value sets that the packages hold, as `canonical|version`, sorted."""
    return tuple(_file().sets)


def languages() -> frozenset[str]:
    """The two-letter language codes of ISO 639-1."""
    return _file().languages


def ucum() -> Ucum:
    """The atoms of which UCUM units are made."""
    return _file().ucum
