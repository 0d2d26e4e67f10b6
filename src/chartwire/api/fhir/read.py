"""FHIR R4 read, vread and metadata. Bodies pass through as they were stored."""

import re
from datetime import UTC, datetime
from email.utils import format_datetime
from uuid import UUID

import orjson

from chartwire.api.http import FHIR_JSON, Answer, Header, Request
from chartwire.api.problem import ApiError, not_found
from chartwire.api.routes import ANY_RESOURCE, Route
from chartwire.api.services import Services
from chartwire.record.read import Stored, read_one, read_version

RESOURCE_TYPES = (
    "AllergyIntolerance",
    "Appointment",
    "Condition",
    "Coverage",
    "DiagnosticReport",
    "DocumentReference",
    "Encounter",
    "Location",
    "Observation",
    "Organization",
    "Patient",
    "Practitioner",
    "PractitionerRole",
    "Procedure",
    "RelatedPerson",
    "ServiceRequest",
    "Specimen",
)
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_VERSION = re.compile(r"[1-9][0-9]{0,8}")


def resource_id(text: str) -> UUID:
    """The id of a FHIR path. Raises the one answer to unknown ids for anything but a lower-case UUID."""
    if not _ID.fullmatch(text):
        raise not_found()
    return UUID(text)


async def read(request: Request, services: Services) -> Answer:
    """`GET /fhir/R4/{type}/{id}`: the current version, 410 once deleted."""
    kind, wanted = _known(request.parts[0]), resource_id(request.parts[1])
    stored = await read_one(services.pool, request.access, kind, wanted)
    return _answer(request, kind, stored)


async def vread(request: Request, services: Services) -> Answer:
    """`GET /fhir/R4/{type}/{id}/_history/{version}`: that version, 410 where it is the deletion."""
    kind, wanted = _known(request.parts[0]), resource_id(request.parts[1])
    if not _VERSION.fullmatch(request.parts[2]):
        raise not_found()
    stored = await read_version(services.pool, request.access, kind, wanted, int(request.parts[2]))
    return _answer(request, kind, stored)


async def metadata(_: Request, services: Services) -> Answer:
    """`GET /fhir/R4/metadata`: what this door can do, and nothing that it cannot."""
    interactions = [{"code": "read"}, {"code": "vread"}]
    resources = [
        {
            "type": kind,
            "interaction": interactions,
            "versioning": "versioned",
            "readHistory": True,
            "updateCreate": False,
        }
        for kind in RESOURCE_TYPES
    ]
    resources.append({"type": "Binary", "interaction": interactions[:1], "versioning": "no-version"})
    statement = {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": "2026-11-20",
        "kind": "instance",
        "software": {"name": "Chartwire", "version": services.version},
        "implementation": {"description": "Chartwire, the canonical record of this installation"},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json"],
        "rest": [
            {
                "mode": "server",
                "security": {"description": "An API key with the scope fhir.read, as a bearer token"},
                "resource": resources,
            }
        ],
    }
    return Answer(orjson.dumps(statement), 200, FHIR_JSON)


def _known(kind: str) -> str:
    if kind not in RESOURCE_TYPES:
        raise ApiError("this resource type is not served here", code="not_found", error_class="not_found")
    return kind


def _answer(request: Request, kind: str, stored: Stored | None) -> Answer:
    if stored is None:
        raise not_found()
    etag = b'W/"%d"' % stored.version
    headers: list[Header] = [(b"etag", etag), (b"last-modified", _http_date(stored.updated_at))]
    if stored.deleted:
        raise ApiError("the resource was deleted", code="gone", error_class="not_found", headers=headers)
    patients = _patients(kind, stored)
    if request.headers.get(b"if-none-match") == etag:
        return Answer(b"", 304, FHIR_JSON, headers, 1, patients)
    return Answer(stored.body.encode(), 200, FHIR_JSON, headers, 1, patients)


def _patients(kind: str, stored: Stored) -> tuple[UUID, ...]:
    if kind == "Patient":
        return (stored.id,)
    return (stored.patient_id,) if stored.patient_id else ()


def _http_date(moment: datetime) -> bytes:
    return format_datetime(moment.astimezone(UTC), usegmt=True).encode()


_TAG = "FHIR R4"
ROUTES = (
    Route(
        "GET",
        "/fhir/R4/metadata",
        metadata,
        "The CapabilityStatement",
        None,
        media="application/fhir+json",
        tag=_TAG,
    ),
    Route(
        "GET",
        "/fhir/R4/{type}/{id}",
        read,
        "Read a resource",
        "fhir.read",
        ANY_RESOURCE,
        checked=True,
        media="application/fhir+json",
        tag=_TAG,
    ),
    Route(
        "GET",
        "/fhir/R4/{type}/{id}/_history/{version}",
        vread,
        "Read one version of a resource",
        "fhir.read",
        ANY_RESOURCE,
        media="application/fhir+json",
        tag=_TAG,
    ),
)
