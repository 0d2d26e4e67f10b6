"""SNOMED CT in Release Format 2, snapshot files (https://confluence.ihtsdotools.org/display/DOCRELFMT)."""

from collections.abc import Iterator, Mapping

from chartwire.formats.codes.concepts import Concept, Lines, rows

SYSTEM = "http://snomed.info/sct"
_IS_A = "116680003"
_FULLY_SPECIFIED_NAME = "900000000000003001"
_PREFERRED = "900000000000548007"


def read(files: Mapping[str, Lines]) -> Iterator[Concept]:
    """Concepts with their is-a steps. A concept is called by its preferred synonym where `language` says which that is,
    else by its fully specified name."""
    displays = _displays(files)
    parents: dict[str, list[str]] = {}
    columns = ("active", "sourceId", "destinationId", "typeId")
    for active, source, target, kind in rows(files["relationships"](), columns, what="relationships", dialect="\t"):
        if active == "1" and kind == _IS_A:
            parents.setdefault(source, []).append(target)
    for code, active in rows(files["concepts"](), ("id", "active"), what="concepts", dialect="\t"):
        yield Concept(code, displays.get(code, code), tuple(parents.get(code, ())), {}, active != "1")


def _displays(files: Mapping[str, Lines]) -> dict[str, str]:
    preferred = _preferred(files["language"]) if "language" in files else frozenset()
    named: dict[str, str] = {}
    chosen: dict[str, str] = {}
    columns = ("id", "active", "conceptId", "typeId", "term")
    for number, active, concept, kind, term in rows(
        files["descriptions"](), columns, what="descriptions", dialect="\t"
    ):
        if active == "1":
            if kind == _FULLY_SPECIFIED_NAME:
                named[concept] = term
            elif number in preferred:
                chosen[concept] = term
    return named | chosen


def _preferred(language: Lines) -> frozenset[str]:
    columns = ("active", "referencedComponentId", "acceptabilityId")
    told = rows(language(), columns, what="the language reference set", dialect="\t")
    return frozenset(number for active, number, how in told if active == "1" and how == _PREFERRED)
