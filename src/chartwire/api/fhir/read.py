"""FHIR R4 read and vread. Bodies pass through as they were stored, unless a part of them is wanted."""

import re
from uuid import UUID

from chartwire.api.fhir.shaping import PARAMETERS, shape_of
from chartwire.api.fhir.types import known
from chartwire.api.http import FHIR_JSON, Answer, Header, Request
from chartwire.api.problem import ApiError, not_found
from chartwire.api.routes import ANY_RESOURCE, Route
from chartwire.api.services import Services
from chartwire.api.validators import http_date, is_held
from chartwire.core.fhir_ids import store_id
from chartwire.record.fhir_refusals import GONE
from chartwire.record.provenance import read_provenance
from chartwire.record.read import Stored, read_one, read_version

_VERSION = re.compile(r"[1-9][0-9]{0,8}")


async def read(request: Request, services: Services) -> Answer:
    """`GET /fhir/R4/{type}/{id}`: the current version, 410 once deleted."""
    kind, wanted = known(request.parts[0]), store_id(request.parts[1])
    stored = await read_one(services.pool, request.access, kind, wanted)
    if stored is None and kind == "Provenance":
        stored = await read_provenance(services.pool, request.access, request.parts[1])
    return _answer(request, kind, stored)


async def vread(request: Request, services: Services) -> Answer:
    """`GET /fhir/R4/{type}/{id}/_history/{version}`: that version, 410 where it is the deletion."""
    kind, wanted = known(request.parts[0]), store_id(request.parts[1])
    number = version_number(request.parts[2])
    stored = await read_version(services.pool, request.access, kind, wanted, number)
    if stored is None and kind == "Provenance" and number == 1:
        stored = await read_provenance(services.pool, request.access, request.parts[1])
    return _answer(request, kind, stored)


def version_number(text: str) -> int:
    """The version that an address names. Raises ApiError (404): what is no number is no version."""
    if not _VERSION.fullmatch(text):
        raise not_found()
    return int(text)


async def standing(request: Request, services: Services, kind: str, logical_id: str) -> Stored:
    """The current version of a resource that is there. Raises ApiError (404 `unknown_id`, 410 `gone`)."""
    return _there(await read_one(services.pool, request.access, kind, store_id(logical_id)))


def _there(stored: Stored | None) -> Stored:
    if stored is None:
        raise not_found()
    if stored.deleted:
        headers = _validators(stored)
        raise ApiError(GONE, code="gone", error_class="not_found", headers=headers)
    return stored


def _validators(stored: Stored) -> list[Header]:
    return [(b"etag", b'W/"%d"' % stored.version), (b"last-modified", http_date(stored.updated_at))]


def _answer(request: Request, kind: str, stored: Stored | None) -> Answer:
    stored = _there(stored)
    headers = _validators(stored)
    patients = patients_of(kind, stored)
    if is_held(request, headers[0][1], stored.updated_at):
        return Answer(b"", 304, FHIR_JSON, headers, 1, patients)
    shape = shape_of(request.query)
    body = stored.body if shape.whole else shape.cut(kind, stored.body)
    return Answer(body.encode(), 200, FHIR_JSON, headers, 1, patients)


def patients_of(kind: str, stored: Stored) -> tuple[UUID, ...]:
    """Whose data a resource is, for the audit row."""
    if kind == "Patient":
        return (stored.id,)
    return (stored.patient_id,) if stored.patient_id else ()


_TAG = "FHIR R4"
ROUTES = (
    Route(
        "GET",
        "/fhir/R4/{type}/{id}",
        read,
        "Read a resource",
        "fhir.read",
        ANY_RESOURCE,
        checked=True,
        parameters=PARAMETERS,
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
        parameters=PARAMETERS,
        media="application/fhir+json",
        tag=_TAG,
    ),
)
