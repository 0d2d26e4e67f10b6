"""What validation and search ask of codes: one protocol, and the answers that need nothing but package data.

Systems that an operator has loaded (`chartwire terminology load`) answer through another Terminology, made for the
codes of one request (record/terminology.py).
"""

from collections.abc import Set as AbstractSet
from functools import lru_cache
from typing import Protocol

from chartwire.formats.fhir.definitions import CodeSystem, code_system, value_set
from chartwire.formats.fhir.definitions.codes import Coding
from chartwire.formats.fhir.definitions.membership import PACKAGED

_REMEMBERED_CHARACTERS_MAX = 200
"""Of a system and a code: what is longer is none that comes twice, and is not kept."""


class Terminology(Protocol):
    """Answers with three values: None where it cannot be decided here, which is never to be told as "ok"."""

    def contains(self, value_set_url: str, system: str | None, code: str) -> bool | None:
        """Whether a value set has a code. `system` is None or "" for elements of type code, which have none."""

    def descendants(self, system: str, code: str) -> AbstractSet[str] | None:
        """The codes that a concept subsumes, itself among them; None where the system is not known in full."""

    def ancestors(self, system: str, code: str) -> AbstractSet[str] | None:
        """The codes of all concepts that subsume one, itself among them; None as for descendants."""

    def codes_of(self, value_set_url: str) -> AbstractSet[Coding] | None:
        """All (system, code) of a value set; None where they cannot be listed in full."""


class PackagedTerminology:
    """R4, HL7's own code systems as R4 has them, US Core; units, languages and media types by their grammar."""

    def contains(self, value_set_url: str, system: str | None, code: str) -> bool | None:
        """See Terminology."""
        system = system or ""
        decide = _contains if len(system) + len(code) <= _REMEMBERED_CHARACTERS_MAX else PACKAGED.contains
        return decide(value_set_url, system, code)

    def descendants(self, system: str, code: str) -> AbstractSet[str] | None:
        """See Terminology."""
        listed = _in_full(system)
        return None if listed is None else {code, *listed.below(code)}

    def ancestors(self, system: str, code: str) -> AbstractSet[str] | None:
        """See Terminology."""
        listed = _in_full(system)
        if listed is None:
            return None
        place = listed.place(code)
        return {code, *(listed.codes[above] for above in ([] if place is None else listed.ancestors(place)))}

    def codes_of(self, value_set_url: str) -> AbstractSet[Coding] | None:
        """See Terminology."""
        listed = value_set(value_set_url)
        return listed.codes if listed and listed.complete else None


def _in_full(system: str) -> CodeSystem | None:
    listed = code_system(system)
    return listed if listed is not None and listed.content == "complete" else None


@lru_cache(maxsize=16_384)
def _contains(url: str, system: str, code: str) -> bool | None:
    return PACKAGED.contains(url, system, code)


TERMINOLOGY: Terminology = PackagedTerminology()
