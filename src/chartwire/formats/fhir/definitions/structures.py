"""StructureDefinitions with snapshots, without prose.

The shape is FHIR's: `{"url", "version", "type", "kind", "baseDefinition", "snapshot": {"element": [...]}}`. An element
has `id`, `path`, `min`, `max`, `type` (code, profile, targetProfile), `binding` (strength, valueSet, maxValueSet),
`constraint` (key, severity, human, expression), `slicing`, `sliceName`, `fixed...`, `pattern...`, `contentReference`,
`base.max` where it differs from `max`, flags that are true, and `regex` on the value of a primitive. Codes of types are
FHIR's own (`string`, never a FHIRPath system type).
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec

from chartwire.formats.fhir.definitions.packaged import VERSIONS, packaged

Structure = Mapping[str, Any]
_STRUCTURES = "http://hl7.org/fhir/StructureDefinition/"


class _File(msgspec.Struct):
    constraints: list[dict[str, Any]]
    structures: dict[str, msgspec.Raw]
    profiles: dict[str, list[str]]


@cache
def _file() -> _File:
    return packaged("structures", _File)


def structure(name: str) -> Structure | None:
    """The definition that a type name (`Patient`, `string`), canonical or `canonical|version` means, or None."""
    canonical = name if ":" in name else _STRUCTURES + name
    wanted = (canonical,) if "|" in canonical else (f"{canonical}|{version}" for version in VERSIONS)
    return next((_structure(one) for one in wanted if one in _file().structures), None)


@cache
def _structure(canonical: str) -> Structure:
    told: dict[str, Any] = msgspec.json.decode(_file().structures[canonical])
    pool = _file().constraints
    for element in told["snapshot"]["element"]:
        if "constraint" in element:
            element["constraint"] = [pool[place] for place in element["constraint"]]
    return told


def structure_canonicals() -> tuple[str, ...]:
    """All definitions there are, as `canonical|version`, sorted."""
    return tuple(sorted(_file().structures))


def profiles_of(type_name: str) -> tuple[str, ...]:
    """The US Core profiles of a resource type, as `canonical|version`, sorted."""
    return tuple(_file().profiles.get(type_name, ()))
