"""FHIR R4 create, update, patch and delete of one resource, by id or by condition (R4 3.1.0.4 to 3.1.0.8).

The rules are the record's (record/fhir_writing.py); here is what HTTP says about them.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from urllib.parse import urlencode

from chartwire.api.fhir.assembling import BASE, base_of
from chartwire.api.fhir.judging import Judge, sent_resource, standing_body
from chartwire.api.fhir.negotiation import Preferences, preferences
from chartwire.api.fhir.outcome import outcome_of
from chartwire.api.fhir.patch import MEDIA as PATCH_MEDIA
from chartwire.api.fhir.patch import sent_patch
from chartwire.api.fhir.types import known
from chartwire.api.http import FHIR_JSON, Answer, Header, Request
from chartwire.api.idempotency import idempotency_key, performed
from chartwire.api.problem import ApiError, bad_parameter
from chartwire.api.routes import ANY_RESOURCE, Action, Handler, Route
from chartwire.api.services import Services
from chartwire.api.validators import http_date
from chartwire.channels import route
from chartwire.core.fhir_ids import is_fhir_id
from chartwire.core.limits import HTTP_BODY_BYTES_MAX
from chartwire.formats.fhir.validate import Issue
from chartwire.record.fhir_conditions import settled
from chartwire.record.fhir_refusals import PreconditionError
from chartwire.record.fhir_writing import Done, FhirWriter, Integrity, Method, Write
from chartwire.record.standing import Standing
from chartwire.store.pool import Connection

_VERSION = re.compile(rb'\s*(?:W/)?"([1-9][0-9]{0,8})"\s*')
_CREATED, _NO_CONTENT = 201, 204


async def create(request: Request, services: Services) -> Answer:
    """`POST /fhir/R4/{type}`: a new resource with a new id; with If-None-Exist only where none meets that condition.

    fhirpy and others write the condition into the address, where it means the same.
    """
    kind = known(request.parts[0])
    body, issues = await sent_resource(request, kind, base_of(request, services), services.terminologies)
    unless, addressed = request.headers.get(b"if-none-exist"), urlencode(request.pairs) or None
    condition = addressed if unless is None else _needed(unless.decode("latin-1").rpartition("?")[2], "If-None-Exist")
    return await perform(request, services, Write("create", kind, body=body), condition, issues)


async def update(request: Request, services: Services) -> Answer:
    """`PUT /fhir/R4/{type}/{id}` or `{type}?{condition}`: the resource as it is to be; a new one where none stands."""
    write, condition = _addressed(request, "update")
    stands = partial(standing_body, services.pool, request.access, write.type, write.id)
    base = base_of(request, services)
    body, issues = await sent_resource(request, write.type, base, services.terminologies, stands)
    write = replace(write, body=body, absent=wants_absent(request))
    return await perform(request, services, write, condition, issues)


async def patch(request: Request, services: Services) -> Answer:
    """`PATCH /fhir/R4/{type}/{id}` or `{type}?{condition}`: a JSON Patch, merge patch or FHIRPath Patch."""
    write, condition = _addressed(request, "patch")
    judge = await Judge.of(services.terminologies)
    write = replace(write, change=await sent_patch(request, base_of(request, services), judge))
    return await judge.knowing(lambda: perform(request, services, write, condition, judge.issues))


async def delete(request: Request, services: Services) -> Answer:
    """`DELETE /fhir/R4/{type}/{id}` or `{type}?{condition}`: gone from now on (410), but for its history."""
    return await perform(request, services, *_addressed(request, "delete"))


async def perform(
    request: Request,
    services: Services,
    write: Write,
    condition: str | None = None,
    issues: Sequence[Issue] = (),
) -> Answer:
    """Make one write (of what meets the condition, where there is one), once for its Idempotency-Key, and answer with
    what stands then. `issues` are what is worth knowing about its body."""
    preferred = preferences(request)
    asked = replace(write, references=integrity_of(preferred))

    async def effect(tx: Connection) -> Answer:
        writer = FhirWriter(request.access, tx)
        if not tx.in_transaction:
            writer.look_at_nothing()
        try:
            done = await _made(writer, asked, condition)
        except PreconditionError as error:
            raise precondition_failed(error) from None
        at = await finished(writer)
        told = [*issues, *map(dangling_issue, writer.dangling)]
        return _answer(done, at, preferred, told, base_of(request, services))

    answer = None
    if condition is None and asked.needs_no_look and idempotency_key(request) is None:
        answer = await services.unread.tried(request.access.org, services.pool, effect)
    if answer is None:
        answer = await performed(request, services, effect)
    services.wake()
    return answer


async def finished(writer: FhirWriter) -> datetime:
    """Write what changed, its events and their deliveries; answers the time of the versions."""
    at = await writer.finish()
    if writer.writer.heard:
        await route.deliver(writer.tx, writer.access.org, at, writer.writer.work.events)
    return at


async def _made(writer: FhirWriter, asked: Write, condition: str | None) -> list[Done]:
    writes = [asked] if condition is None else await settled(writer, asked, condition)
    await writer.read(writes)
    return [await writer.apply(write) for write in writes]


# What a request says ------------------------------------------------------------------------------------------------


def _addressed(request: Request, method: Method) -> tuple[Write, str | None]:
    """The write of a request as far as its head tells it, with the condition that stands in place of an id."""
    kind, version = known(request.parts[0]), wanted_version(request)
    if len(request.parts) > 1:
        return Write(method, kind, wanted_id(request.parts[1]), version=version), None
    return Write(method, kind, version=version), _needed(urlencode(request.pairs), "the address")


def wanted_id(text: str) -> str:
    """The id in the address of a write. Raises ApiError (400) for what can be none."""
    if not is_fhir_id(text):
        raise bad_parameter("id", "is 1 to 64 letters, digits, `-` and `.`")
    return text


def _needed(condition: str, place: str) -> str:
    if not condition.strip():
        raise ApiError(f"{place} names neither an id nor a condition such as `identifier=...`", code="condition_needed")
    return condition


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


def integrity_of(preferred: Preferences) -> Integrity:
    """What is to become of references that lead nowhere, by what a request prefers."""
    if preferred.strict:
        return "strict"
    return "told" if preferred.returning == "OperationOutcome" else "stored"


# What a write gives back --------------------------------------------------------------------------------------------


def _answer(done: Sequence[Done], at: datetime, preferred: Preferences, issues: Sequence[Issue], base: str) -> Answer:
    """What stands then, by Prefer: return (R4 3.1.0.1.4), with its version in the headers. Nothing after deletions."""
    patients = tuple(dict.fromkeys(patient for one in done for patient in one.patients))
    if not done or done[0].status == _NO_CONTENT:
        etags = [_etag(one.held.version) for one in done if one.held.version]
        told = etags if len(done) == 1 else ()
        return Answer(b"", _NO_CONTENT, FHIR_JSON, told, sum(one.changed for one in done), patients)
    [one] = done
    held = one.held
    modified = at if one.changed else held.stored_at or at
    headers: list[Header] = [_etag(held.version), (b"last-modified", http_date(modified))]
    if one.status == _CREATED or not one.changed:
        headers.append((b"location", location_of(base, held).encode()))
    return Answer(_body(one, preferred, issues), one.status, FHIR_JSON, headers, 1, patients)


def _body(done: Done, preferred: Preferences, issues: Sequence[Issue]) -> bytes:
    if preferred.returning == "minimal":
        return b""
    if preferred.returning == "OperationOutcome":
        return outcome_of(issues)
    return done.text.encode()


def location_of(base: str, held: Standing) -> str:
    """The absolute address of the version that stands (R4 3.1.0.8)."""
    return f"{base}/{held.reference}/_history/{held.version}"


def dangling_issue(place: str) -> Issue:
    """A reference that leads nowhere, told to who asked."""
    return Issue("warning", "not-found", place, "reference_not_found", "leads to nothing that is there now")


def _etag(version: int) -> Header:
    return (b"etag", b'W/"%d"' % version)


def precondition_failed(error: PreconditionError) -> ApiError:
    """The answer 412, with the version that stands."""
    headers = [_etag(error.version)] if error.version else []
    return ApiError(error.message, code=error.code, error_class="conflict", headers=headers)


# Routes -------------------------------------------------------------------------------------------------------------


def _route(method: str, path: str, handle: Handler, summary: str, action: Action) -> Route:
    return Route(
        method,
        path,
        handle,
        summary,
        "fhir.write",
        ANY_RESOURCE,
        action,
        checked=True,
        status={"create": _CREATED, "delete": _NO_CONTENT}.get(action, 200),
        media=FHIR_JSON.decode(),
        tag="FHIR R4",
        open_query=path == _ALL,
        conditional=action != "create",
        body_bytes_max=HTTP_BODY_BYTES_MAX,
        body_media=PATCH_MEDIA if method == "PATCH" else (FHIR_JSON.decode(), "application/json"),
    )


_ALL, _ONE = f"{BASE}/{{type}}", f"{BASE}/{{type}}/{{id}}"
ROUTES = (
    _route("POST", _ALL, create, "Create a resource", "create"),
    _route("PUT", _ONE, update, "Update a resource, or create it under this id", "update"),
    _route("PATCH", _ONE, patch, "Change a resource in part", "update"),
    _route("DELETE", _ONE, delete, "Delete a resource", "delete"),
    _route("PUT", _ALL, update, "Update the resource that meets a condition, or create one", "update"),
    _route("PATCH", _ALL, patch, "Change the resource that meets a condition in part", "update"),
    _route("DELETE", _ALL, delete, "Delete the resource that meets a condition", "delete"),
)
