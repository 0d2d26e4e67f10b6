"""What codes that a search names mean where an element has a code and no system."""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from functools import cache

from chartwire.formats.fhir.definitions import choices, structure
from chartwire.formats.fhir.definitions.codes import Coding
from chartwire.formats.fhir.terminology import TERMINOLOGY
from chartwire.record.fhir_index.places import readings, rooted


@cache
def implied(resource_type: str, code: str) -> AbstractSet[Coding] | None:
    """(system, code) of all values that a parameter can have which reads elements of type code only, whose systems go
    without saying (R4 3.1.1.4.10); None for any other parameter, and where the codes are not known in full."""
    found: set[Coding] = set()
    for alternative in readings(resource_type).get(code, ()):
        chain = rooted(resource_type, alternative.chain or ())
        bound = list(_bound(resource_type, [step.word for step in chain if step.kind == "member"]))
        if len(bound) != 1 or len(chain) != sum(step.kind == "member" for step in chain):
            return None
        codes = TERMINOLOGY.codes_of(bound[0])
        if codes is None:
            return None
        found |= codes
    return found or None


def _bound(type_name: str, path: list[str]) -> Iterator[str]:
    """The value sets that elements of type code at the end of a path are bound to."""
    word, *rest = path or [""]
    for child in choices(type_name, word):
        if rest:
            yield from _bound(child.type, rest)
        elif child.type == "code":
            yield from _value_sets(type_name.partition(".")[0], f"{type_name}.{word}")


def _value_sets(type_name: str, path: str) -> Iterator[str]:
    definition = structure(type_name)
    for element in definition["snapshot"]["element"] if definition else ():
        if element["path"] == path and "binding" in element:
            yield element["binding"]["valueSet"]
