"""OpenAPI 3.1, generated from the route table and the msgspec types. Pure."""

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from chartwire.api.problem import ProblemBody
from chartwire.api.routes import Parameter, Route
from chartwire.trust.credentials import SCOPES

_VARIABLE = re.compile(r"\{(\w+)\}")
_SCHEMAS: dict[str, dict[str, Any]] = {
    "integer": {"type": "integer", "minimum": 1, "maximum": 100},
    "boolean": {"type": "boolean"},
    "date": {"type": "string", "format": "date"},
    "instant": {"type": "string", "format": "date-time"},
    "string": {"type": "string"},
}
_REFUSALS = {
    "400": "A parameter is wrong, unknown or given twice",
    "401": "The key is missing, unknown, expired or revoked",
    "403": "The key lacks the scope",
    "404": "Nothing that this key may see has this id",
    "503": "Not now; Retry-After says when",
}


def document(routes: Iterable[Route], version: str) -> dict[str, Any]:
    """The OpenAPI document of a route table."""
    table = list(routes)
    types = [one for route in table for one in (route.answer, route.body) if one is not None]
    _, components = msgspec.json.schema_components([ProblemBody, *types], ref_template="#/components/schemas/{name}")
    paths: dict[str, dict[str, Any]] = {}
    for route in table:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Chartwire",
            "version": version,
            "description": "One canonical record per patient. Errors are RFC 9457 problems; /docs/problems lists them.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": f"An API key. Scopes: {', '.join(sorted(SCOPES))}",
                }
            },
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": _operation_id(route),
        "summary": route.summary,
        "tags": [route.tag],
        "parameters": [*map(_path_parameter, _VARIABLE.findall(route.path)), *map(_query_parameter, route.parameters)],
        "responses": {str(route.status): _success(route)},
    }
    if route.body is not None:
        operation["requestBody"] = {"content": {"application/json": {"schema": _reference(route.body)}}}
    if route.scope is not None:
        operation["security"] = [{"key": [route.scope]}]
        operation["description"] = f"Needs the scope `{route.scope}`."
        operation["responses"] |= {status: _problem(route, words) for status, words in _REFUSALS.items()}
    else:
        operation["security"] = []
    return operation


def _operation_id(route: Route) -> str:
    words = [word.strip("{}") for word in route.path.strip("/").split("/") if word not in {"api", "v1"}]
    return "_".join([route.method.lower(), *words]).replace("-", "_").replace(".", "_") or "root"


def _success(route: Route) -> dict[str, Any]:
    told: dict[str, Any] = {"description": route.summary}
    if route.answer is not None:
        told["content"] = {route.media: {"schema": _reference(route.answer)}}
    elif route.status != 204:
        told["content"] = {route.media: {"schema": {} if "json" in route.media else {"type": "string"}}}
    return told


def _problem(route: Route, words: str) -> dict[str, Any]:
    if route.media == "application/fhir+json":
        return {"description": words, "content": {route.media: {"schema": {}}}}
    return {"description": words, "content": {"application/problem+json": {"schema": _reference(ProblemBody)}}}


def _reference(shape: Any) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{shape.__name__}"}


def _path_parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _query_parameter(parameter: Parameter) -> dict[str, Any]:
    schema: dict[str, Any] = dict(_SCHEMAS[parameter.kind])
    if parameter.values and "joined by commas" not in parameter.description and "more of" not in parameter.description:
        schema["enum"] = list(parameter.values)
    return {"name": parameter.name, "in": "query", "description": parameter.description, "schema": schema}
