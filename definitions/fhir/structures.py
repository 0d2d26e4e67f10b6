"""StructureDefinitions without prose, as the validator reads them.

Shapes are FHIR's own, with three shortenings: constraints stand once, in a pool, and an element names them by their
place in it; a `regex` of a primitive's value stands on its element; `base` keeps `max` alone. What is false or usual is
left out.
"""

import json
from collections.abc import Iterable
from typing import Any

from definitions.fhir.packages import Package, Resource
from definitions.fhir.types import type_code

_KEPT = ("url", "version", "name", "type", "kind", "abstract", "derivation", "baseDefinition", "context")
_ELEMENT = ("id", "path", "sliceName", "min", "max", "contentReference", "maxLength")
_FLAGS = ("mustSupport", "isModifier", "isSummary")
_TYPE = ("profile", "targetProfile", "aggregation")
_VALUES = ("fixed", "pattern", "minValue", "maxValue")
_CONSTRAINT = ("key", "severity", "human", "expression", "source")
_MAX_VALUE_SET = "http://hl7.org/fhir/StructureDefinition/elementdefinition-maxValueSet"
_REGEX = "http://hl7.org/fhir/StructureDefinition/regex"
_USUAL_SOURCES = "http://hl7.org/fhir/StructureDefinition/"


class Structures:
    """Fills the pool while it goes through packages."""

    def __init__(self) -> None:
        self.pool: dict[str, int] = {}

    def make(self, packages: list[Package]) -> dict[str, Any]:
        """The content of structures.json: the pool, and each structure by canonical and version."""
        found = {
            f"{one['url']}|{one.get('version') or package.version}": self._structure(one, _own_sets(package))
            for package in packages
            for one in package.structures()
        }
        return {
            "constraints": [json.loads(line) for line in self.pool],
            "structures": found,
            "profiles": _profiles(found, packages[1:]),
        }

    def _structure(self, structure: Resource, own_sets: dict[str, str]) -> Resource:
        kept = {key: structure[key] for key in _KEPT if structure.get(key) not in (None, False)}
        elements = [self._element(one, own_sets) for one in structure["snapshot"]["element"]]
        return kept | {"snapshot": {"element": elements}}

    def _element(self, element: Resource, own_sets: dict[str, str]) -> Resource:
        kept = {key: element[key] for key in _ELEMENT if key in element}
        if element.get("base", {}).get("max", element["max"]) != element["max"]:
            kept["base"] = {"max": element["base"]["max"]}
        kept |= {key: True for key in _FLAGS if element.get(key)}
        kept |= {key: value for key, value in element.items() if key.startswith(_VALUES)}
        if "type" in element:
            kept["type"] = [_type(told, element) for told in element["type"]]
            kept |= _named("regex", (found for told in element["type"] for found in _valued(told, _REGEX)))
        if "binding" in element:
            kept["binding"] = _binding(element["binding"], own_sets)
        if "slicing" in element:
            kept["slicing"] = {key: value for key, value in element["slicing"].items() if key != "description"}
        if "constraint" in element:
            kept["constraint"] = [self._place(one) for one in element["constraint"]]
        return kept

    def _place(self, constraint: Resource) -> int:
        kept = {key: constraint[key] for key in _CONSTRAINT if key in constraint}
        if kept.get("source", _USUAL_SOURCES).startswith(_USUAL_SOURCES):
            kept.pop("source", None)
        return self.pool.setdefault(json.dumps(kept), len(self.pool))


def _profiles(found: dict[str, Resource], guides: list[Package]) -> dict[str, list[str]]:
    """Which profiles of the guides a resource type has."""
    canonicals = sorted(f"{one['url']}|{one['version']}" for guide in guides for one in guide.structures())
    profiles: dict[str, list[str]] = {}
    for canonical in canonicals:
        if found[canonical]["kind"] == "resource":
            profiles.setdefault(found[canonical]["type"], []).append(canonical)
    return dict(sorted(profiles.items()))


def _type(told: Resource, element: Resource) -> Resource:
    return {"code": type_code(told, element)} | {key: told[key] for key in _TYPE if key in told}


def _own_sets(package: Package) -> dict[str, str]:
    """What a guide's value sets are called with their version: its profiles mean those."""
    return {one["url"]: f"{one['url']}|{one['version']}" for one in package.resources["ValueSet"] if "version" in one}


def _binding(binding: Resource, own_sets: dict[str, str]) -> Resource:
    kept = {"strength": binding["strength"]}
    if "valueSet" in binding:
        kept["valueSet"] = own_sets.get(binding["valueSet"], binding["valueSet"])
    return kept | _named("maxValueSet", (own_sets.get(url, url) for url in _valued(binding, _MAX_VALUE_SET)))


def _named(key: str, values: Iterable[str]) -> dict[str, str]:
    """The first of the values under the key; nothing where there is none."""
    return dict(zip((key,), values, strict=False))


def _valued(holder: Resource, url: str) -> list[str]:
    """The values of an extension, of whatever type of text."""
    return [
        str(value)
        for extension in holder.get("extension", ())
        if extension["url"] == url
        for key, value in extension.items()
        if key.startswith("value")
    ]
