"""The CapabilityStatement, made from what answers: the route table, the table of operations, what the search language
supports, the profiles that the validator knows. Pure.

A parameter's `documentation` lists its modifiers and prefixes, since R4 has no element for them.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from chartwire.api.fhir.assembling import BASE
from chartwire.api.fhir.operations.registry import Operation
from chartwire.api.fhir.types import BINARY
from chartwire.api.routes import Route
from chartwire.formats.fhir.definitions import profiles_of, served_types
from chartwire.record.linked import reference_parameters
from chartwire.record.search.parameters import Parameter, supported

Json = dict[str, Any]

DATE = "2026-11-20"
_US_CORE = "http://hl7.org/fhir/us/core"
_BY_ADDRESS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "read": (("GET", "/{type}/{id}"),),
    "vread": (("GET", "/{type}/{id}/_history/{version}"),),
    "update": (("PUT", "/{type}/{id}"),),
    "patch": (("PATCH", "/{type}/{id}"),),
    "delete": (("DELETE", "/{type}/{id}"),),
    "history-instance": (("GET", "/{type}/{id}/_history"),),
    "history-type": (("GET", "/{type}/_history"),),
    "create": (("POST", "/{type}"),),
    "search-type": (("GET", "/{type}"), ("POST", "/{type}/_search")),
}
"""Interactions of a type, by the addresses that must all answer."""
_SYSTEM: Mapping[str, tuple[tuple[str, str], ...]] = {
    "transaction": (("POST", ""),),
    "batch": (("POST", ""),),
    "search-system": (("GET", ""),),
    "history-system": (("GET", "/_history"),),
}
_COMPARTMENTS = ("patient", "encounter", "practitioner", "relatedperson", "device")


def statement(routes: Iterable[Route], operations: Sequence[Operation], version: str, url: str = "") -> Json:
    """The CapabilityStatement of a server with these routes; `url` is its FHIR base where that is known."""
    answered = {(route.method, route.path.removeprefix(BASE)) for route in routes}
    told: Json = {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": DATE,
        "publisher": "Chartwire",
        "kind": "instance",
        "instantiates": [f"{_US_CORE}/CapabilityStatement/us-core-server"],
        "software": {"name": "Chartwire", "version": version},
        "implementation": {"description": "Chartwire, the canonical record of this installation"},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "json"],
        "implementationGuide": [f"{_US_CORE}/ImplementationGuide/hl7.fhir.us.core"],
        "rest": [_rest(answered, operations)],
    }
    if url:
        told["implementation"]["url"] = url
    if ("PATCH", "/{type}/{id}") in answered:
        told["patchFormat"] = ["application/json-patch+json", "application/fhir+json", "application/merge-patch+json"]
    return told


def _rest(answered: set[tuple[str, str]], operations: Sequence[Operation]) -> Json:
    return {
        "mode": "server",
        "security": {
            "cors": True,
            "description": "An API key as a bearer token, with the scope fhir.read for what reads, fhir.write for"
            " what changes.",
        },
        "resource": [*(_resource(name, answered, operations) for name in served_types()), _binary(answered)],
        "interaction": _interactions(_SYSTEM, answered),
        "searchParam": [_parameter(one) for one in supported(served_types()[0]).values() if one.code[0] == "_"],
        "operation": [_operation(one) for one in operations if "system" in one.levels],
        "compartment": [f"http://hl7.org/fhir/CompartmentDefinition/{name}" for name in _COMPARTMENTS],
    }


def _binary(answered: set[tuple[str, str]]) -> Json:
    """Binary, which is kept but neither searched nor patched."""
    own = {(method, path.replace(BINARY, "{type}")) for method, path in answered if path.startswith(f"/{BINARY}")}
    return {
        "type": BINARY,
        "profile": f"http://hl7.org/fhir/StructureDefinition/{BINARY}",
        "interaction": _interactions(_BY_ADDRESS, own),
        "versioning": "versioned",
        "readHistory": True,
        "updateCreate": True,
        "conditionalCreate": False,
        "conditionalRead": "full-support",
        "conditionalUpdate": False,
        "conditionalDelete": "not-supported",
        "referencePolicy": ["literal", "local"],
    }


def _resource(name: str, answered: set[tuple[str, str]], operations: Sequence[Operation]) -> Json:
    parameters = supported(name)
    told: Json = {
        "type": name,
        "profile": f"http://hl7.org/fhir/StructureDefinition/{name}",
        "supportedProfile": list(profiles_of(name)),
        "interaction": _interactions(_BY_ADDRESS, answered),
        "versioning": "versioned",
        "readHistory": True,
        "updateCreate": ("PUT", "/{type}/{id}") in answered,
        "conditionalCreate": ("POST", "/{type}") in answered,
        "conditionalRead": "full-support",
        "conditionalUpdate": ("PUT", "/{type}") in answered,
        "conditionalDelete": "single" if ("DELETE", "/{type}") in answered else "not-supported",
        "referencePolicy": ["literal", "logical", "local"],
        "searchInclude": ["*", f"{name}:*", *(f"{name}:{code}" for code in reference_parameters(name))],
        "searchRevInclude": ["*", *_leading_to(name)],
        "searchParam": [_parameter(one) for one in parameters.values()],
        "operation": [_operation(one) for one in operations if _is_called_on(one, name)],
    }
    return {key: value for key, value in told.items() if value != []}


def _interactions(
    addresses: Mapping[str, tuple[tuple[str, str], ...]], answered: set[tuple[str, str]]
) -> list[dict[str, str]]:
    return [{"code": code} for code, needed in addresses.items() if answered.issuperset(needed)]


def _leading_to(name: str) -> list[str]:
    return [
        f"{source}:{code}"
        for source in served_types()
        for code, told in reference_parameters(source).items()
        if name in told.targets
    ]


def _parameter(parameter: Parameter) -> Json:
    words = [*(f":{word}" for word in parameter.modifiers), *parameter.prefixes]
    told = {"name": parameter.code, "definition": parameter.told.url, "type": parameter.kind}
    return told | ({"documentation": " ".join(words)} if words else {})


def _is_called_on(operation: Operation, name: str) -> bool:
    return operation.levels != ("system",) and (not operation.types or name in operation.types)


def _operation(operation: Operation) -> Json:
    return {"name": operation.code, "definition": operation.definition}
