"""Whose a resource is: the patient whose compartment it belongs to, by the definitions of R4. Pure."""

from collections.abc import Iterator
from functools import cache
from typing import Any
from uuid import UUID

from chartwire.core.fhir_ids import local_reference
from chartwire.formats.fhir.definitions import compartments, search_parameters
from chartwire.mapping.conversion import Json

_FIRST = ("patient", "subject", "beneficiary")
"""Parameters that say whom a resource is about, before those that say who else has to do with it."""
_OF_SEVERAL = frozenset({"Group", "Person"})
"""Types that name patients without being one of them's."""
_ONLY_PATIENTS = ".where(resolve() is Patient)"

Path = tuple[str, ...]


def owner_of(resource_type: str, body: Json) -> UUID | None:
    """The store's key of the patient that a resource belongs to: the first that it names, whom it is about before
    others. None for what is shared, and where it names no local patient. A Patient is its own (not told here)."""
    for path in owner_paths(resource_type):
        for reference in _at(body, path):
            found = local_reference(reference)
            if found is not None and found[0] == "Patient":
                return found[1]
    return None


@cache
def owner_paths(resource_type: str) -> tuple[Path, ...]:
    """The element paths at which a type names its patient, the most telling first (R4 compartment definition)."""
    if resource_type in _OF_SEVERAL or resource_type == "Patient":
        return ()
    codes = compartments()["Patient"].get(resource_type, ())
    parameters = search_parameters(resource_type)
    ordered = [code for code in _FIRST if code in codes] + [code for code in codes if code not in _FIRST]
    return tuple(dict.fromkeys(path for code in ordered for path in _paths(parameters[code].expression)))


def _paths(expression: str) -> Iterator[Path]:
    """`Basic.subject.where(resolve() is Patient) | Basic.author` as ("subject",) and ("author",)."""
    for part in expression.split(" | "):
        yield tuple(part.removesuffix(_ONLY_PATIENTS).split(".")[1:])


def _at(value: Any, path: Path) -> Iterator[str]:
    """The references at a path, through every item of lists."""
    if isinstance(value, list):
        for item in value:
            yield from _at(item, path)
    elif isinstance(value, dict):
        if path:
            yield from _at(value.get(path[0]), path[1:])
        elif isinstance(value.get("reference"), str):
            yield value["reference"]
