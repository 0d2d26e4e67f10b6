"""FHIR R4 history of one resource, of a type, of everything (R4 3.1.0.13), newest version first."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson

from chartwire.api.fhir.assembling import BASE, base_of, bundle, entry, logical_id
from chartwire.api.fhir.negotiation import preferences
from chartwire.api.fhir.operations.given import moment
from chartwire.api.fhir.paging import PAGE, Pairs, links_of, page_size, resumed
from chartwire.api.fhir.types import known, served
from chartwire.api.http import FHIR_JSON, Answer, Request
from chartwire.api.problem import ApiError, not_found
from chartwire.api.routes import ANY_RESOURCE, Handler, Parameter, Route
from chartwire.api.services import Services
from chartwire.core.clock import instant
from chartwire.core.fhir_ids import store_id
from chartwire.core.limits import FHIR_PAGE_SIZE_DEFAULT
from chartwire.record.history import BEGINNING, Moment, Version, of_resource, of_types
from chartwire.record.read import Stored

_KNOWN = ("_count", "_since", PAGE)
_GENERATED = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class _Asked:
    pairs: Pairs
    since: datetime
    count: int


async def of_one(request: Request, services: Services) -> Answer:
    """`GET /fhir/R4/{type}/{id}/_history`: its versions, deletions too. 404 for what never was."""
    kind, wanted = known(request.parts[0]), store_id(request.parts[1])
    pairs, below = resumed(request, services, request.pairs, int)
    asked = _asked(request, pairs)
    bound = {} if below is None else {"below": below}
    versions, total = await of_resource(
        services.pool, request.access, kind, wanted, since=asked.since, limit=asked.count + 1, **bound
    )
    if not total:
        raise not_found()
    shown = versions[: asked.count]
    position = shown[-1].stored.version if shown and len(versions) > len(shown) else None
    return _answer(request, services, asked, shown, position, total=None if asked.since > BEGINNING else total)


async def of_type(request: Request, services: Services) -> Answer:
    """`GET /fhir/R4/{type}/_history`: the versions of every resource of a type."""
    return await _of_types(request, services, [known(request.parts[0])])


async def of_all(request: Request, services: Services) -> Answer:
    """`GET /fhir/R4/_history`: the versions of every resource."""
    return await _of_types(request, services, sorted(served()))


async def _of_types(request: Request, services: Services, types: Sequence[str]) -> Answer:
    pairs, behind = resumed(request, services, request.pairs, Moment)
    asked = _asked(request, pairs)
    versions, until = await of_types(
        services.pool, request.access, types, since=asked.since, behind=behind, limit=asked.count + 1
    )
    shown = versions[: asked.count]
    position = shown[-1].moment if shown and len(versions) > len(shown) else None
    return _answer(request, services, asked, shown, position, updated=until)


def _asked(request: Request, pairs: Pairs) -> _Asked:
    told = dict(pairs)
    unknown = told.keys() - set(_KNOWN)
    if unknown and preferences(request).strict:
        raise ApiError("a history knows the parameters _since and _count", code="unknown_parameter")
    request.asked = told.keys() - unknown
    count = page_size(told.get("_count"), FHIR_PAGE_SIZE_DEFAULT)
    return _Asked([pair for pair in pairs if pair[0] in _KNOWN], moment(told, "_since") or BEGINNING, count)


def _answer(
    request: Request,
    services: Services,
    asked: _Asked,
    versions: Sequence[Version],
    position: Moment | int | None,
    *,
    total: int | None = None,
    updated: datetime | None = None,
) -> Answer:
    base = base_of(request, services)
    links = links_of(request, services, asked.pairs, position)
    body = bundle("history", [_entry(base, one) for one in versions], links, total=total, updated=updated)
    patients = {one.stored.patient_id for one in versions if one.stored.patient_id}
    return Answer(body, 200, FHIR_JSON, (), len(versions), patients)


def _entry(base: str, version: Version) -> str:
    stored = version.stored
    told_id = logical_id(stored)
    method, url, status = _request_of(version.type, told_id, stored)
    rest = orjson.dumps(
        {
            "request": {"method": method, "url": url},
            "response": {
                "status": status,
                "etag": f'W/"{stored.version}"',
                "lastModified": instant(stored.updated_at),
            },
        }
    ).decode()
    if stored.deleted:
        return f'{{"fullUrl":"{base}/{version.type}/{told_id}",{rest[1:]}'
    return entry(base, version.type, told_id, stored.body, f",{rest[1:-1]}")


def _request_of(kind: str, told_id: str, stored: Stored) -> tuple[str, str, str]:
    """The request that would make this version: method, url, status."""
    if stored.deleted:
        return "DELETE", f"{kind}/{told_id}", "204 No Content"
    if stored.version > 1:
        return "PUT", f"{kind}/{told_id}", "200 OK"
    if _GENERATED.fullmatch(told_id):
        return "POST", kind, "201 Created"
    return "PUT", f"{kind}/{told_id}", "201 Created"


_PARAMETERS = (
    Parameter("_since", "Only versions from this instant on", "instant"),
    Parameter("_count", "How many at most, 1 to 1000", "integer"),
    Parameter(PAGE, "Where the history goes on, from the link `next`"),
)


def _route(path: str, handle: Handler, summary: str, resource_type: str) -> Route:
    return Route(
        "GET",
        BASE + path,
        handle,
        summary,
        "fhir.read",
        resource_type,
        "search",
        parameters=_PARAMETERS,
        media="application/fhir+json",
        tag="FHIR R4",
        open_query=True,
    )


ROUTES = (
    _route("/{type}/{id}/_history", of_one, "The versions of a resource", ANY_RESOURCE),
    _route("/{type}/_history", of_type, "The versions of a type's resources", ANY_RESOURCE),
    _route("/_history", of_all, "The versions of all resources", ""),
)
