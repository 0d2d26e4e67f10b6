"""Search parameters and compartments."""

from collections.abc import Mapping
from functools import cache
from typing import Literal

import msgspec

from chartwire.formats.fhir.definitions.packaged import packaged

Kind = Literal["composite", "date", "number", "quantity", "reference", "special", "string", "token", "uri"]
_RESOURCE = ("DomainResource", "Resource")
_NO_PARAMETERS: Mapping[str, "SearchParameter"] = {}


class Component(msgspec.Struct, frozen=True, array_like=True):
    """One part of a composite: the code of a parameter of the same type, and the path from the composite's node."""

    code: str
    expression: str


class SearchParameter(msgspec.Struct, frozen=True):
    """A search parameter of one resource type.

    `expression` is that part of the published FHIRPath which concerns the type ("" where none is published); `targets`
    are the types that a reference may point to; `comparators` and `modifiers` are those that the definition names (R4
    names hardly any: the kind says what applies); `source` is `r4` or `us-core`.
    """

    url: str
    kind: Kind
    code: str = ""
    expression: str = ""
    targets: tuple[str, ...] = ()
    components: tuple[Component, ...] = ()
    comparators: tuple[str, ...] = msgspec.field(default=(), name="comparator")
    modifiers: tuple[str, ...] = msgspec.field(default=(), name="modifier")
    source: str = "r4"


class _File(msgspec.Struct):
    parameters: dict[str, msgspec.Raw]
    compartments: dict[str, dict[str, tuple[str, ...]]]


@cache
def _file() -> _File:
    return packaged("search", _File)


def search_parameters(type_name: str) -> Mapping[str, SearchParameter]:
    """The parameters of a resource type by code, sorted, without the common ones; none for unknown types."""
    return _of_type(type_name) if type_name in _file().parameters else _NO_PARAMETERS


@cache
def _of_type(type_name: str) -> Mapping[str, SearchParameter]:
    shapes = msgspec.json.decode(_file().parameters[type_name], type=dict[str, SearchParameter])
    return {code: msgspec.structs.replace(shape, code=code) for code, shape in shapes.items()}


@cache
def common_parameters() -> Mapping[str, SearchParameter]:
    """The parameters of every type by code: `_id`, `_lastUpdated`, `_tag`, `_text` and the others that R4 defines."""
    return {code: told for name in _RESOURCE for code, told in search_parameters(name).items()}


def compartments() -> Mapping[str, Mapping[str, tuple[str, ...]]]:
    """Compartment -> resource type -> codes of the parameters that place a resource in it; `{def}` is the id itself."""
    return _file().compartments
