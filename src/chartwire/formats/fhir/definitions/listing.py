"""The codes of value sets, listed as far as that can be done."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from chartwire.formats.fhir.definitions.codes import (
    Coding,
    Part,
    ValueSet,
    code_system,
    known_canonical,
    value_set_definition,
)
from chartwire.formats.fhir.definitions.membership import DEPTH_MAX, PACKAGED

Listed = tuple[Mapping[Coding, str], bool]
"""Codes with what they are called, and whether there are no others."""


@dataclass(frozen=True, slots=True)
class ValueSetCodes:
    """The codes of a value set that can be listed here, with what each is called ("" where nobody says).

    `complete` says that there are no others; where it is False, ask `contains`.
    """

    displays: Mapping[Coding, str]
    codes: frozenset[Coding]
    complete: bool


class Lister:
    """Lists value sets. `systems` lists those codes of one system that pass the filters of a part."""

    def __init__(
        self, systems: Callable[[Part], Listed], sets: Callable[[str], ValueSet | None] = value_set_definition
    ) -> None:
        self._systems, self._sets = systems, sets
        self._known: dict[str, Listed] = {}

    def codes(self, told: ValueSet, depth: int = 0) -> Listed:
        """What is included less what is excluded. Incomplete, too, where it is not known what is excluded."""
        included, complete = self._all(told.include, depth)
        excluded, known = self._all(told.exclude, depth)
        kept = {coding: display for coding, display in included.items() if coding not in excluded}
        return kept, complete and known

    def _all(self, parts: Sequence[Part], depth: int) -> Listed:
        found: dict[Coding, str] = {}
        complete = True
        for part in parts:
            listed, whole = self._part(part, depth)
            found |= {coding: display for coding, display in listed.items() if display or coding not in found}
            complete = complete and whole
        return found, complete

    def _part(self, part: Part, depth: int) -> Listed:
        """The codes that are in the system's part and in every value set that the part names."""
        members = [self._set(url, depth + 1) for url in part.sets]
        if part.system:
            members.insert(0, self._of_system(part))
        first, *others = members
        shared = {coding: text for coding, text in first[0].items() if all(coding in listed for listed, _ in others)}
        return shared, all(complete for _, complete in members)

    def _set(self, url: str, depth: int) -> Listed:
        if url not in self._known:
            told = self._sets(url) if depth < DEPTH_MAX else None
            self._known[url] = ({}, False) if told is None else self.codes(told, depth)
        return self._known[url]

    def _of_system(self, part: Part) -> Listed:
        if part.concepts is None:
            return self._systems(part)
        return {(part.system, code): text or display(part.system, code) for code, text in part.concepts.items()}, True


def packaged_codes(part: Part) -> Listed:
    """The codes of a system that a package lists, as far as the filters of the part let them pass."""
    listed = code_system(part.system)
    if listed is None:
        return {}, False
    answers = {code: PACKAGED.passes(part, code) for code in listed.codes}
    found = {(part.system, code): display(part.system, code) for code, answer in answers.items() if answer}
    return found, listed.content == "complete" and None not in answers.values()


def display(system: str, code: str) -> str:
    """What the packages call a code, "" where they do not say."""
    listed = code_system(system)
    place = None if listed is None else listed.place(code)
    return "" if listed is None or place is None else listed.display(place)


_PACKAGED = Lister(packaged_codes)


def value_set(url: str) -> ValueSetCodes | None:
    """The codes of a value set of the packages, by canonical with or without version; None where it is unknown."""
    canonical = known_canonical(url)
    return _value_set(canonical) if canonical else None


@cache
def _value_set(canonical: str) -> ValueSetCodes:
    told = value_set_definition(canonical)
    assert told is not None, canonical
    displays, complete = _PACKAGED.codes(told)
    return ValueSetCodes(displays, frozenset(displays), complete)
