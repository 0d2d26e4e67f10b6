"""FHIR R4 Binary: bytes as they are, or as a resource with base64, by Accept and Content-Type (R4 2.36, 3.1.0.1.9).

Whoever may not read the resource of its security context may not read a Binary. A document's content that came by a
feed is read here, too, and never written.
"""

from base64 import b64encode
from dataclasses import replace

from chartwire.api.content import content_answer, validators
from chartwire.api.fhir.assembling import BASE, base_of
from chartwire.api.fhir.judging import judged, sent_resource
from chartwire.api.fhir.negotiation import preferences
from chartwire.api.fhir.read import version_number
from chartwire.api.fhir.types import known
from chartwire.api.fhir.write import perform, wanted_id, wanted_version, wants_absent
from chartwire.api.http import ANY, FHIR_JSON, JSON, Answer, Header, Request
from chartwire.api.problem import ApiError, not_found
from chartwire.api.routes import Route
from chartwire.api.services import Services
from chartwire.api.validators import is_held
from chartwire.core.fhir_ids import store_id
from chartwire.core.limits import BINARY_BODY_BYTES_MAX, BINARY_BYTES_MAX
from chartwire.formats.fhir.validate import Issue
from chartwire.mapping.conversion import Json
from chartwire.record.binaries import TYPE, Binary, read_binary
from chartwire.record.bodies import read_json
from chartwire.record.fhir_writing import Write
from chartwire.record.read import read_one

_FHIR_XML = b"application/fhir+xml"
_CONTEXT = b"x-security-context"


async def read(request: Request, services: Services) -> Answer:
    """`GET /fhir/R4/Binary/{id}`: the bytes with their media type; a Binary for who accepts FHIR JSON by name."""
    return _answer(request, await read_binary(services.pool, request.access, store_id(_named(request))))


async def vread(request: Request, services: Services) -> Answer:
    """`GET /fhir/R4/Binary/{id}/_history/{version}`: that version in the same two forms, 410 where it is the
    deletion."""
    number = version_number(request.parts[1])
    return _answer(request, await read_binary(services.pool, request.access, store_id(_named(request)), number))


async def create(request: Request, services: Services) -> Answer:
    """`POST /fhir/R4/Binary`: bytes of any type, or a Binary as FHIR JSON."""
    if b"if-none-exist" in request.headers or request.pairs:
        raise ApiError("a Binary cannot be searched for, so no condition is taken", code="invalid_parameter")
    body, issues = await _sent(request, services, "")
    return await perform(request, services, Write("create", TYPE, body=body), None, issues)


async def update(request: Request, services: Services) -> Answer:
    """`PUT /fhir/R4/Binary/{id}`: what it is to be from now on; a new one where none stands."""
    logical_id = wanted_id(_named(request))
    write = Write("update", TYPE, logical_id, version=wanted_version(request), absent=wants_absent(request))
    body, issues = await _sent(request, services, logical_id)
    return await perform(request, services, replace(write, body=body), None, issues)


async def delete(request: Request, services: Services) -> Answer:
    """`DELETE /fhir/R4/Binary/{id}`: gone from now on (410); its versions are kept."""
    write = Write("delete", TYPE, wanted_id(_named(request)), version=wanted_version(request))
    return await perform(request, services, write)


def _named(request: Request) -> str:
    """The id in the address. What begins as an operation does is none that is there."""
    name = request.parts[0]
    return known(name) if name[:1] in {"$", "_"} else name


# What is sent -------------------------------------------------------------------------------------------------------


async def _sent(request: Request, services: Services, logical_id: str) -> tuple[Json, list[Issue]]:
    """The Binary that a request brings, and what is worth knowing about it."""
    media = request.headers.get(b"content-type", b"").decode("latin-1").strip()
    form, base = media.partition(";")[0].strip().lower().encode(), base_of(request, services)
    context = _context(request, base)
    if form == FHIR_JSON:
        body, issues = await sent_resource(request, TYPE, base, services.terminologies)
        if context and body.setdefault("securityContext", context) != context:
            raise ApiError("`X-Security-Context` and `securityContext` name two resources", code="invalid_parameter")
        return body, issues
    if not form or form == _FHIR_XML:
        raise ApiError(
            "a Binary is sent as application/fhir+json, or its bytes with their own Content-Type; FHIR XML is not read",
            code="media_type_unsupported",
        )
    named = {"id": logical_id} if logical_id else {}
    context = context or await _standing_context(request, services, logical_id)
    labelled = {"securityContext": context} if context else {}
    head: Json = {"resourceType": TYPE, **named, "contentType": media, **labelled}
    return {**head, "data": await _raw(request)}, judged(head)


async def _standing_context(request: Request, services: Services, logical_id: str) -> Json | None:
    """The security context that stands: bytes alone do not take it away."""
    stored = await read_one(services.pool, request.access, TYPE, store_id(logical_id)) if logical_id else None
    return None if stored is None else read_json(stored.body).get("securityContext")


async def _raw(request: Request) -> str:
    """The bytes in base64. Only their place and version are given back, unless something else is preferred."""
    data = await request.content()
    if len(data) > BINARY_BYTES_MAX:
        raise ApiError(f"a Binary has at most {BINARY_BYTES_MAX} bytes here", code="body_too_large")
    if not data:
        raise ApiError("the body is empty: a Binary without bytes is not kept", code="body_malformed")
    if preferences(request).returning is None:
        told = request.headers.get(b"prefer", b"")
        request.headers[b"prefer"] = b"return=minimal" + (b", " + told if told else b"")
    return b64encode(data).decode("ascii")


def _context(request: Request, base: str) -> Json | None:
    """The security context that a header names (R4 3.1.0.1.9)."""
    told = request.headers.get(_CONTEXT)
    return None if told is None else {"reference": told.decode("latin-1").strip().removeprefix(f"{base}/")}


# What is given ------------------------------------------------------------------------------------------------------


def _answer(request: Request, binary: Binary | None) -> Answer:
    if binary is None:
        raise not_found()
    security: list[Header] = [(_CONTEXT, binary.context.encode())] if binary.context else []
    if not _wants_resource(request.headers.get(b"accept", b""), binary):
        answer = content_answer(request, binary)
        return replace(answer, headers=[*answer.headers, *security])
    headers = validators(binary)
    if is_held(request, headers[0][1], binary.updated_at):
        return Answer(b"", 304, FHIR_JSON, headers, 1, binary.patients)
    return Answer(binary.text.encode(), 200, FHIR_JSON, [*headers, *security], 1, binary.patients)


def _wants_resource(accept: bytes, binary: Binary) -> bool:
    """Whether the first type that is accepted asks for FHIR. Raises ApiError (406) for FHIR XML."""
    first = accept.partition(b",")[0].partition(b";")[0].strip().lower()
    if first == _FHIR_XML:
        raise ApiError("this server speaks JSON only: accept application/fhir+json, or any", code="not_acceptable")
    return first == FHIR_JSON or (first == JSON and not binary.media_type.lower().startswith(JSON.decode()))


_MEDIA, _TAG, _ALL, _ONE = FHIR_JSON.decode(), "FHIR R4", f"{BASE}/{TYPE}", f"{BASE}/{TYPE}/{{id}}"
_SENT = (_MEDIA, ANY.decode())
ROUTES = (
    Route("GET", _ONE, read, "Read the bytes of a Binary", "fhir.read", TYPE, media=ANY.decode(), tag=_TAG),
    Route(
        "GET",
        f"{_ONE}/_history/{{version}}",
        vread,
        "Read one version of a Binary",
        "fhir.read",
        TYPE,
        media=ANY.decode(),
        tag=_TAG,
    ),
    Route(
        "POST",
        _ALL,
        create,
        "Store bytes",
        "fhir.write",
        TYPE,
        "create",
        checked=True,
        status=201,
        media=_MEDIA,
        tag=_TAG,
        open_query=True,
        body_bytes_max=BINARY_BODY_BYTES_MAX,
        body_media=_SENT,
    ),
    Route(
        "PUT",
        _ONE,
        update,
        "Replace bytes, or store them under this id",
        "fhir.write",
        TYPE,
        "update",
        checked=True,
        media=_MEDIA,
        tag=_TAG,
        conditional=True,
        body_bytes_max=BINARY_BODY_BYTES_MAX,
        body_media=_SENT,
    ),
    Route(
        "DELETE",
        _ONE,
        delete,
        "Delete a Binary",
        "fhir.write",
        TYPE,
        "delete",
        checked=True,
        status=204,
        media=_MEDIA,
        tag=_TAG,
        conditional=True,
    ),
)
