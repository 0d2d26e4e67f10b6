"""Which codes a value set has: what `compose` says (R4 ValueSet, section 4.9.6), over systems that are known.

Answers have three values, None where what is known does not decide: a code of a system that nobody has listed here may
or may not exist, and is not said to be right or wrong.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from chartwire.formats.fhir.definitions.codes import Part, ValueSet, code_system, value_set_definition
from chartwire.formats.fhir.definitions.grammars import GRAMMARS, LANGUAGES, subtag

DEPTH_MAX = 12
"""How deep value sets may name each other."""


class Content(Protocol):
    """What is known of single codes."""

    def has(self, system: str, code: str) -> bool | None:
        """Whether the system has the code."""

    def within(self, system: str, code: str, ancestor: str) -> bool | None:
        """Whether `ancestor` subsumes the code; a code does not subsume itself."""

    def property(self, system: str, code: str, name: str) -> tuple[str, ...] | None:
        """The values of a concept's property, () where it has none."""


class PackagedContent:
    """What the packages list, and what a grammar decides."""

    def has(self, system: str, code: str) -> bool | None:
        """True or False for systems listed in full and for grammars, else True or None."""
        if grammar := GRAMMARS.get(system):
            return grammar(code)
        listed = code_system(system)
        if listed is None:
            return None
        return listed.place(code) is not None or (None if listed.content != "complete" else False)

    def within(self, system: str, code: str, ancestor: str) -> bool | None:
        """By the tree of the system; False also where a listed system lacks the code."""
        listed = code_system(system)
        if listed is None:
            return None
        place, above = listed.place(code), listed.place(ancestor)
        if place is None or above is None:
            return False
        return above in listed.ancestors(place)

    def property(self, system: str, code: str, name: str) -> tuple[str, ...] | None:
        """Subtags of languages; nothing else has properties here."""
        if name == "code":
            return (code,)
        part = subtag(code, name) if system == LANGUAGES else None
        return None if part is None else tuple(filter(None, (part,)))


class Evaluator:
    """Decides single codes by some content."""

    def __init__(self, content: Content, sets: Callable[[str], ValueSet | None] = value_set_definition) -> None:
        self._content, self._sets = content, sets

    def contains(self, url: str, system: str, code: str, depth: int = 0) -> bool | None:
        """Whether a value set has a code; `system` is "" where only the code is known. None: cannot be decided."""
        told = self._sets(url) if depth < DEPTH_MAX else None
        return None if told is None else self.holds(told, system, code, depth)

    def holds(self, told: ValueSet, system: str, code: str, depth: int = 0) -> bool | None:
        """As `contains`, of a value set itself."""
        inside = _any(self._matches(part, system, code, depth) for part in told.include)
        outside = _any(self._matches(part, system, code, depth) for part in told.exclude)
        return _all((inside, None if outside is None else not outside))

    def passes(self, part: Part, code: str) -> bool | None:
        """Whether a code that the part's system has passes its filters."""
        return _all(self._passes(part.system, code, *told) for told in part.filters)

    def _matches(self, part: Part, system: str, code: str, depth: int) -> bool | None:
        if system and part.system and part.system != system:
            return False
        own = (self._listed(part, code),) if part.system else ()
        return _all((*own, *(self.contains(url, part.system or system, code, depth + 1) for url in part.sets)))

    def _listed(self, part: Part, code: str) -> bool | None:
        if part.concepts is not None:
            return code in part.concepts
        return _all((self._content.has(part.system, code), self.passes(part, code)))

    def _passes(self, system: str, code: str, name: str, operator: str, value: str) -> bool | None:
        if judge := _HIERARCHY.get(operator):
            return judge(code == value, self._content.within(system, code, value))
        values = self._content.property(system, code, name)
        if values is None or operator not in _COMPARISONS:
            return None
        return _COMPARISONS[operator](values, value)


_HIERARCHY: Mapping[str, Callable[[bool, bool | None], bool | None]] = {
    "is-a": lambda same, below: same or below,
    "descendent-of": lambda same, below: below and not same,
    "is-not-a": lambda same, below: None if below is None else not (same or below),
}
_COMPARISONS: Mapping[str, Callable[[tuple[str, ...], str], bool]] = {
    "=": lambda values, wanted: not _folded(values).isdisjoint(_folded([wanted])),
    "in": lambda values, wanted: not _folded(values).isdisjoint(_folded(wanted.split(","))),
    "not-in": lambda values, wanted: _folded(values).isdisjoint(_folded(wanted.split(","))),
    "exists": lambda values, wanted: bool(values) is (wanted == "true"),
    "regex": lambda values, wanted: any(re.fullmatch(wanted, value) for value in values),
}
"""Values are compared in any case: US Core writes LOINC's scale `Doc` as `DOC`, too. Patterns come from the packages
alone, never from a request."""


def _folded(values: Iterable[str]) -> set[str]:
    return {value.casefold() for value in values}


def _any(answers: Iterable[bool | None]) -> bool | None:
    told = {*answers}
    return True if True in told else None if None in told else False


def _all(answers: Iterable[bool | None]) -> bool | None:
    told = {*answers}
    return False if False in told else None if None in told else True


PACKAGED = Evaluator(PackagedContent())
