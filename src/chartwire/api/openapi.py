"""OpenAPI 3.1, generated from the route table, the msgspec types, the examples and the event catalogue. Pure."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from chartwire.api.examples import Example, examples
from chartwire.api.http import API_VERSIONS
from chartwire.api.idempotency import KEY_CHARACTERS_MAX
from chartwire.api.problem import ProblemBody
from chartwire.api.routes import Parameter, Route
from chartwire.trust.credentials import SCOPES

Json = dict[str, Any]

_VARIABLE = re.compile(r"\{(\w+)\}")
_SCHEMAS: Mapping[str, Json] = {
    "integer": {"type": "integer", "minimum": 1, "maximum": 100},
    "boolean": {"type": "boolean"},
    "date": {"type": "string", "format": "date"},
    "instant": {"type": "string", "format": "date-time"},
    "string": {"type": "string"},
}
_REFUSALS = {
    "400": "A parameter or header is wrong, unknown or given twice",
    "401": "The key is missing, unknown, expired or revoked",
    "403": "The key lacks the scope",
    "404": "Nothing that this key may see has this id",
    "405": "This address does not do that",
    "406": "No type that was asked for can be given",
    "409": "The present state does not allow this, or a request with this Idempotency-Key is under way",
    "410": "The resource was deleted",
    "412": "The version in If-Match is not the present one",
    "413": "The body is too large",
    "415": "The body is of a type that is not understood",
    "422": "The body breaks a rule, or the Idempotency-Key came with another request",
    "429": "The quota is spent; Retry-After says when to come back",
    "500": "A fault in Chartwire",
    "502": "Another system failed",
    "503": "Not now; Retry-After says when",
}
_ALWAYS = ("400", "401", "403", "404", "406", "429", "500", "503")
_OF_THE_FORM = ("400", "406")
"""What everyone may be told who asks a FHIR address for a form that cannot be."""
_FHIR = "/fhir/"
_CHANGING = ("409", "412", "413", "415", "422", "502")
_HEADERS: Mapping[str, Json] = {
    "X-Request-Id": {"description": "Names this request; GET /api/v1/requests/{id} tells of it.", "type": "string"},
    "RateLimit": {"description": "What is left: policy, r(emaining) units, t(ime) in s until full.", "type": "string"},
    "RateLimit-Policy": {"description": "The quotas q in windows of w seconds.", "type": "string"},
    "Chartwire-Version": {"description": "The dated version that answered.", "type": "string"},
    "Idempotent-Replayed": {"description": "`true` where a key's first answer is given again.", "type": "string"},
}
_ON_EVERY_ANSWER = ("X-Request-Id", "RateLimit", "RateLimit-Policy", "Chartwire-Version")
_PARAMETERS: Mapping[str, Json] = {
    "Idempotency-Key": {
        "description": "Makes a retry safe: the same request under the same key has one effect and one answer.",
        "schema": {"type": "string", "minLength": 1, "maxLength": KEY_CHARACTERS_MAX, "pattern": "^[!-~]+$"},
        "example": "8c1d5c0e-4f0b-4a56-9d0e-6d1f3f0b7a11",
    },
    "If-Match": {
        "description": 'Only if the present version has this ETag, such as `"v7"`; else 412.',
        "schema": {"type": "string", "pattern": '^("v[1-9][0-9]{0,8}"|\\*)$'},
        "example": '"v7"',
    },
    "Chartwire-Version": {
        "description": "The dated version to answer in.",
        "schema": {"type": "string", "enum": list(API_VERSIONS)},
    },
}


def document(routes: Iterable[Route], version: str, webhooks: Mapping[str, Json] | None = None) -> Json:
    """The OpenAPI document of a route table. `webhooks` are path items by event type."""
    table = list(routes)
    types = [one for route in table for one in (route.answer, route.body, *route.also.values()) if one is not None]
    _, components = msgspec.json.schema_components([ProblemBody, *types], ref_template="#/components/schemas/{name}")
    told = examples()
    paths: dict[str, Json] = {}
    for route in table:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, told.get(operation_id(route)))
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Chartwire",
            "version": version,
            "description": "One canonical record per patient. Errors are RFC 9457 problems; /docs/problems lists them.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(route.tag for route in table)],
        "paths": paths,
        "webhooks": dict(webhooks or {}),
        "components": {
            "schemas": components,
            "headers": {name: _header(told) for name, told in _HEADERS.items()},
            "parameters": {name: {"name": name, "in": "header", **told} for name, told in _PARAMETERS.items()},
            "responses": {f"Problem{status}": _problem(words) for status, words in _REFUSALS.items()},
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": f"An API key. Scopes: {', '.join(sorted(SCOPES))}",
                }
            },
        },
    }


def operation_id(route: Route) -> str:
    """`get_patients_id` for `GET /api/v1/patients/{id}`: the name under which examples and clients know a route."""
    words = [word.strip("{}") for word in route.path.strip("/").split("/") if word not in {"api", "v1"}]
    return "_".join([route.method.lower(), *words]).replace("-", "_").replace(".", "_").replace("$", "") or "root"


def _operation(route: Route, example: Example | None) -> Json:
    operation: Json = {
        "operationId": operation_id(route),
        "summary": route.summary,
        "tags": [route.tag],
        "parameters": _parameters(route, example),
        "responses": _answers(route, example),
        "security": [{"key": [scope]} for scope in (route.scope or "").split()],
    }
    if route.deprecated is not None:
        operation["deprecated"] = True
    if route.body is not None:
        operation["requestBody"] = _request_body(route, example)
    if route.scope is not None:
        operation["description"] = f"Needs the scope {route.scopes_told}."
        statuses = (*_ALWAYS, *(_CHANGING if route.method != "GET" else ()))
        operation["responses"] |= {status: _refusal(route, status) for status in statuses}
    elif route.path.startswith(_FHIR):
        operation["responses"] |= {status: _refusal(route, status) for status in _OF_THE_FORM}
    return operation


def _parameters(route: Route, example: Example | None) -> list[Json]:
    path = [_path_parameter(name, example) for name in _VARIABLE.findall(route.path)]
    query = [_query_parameter(one, example) for one in route.parameters]
    headers = ["Chartwire-Version"] if route.path.startswith("/api/") else []
    if route.changes:
        headers.append("Idempotency-Key")
    if route.conditional:
        headers.append("If-Match")
    return [*path, *query, *({"$ref": f"#/components/parameters/{name}"} for name in headers)]


def _request_body(route: Route, example: Example | None) -> Json:
    content: Json = {"schema": _schema(route.body)}
    if example is not None and example.body is not None:
        content["example"] = example.body
    return {"content": dict.fromkeys(route.body_media, content), "required": not route.body_optional}


def _answers(route: Route, example: Example | None) -> Json:
    others = {str(status): _success(route, shape, status, None) for status, shape in route.also.items()}
    return {str(route.status): _success(route, route.answer, route.status, example), **others}


def _success(route: Route, shape: Any, status: int, example: Example | None) -> Json:
    told: Json = {"description": route.summary}
    if route.scope is not None:
        names = [*_ON_EVERY_ANSWER, *(["Idempotent-Replayed"] if route.changes else [])]
        told["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
    if status == 204:
        return told
    plain: Json = {} if "json" in route.media else {"type": "string"}
    content: Json = {"schema": _schema(shape) if shape is not None else plain}
    if example is not None and example.answer is not None:
        content["example"] = example.answer
    told["content"] = {route.media: content}
    return told


def _refusal(route: Route, status: str) -> Json:
    if route.path.startswith(_FHIR):
        return {"description": _REFUSALS[status], "content": {"application/fhir+json": {"schema": {}}}}
    return {"$ref": f"#/components/responses/Problem{status}"}


def _problem(words: str) -> Json:
    return {"description": words, "content": {"application/problem+json": {"schema": _schema(ProblemBody)}}}


def _schema(shape: Any) -> Json:
    (schema,), _ = msgspec.json.schema_components([shape], ref_template="#/components/schemas/{name}")
    return schema


def _header(told: Json) -> Json:
    return {"description": told["description"], "schema": {"type": told["type"]}}


def _path_parameter(name: str, example: Example | None) -> Json:
    parameter: Json = {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
    if example is not None and name in example.path:
        parameter["example"] = example.path[name]
    return parameter


def _query_parameter(parameter: Parameter, example: Example | None) -> Json:
    schema: Json = dict(_SCHEMAS[parameter.kind])
    if parameter.values and "joined by commas" not in parameter.description and "more of" not in parameter.description:
        schema["enum"] = list(parameter.values)
    told: Json = {"name": parameter.name, "in": "query", "description": parameter.description, "schema": schema}
    if example is not None and parameter.name in example.query:
        told["example"] = example.query[parameter.name]
    return told
