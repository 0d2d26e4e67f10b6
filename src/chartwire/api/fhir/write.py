"""FHIR R4 create, update, patch and delete of one resource (R4 3.1.0.4 to 3.1.0.8), over record/fhir_writing.py."""

import re
from collections.abc import Sequence
from datetime import datetime

from chartwire.api.fhir.negotiation import body_media, preferences
from chartwire.api.fhir.read import http_date
from chartwire.api.fhir.types import known
from chartwire.api.http import FHIR_JSON, Answer, Header, Request
from chartwire.api.idempotency import performed
from chartwire.api.problem import ApiError, bad_parameter
from chartwire.api.routes import ANY_RESOURCE, Action, Handler, Route
from chartwire.api.services import Services
from chartwire.channels import route
from chartwire.core.limits import HTTP_BODY_BYTES_MAX
from chartwire.formats.fhir.reading import read_resource
from chartwire.mapping.conversion import Json
from chartwire.record.fhir_writing import Done, FhirWriter, PreconditionError, Write
from chartwire.store.pool import Connection

_VERSION = re.compile(rb'\s*(?:W/)?"([1-9][0-9]{0,8})"\s*')
BASE = "/fhir/R4"


async def create(request: Request, services: Services) -> Answer:
    """`POST /fhir/R4/{type}`: a new resource with a new id."""
    kind = known(request.parts[0])
    return await perform(request, services, Write("create", kind, body=await resource(request, kind)))


async def update(request: Request, services: Services) -> Answer:
    """`PUT /fhir/R4/{type}/{id}`: the resource as it is to be; a new one where none stands."""
    kind = known(request.parts[0])
    write = Write(
        "update",
        kind,
        request.parts[1],
        await resource(request, kind),
        version=wanted_version(request),
        absent=wants_absent(request),
    )
    return await perform(request, services, write)


async def delete(request: Request, services: Services) -> Answer:
    """`DELETE /fhir/R4/{type}/{id}`: gone from now on (410), but for its history."""
    write = Write("delete", known(request.parts[0]), request.parts[1], version=wanted_version(request))
    return await perform(request, services, write)


async def perform(request: Request, services: Services, write: Write) -> Answer:
    """Make one write, once for its Idempotency-Key, and answer with what stands then."""

    async def effect(tx: Connection) -> Answer:
        writer = FhirWriter(request.access, tx)
        await writer.read([write])
        try:
            done = await writer.apply(write)
        except PreconditionError as error:
            raise _precondition_failed(error) from None
        at = await finished(writer)
        return _answer(request, done, at)

    answer = await performed(request, services, effect)
    services.wake()
    return answer


async def finished(writer: FhirWriter) -> datetime:
    """Write what changed, its events and their deliveries; answers the time of the versions."""
    at = await writer.finish()
    await route.announce(writer.tx, writer.access.org, at, writer.writer.work.events)
    return at


async def resource(request: Request, kind: str) -> Json:
    """The body as a resource of this type. Raises ParseError, ApiError (415, and 400 for another type)."""
    body_media(request)
    body = read_resource(await request.content(), bytes_max=request.body_bytes_max)
    if body["resourceType"] != kind:
        raise ApiError(f"this address takes {kind}; the body is another type", code="type_mismatch")
    return body


def wanted_version(request: Request) -> int | None:
    """The version that If-Match wants; None without one. Raises ApiError (400)."""
    given = request.headers.get(b"if-match")
    if given is None:
        return None
    found = _VERSION.fullmatch(given)
    if found is None:
        raise bad_parameter("If-Match", 'is an ETag as it was given, such as W/"7"')
    return int(found[1])


def wants_absent(request: Request) -> bool:
    """Whether a PUT is to make a new resource or nothing. Raises ApiError (400) for any other If-None-Match."""
    given = request.headers.get(b"if-none-match")
    if given not in {None, b"*"}:
        raise bad_parameter("If-None-Match", "of a write is `*`")
    return given is not None


def _answer(request: Request, done: Done, at: datetime) -> Answer:
    """What a write gives back by Prefer: return (R4 3.1.0.1.4), with the version that stands in its headers."""
    held = done.held
    if done.status == 204:
        etag: Sequence[Header] = [_etag(held.version)] if held.version else ()
        return Answer(b"", 204, FHIR_JSON, etag, count=int(done.changed), patients=done.patients)
    written = at if done.changed else held.stored_at or at
    headers: list[Header] = [_etag(held.version), (b"last-modified", http_date(written))]
    if done.status == 201:
        place = f"{BASE}/{held.reference}/_history/{held.version}"
        headers.append((b"location", place.encode()))
    body = b"" if preferences(request).returning == "minimal" else held.text.encode()
    return Answer(body, done.status, FHIR_JSON, headers, 1, done.patients)


def _etag(version: int) -> Header:
    return (b"etag", b'W/"%d"' % version)


def _precondition_failed(error: PreconditionError) -> ApiError:
    headers = [_etag(error.version)] if error.version else []
    return ApiError(error.message, code=error.code, error_class="conflict", headers=headers)


_TAG = "FHIR R4"


def _route(method: str, path: str, handle: Handler, summary: str, action: Action, status: int = 200) -> Route:
    return Route(
        method,
        path,
        handle,
        summary,
        "fhir.write",
        ANY_RESOURCE,
        action,
        checked=True,
        status=status,
        media="application/fhir+json",
        tag=_TAG,
        conditional=method != "POST",
        body_bytes_max=HTTP_BODY_BYTES_MAX,
        body_media=("application/fhir+json", "application/json"),
    )


_ONE = f"{BASE}/{{type}}/{{id}}"
ROUTES = (
    _route("POST", f"{BASE}/{{type}}", create, "Create a resource", "create", 201),
    _route("PUT", _ONE, update, "Update a resource, or create it under this id", "update"),
    _route("DELETE", _ONE, delete, "Delete a resource", "delete", 204),
)
