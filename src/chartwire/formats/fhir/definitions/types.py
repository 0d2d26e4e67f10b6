"""Types and their elements."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import msgspec
import yaml

from chartwire.formats.fhir.definitions.packaged import packaged

_CHOICE = "[x]"
_WORD = re.compile(r"([^ (]+)(?:\(([^)]*)\))?")
_NOTHING: Mapping[str, "Child"] = {}


@dataclass(frozen=True, slots=True)
class Child:
    """One JSON property of a type.

    `name` is the property (`valueQuantity`), `element` what the specification calls it (`value`), `type` its FHIR type,
    or the path of a backbone element; `many` whether JSON has an array; `targets` the types that a Reference or
    canonical may point to (`Resource` is any).
    """

    name: str
    element: str
    type: str
    many: bool
    targets: tuple[str, ...]


class _File(msgspec.Struct):
    types: dict[str, str]
    elements: dict[str, dict[str, str]]


@cache
def _file() -> _File:
    return packaged("types", _File)


@cache
def _kinds(kind: str) -> frozenset[str]:
    return frozenset(name for name, told in _file().types.items() if told.startswith(kind))


@cache
def resource_types() -> frozenset[str]:
    """The names of all concrete resource types."""
    return frozenset(name for name in _kinds("resource") if not _file().types[name].endswith("abstract"))


@cache
def served_types() -> tuple[str, ...]:
    """The resource types that the FHIR server keeps, by name: all but those that served.yaml takes out."""
    data = (files("chartwire.formats.fhir") / "served.yaml").read_text("utf-8")
    return tuple(sorted(resource_types() - yaml.safe_load(data)["not_served"].keys()))


def is_primitive(type_name: str) -> bool:
    """Whether values of the type are JSON strings, numbers or booleans."""
    return type_name in _kinds("primitive")


def is_resource(type_name: str) -> bool:
    """Whether it is a resource type; Resource and DomainResource count."""
    return type_name in _kinds("resource")


def base_of(type_name: str) -> str | None:
    """The type that it specialises: `Quantity` of `Age`, `uri` of `url`; None for Resource, Element and unknown names.

    A backbone element's is BackboneElement, or Element within data types.
    """
    told = _file().types.get(type_name)
    if told is not None:
        return told.removesuffix("abstract").partition(" ")[2].strip() or None
    if type_name not in _file().elements:
        return None
    return "BackboneElement" if "modifierExtension" in _file().elements[type_name] else "Element"


def children(type_name: str) -> Mapping[str, Child]:
    """The properties of a type by JSON name, inherited ones too, in the order of the specification.

    An unknown type has none. The sibling `_birthDate` of a primitive property is not listed.
    """
    return _children(type_name) if type_name in _file().elements else _NOTHING


@cache
def _children(type_name: str) -> Mapping[str, Child]:
    told = _file().elements[type_name]
    return {child.name: child for element, words in told.items() for child in _read(element, words)}


def choices(type_name: str, element: str) -> tuple[Child, ...]:
    """The properties that an element may take: one for each type of `value[x]`, one for any other; () if unknown."""
    return _by_element(type_name).get(element, ()) if type_name in _file().elements else ()


@cache
def _by_element(type_name: str) -> Mapping[str, tuple[Child, ...]]:
    found: dict[str, tuple[Child, ...]] = {}
    for child in children(type_name).values():
        found[child.element] = (*found.get(child.element, ()), child)
    return found


def _read(element: str, words: str) -> Iterator[Child]:
    many = words.endswith("*")
    stem = element.removesuffix(_CHOICE)
    for named, targets in _WORD.findall(words.removesuffix("*")):
        name = stem + named[0].upper() + named[1:] if stem != element else element
        yield Child(name, stem, named, many, tuple(targets.split("|")) if targets else ())
