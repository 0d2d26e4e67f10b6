"""What FHIR R4 (4.0.1) and US Core (3.1.1, 6.1.0, 7.0.0) say, from package data made by `python -m definitions.fhir`.

Files are read at first use (types in 5 ms, search parameters in 2, structures in 12). Everything handed out is shared:
read it, never change it. Types are named as FHIR names them (`Observation`, `Quantity`, `string`); the type of a
backbone element is its path (`Observation.component`).
"""

from chartwire.formats.fhir.definitions.codes import CodeSystem, code_system, value_sets
from chartwire.formats.fhir.definitions.listing import ValueSetCodes, value_set
from chartwire.formats.fhir.definitions.search import (
    Component,
    SearchParameter,
    common_parameters,
    compartments,
    search_parameters,
)
from chartwire.formats.fhir.definitions.structures import profiles_of, structure, structure_canonicals
from chartwire.formats.fhir.definitions.types import (
    Child,
    base_of,
    children,
    choices,
    is_primitive,
    is_resource,
    resource_types,
    served_types,
)

__all__ = [
    "Child",
    "CodeSystem",
    "Component",
    "SearchParameter",
    "ValueSetCodes",
    "base_of",
    "children",
    "choices",
    "code_system",
    "common_parameters",
    "compartments",
    "is_primitive",
    "is_resource",
    "profiles_of",
    "resource_types",
    "search_parameters",
    "served_types",
    "structure",
    "structure_canonicals",
    "value_set",
    "value_sets",
]
