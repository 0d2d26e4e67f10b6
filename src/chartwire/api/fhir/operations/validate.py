"""`$validate` (R4 operation-resource-validate): what is wrong with a resource, as an OperationOutcome; nothing is kept.

The answer is 200 whatever the resource is like; only what is no JSON resource at all is 400.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, Final
from uuid import UUID

from chartwire.api.fhir.judging import beside
from chartwire.api.fhir.negotiation import body_media, preferences
from chartwire.api.fhir.operations.registry import Operation
from chartwire.api.fhir.outcome import outcome_of
from chartwire.api.fhir.read import patients_of, standing
from chartwire.api.fhir.types import known
from chartwire.api.http import FHIR_JSON, Answer, Request
from chartwire.api.problem import ApiError, bad_parameter
from chartwire.api.services import Services
from chartwire.core.limits import HTTP_BODY_BYTES_MAX
from chartwire.formats.fhir.definitions import resource_types
from chartwire.formats.fhir.reading import Json, read_resource
from chartwire.formats.fhir.validate import check
from chartwire.record.bodies import read_json

_MODES: Final = ("create", "update", "delete", "profile")
_PARAMETERS: Final = "Parameters"
_KNOWN: Final = frozenset({"profile", "mode"})


class _Question:
    """What is asked: a resource (None: the one that stands), profiles, and what is to be done with it."""

    __slots__ = ("mode", "profiles", "resource")

    def __init__(self, request: Request, body: Json | None) -> None:
        if unknown := {name for name, _ in request.pairs} - _KNOWN:
            raise bad_parameter(min(unknown), "is not known here; known are `profile` and `mode`")
        given = _parameters(body)
        packed = body is not None and body["resourceType"] == _PARAMETERS and (given or request.parts[0] != _PARAMETERS)
        self.resource = next((one for name, one in given if name == "resource"), None) if packed else body
        told = [*((name, value) for name, value in request.pairs), *given]
        self.profiles = [str(value) for name, value in told if name == "profile"]
        self.mode = next((str(value) for name, value in told if name == "mode"), "")
        if self.mode and self.mode not in _MODES:
            raise bad_parameter("mode", f"is one of {', '.join(_MODES)}")
        if self.mode == "profile" and not self.profiles:
            raise bad_parameter("profile", "is needed with `mode=profile`: the canonical of the profile")


async def validate(request: Request, services: Services) -> Answer:
    """`POST /fhir/R4/{type}/$validate` and `/{type}/{id}/$validate`: the body is the resource, or Parameters with
    `resource`, `profile` (also in the query, several) and `mode`. Without a resource, the one that stands is meant."""
    kind, logical_id = request.parts[0], request.parts[1] if len(request.parts) > 1 else None
    if kind not in resource_types():
        raise ApiError("R4 has no such resource type", code="not_found", error_class="not_found")
    question = _Question(request, await _body(request))
    patients: Sequence[UUID] = ()
    resource = question.resource
    if resource is None:
        if logical_id is None:
            raise bad_parameter("resource", "is needed: what is to be validated")
        resource, patients = await _standing(request, services, kind, logical_id)
    elif question.mode == "update" and logical_id is not None and resource.get("id") != logical_id:
        raise ApiError("the body has another id than the address", code="id_mismatch")
    if resource.get("resourceType") != kind:
        raise ApiError(f"this address takes {kind}; the body is another type", code="type_mismatch")
    terminology = await services.terminologies.for_resource(resource)
    ask = partial(check, resource, question.profiles, terminology, strict=preferences(request).strict)
    issues = await beside(await request.content(), ask)
    return Answer(outcome_of(issues), 200, FHIR_JSON, count=len(patients), patients=tuple(patients))


async def _body(request: Request) -> Json | None:
    if request.has_no_body:
        return None
    body_media(request)
    return read_resource(await request.content(), bytes_max=request.body_bytes_max)


def _parameters(body: Json | None) -> list[tuple[str, Any]]:
    """Name and value of each parameter that we know of a Parameters resource; nothing for any other body."""
    listed = body.get("parameter") if body is not None and body["resourceType"] == _PARAMETERS else None
    found: list[tuple[str, Any]] = []
    for one in listed if isinstance(listed, list) else ():
        if isinstance(one, dict):
            value = one.get("resource") or next((one[name] for name in one if name.startswith("value")), None)
            found.append((str(one.get("name")), value))
    return [
        (name, value) for name, value in found if name in _KNOWN or (name == "resource" and isinstance(value, dict))
    ]


async def _standing(request: Request, services: Services, kind: str, logical_id: str) -> tuple[Json, Sequence[UUID]]:
    stored = await standing(request, services, known(kind), logical_id)
    return read_json(stored.body), patients_of(kind, stored)


VALIDATE = Operation(
    "validate",
    "http://hl7.org/fhir/OperationDefinition/Resource-validate",
    "Tell what is wrong with a resource",
    validate,
    ("type", "instance"),
    post_only=True,
    body_bytes_max=HTTP_BODY_BYTES_MAX,
)
