"""Webhook endpoints: register, list, read, change, switch off and on, delete; how they fare."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET

from chartwire.api.http import Answer, Request, json_answer
from chartwire.api.idempotency import idempotent, performed
from chartwire.api.problem import ApiError
from chartwire.api.rest.endpoint_models import (
    Endpoint,
    EndpointOrder,
    EndpointPage,
    EndpointPatch,
    Figures,
    NewEndpoint,
    Reason,
    Stats,
    shown_endpoint,
)
from chartwire.api.rest.etags import check_if_match, etag_of
from chartwire.api.rest.ids import in_path
from chartwire.api.rest.models import Page
from chartwire.api.routes import Route
from chartwire.api.services import Services
from chartwire.core.clock import instant
from chartwire.delivery import destinations, log
from chartwire.delivery.destinations import Draft
from chartwire.delivery.settings import NAMES, EndpointSettings
from chartwire.store.pool import Connection
from chartwire.trust.outbound import Outbound

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_OF_DRAFT = ("name", "url", "event_types", "api_version", "headers")


async def create(request: Request, services: Services) -> Answer:
    """`POST /api/v1/webhooks/endpoints`: 201 with the secret."""
    order = await request.body(EndpointOrder)
    draft = Draft(
        order.name,
        order.url,
        tuple(order.event_types),
        order.api_version,
        EndpointSettings(**{name: getattr(order, name) for name in NAMES}),
        order.headers,
    )
    await destinations.check(services.pool, request.access, door_of(services), draft)

    async def effect(tx: Connection) -> Answer:
        made, secret = await destinations.register(tx, request.access, services.sealer, draft)
        told = NewEndpoint(**msgspec.structs.asdict(shown_endpoint(made)), secret=secret)
        place = f"{_BASE}/{told.id}".encode()
        return json_answer(told, status=201, headers=[(b"location", place), etag_of(made.version)], count=1)

    return await performed(request, services, effect)


async def many(request: Request, services: Services) -> Answer:
    """`GET /api/v1/webhooks/endpoints`."""
    async with services.pool.transaction(request.access.org) as tx:
        found = await destinations.list_all(tx, request.access)
    return json_answer(Page([shown_endpoint(one) for one in found], False, None, "list"), count=len(found))


async def one(request: Request, services: Services) -> Answer:
    """`GET /api/v1/webhooks/endpoints/{id}`."""
    async with services.pool.transaction(request.access.org) as tx:
        return _answer(await destinations.read(tx, request.access, wanted(request)))


async def change(request: Request, services: Services) -> Answer:
    """`PATCH /api/v1/webhooks/endpoints/{id}`: a merge patch; open deliveries follow the new rules."""
    endpoint_id = wanted(request)
    async with services.pool.transaction(request.access.org) as tx:
        stands = await destinations.read(tx, request.access, endpoint_id)
        headers = await destinations.headers_of(tx, request.access, services.sealer, endpoint_id)
    patch = await request.body(EndpointPatch)
    draft = _patched(stands, headers, patch)
    await destinations.check(services.pool, request.access, door_of(services), draft)

    async def effect(tx: Connection) -> Answer:
        check_if_match(request, stands.version)
        changed = await destinations.change(
            tx, request.access, services.sealer, endpoint_id, draft, version=stands.version
        )
        return _answer(changed)

    return await performed(request, services, effect)


@idempotent
async def remove(request: Request, _: Services, tx: Connection) -> Answer:
    """`DELETE /api/v1/webhooks/endpoints/{id}`: 204; nothing more is sent there, its log stays."""
    endpoint_id = wanted(request)
    check_if_match(request, (await destinations.read(tx, request.access, endpoint_id)).version)
    await destinations.delete(tx, request.access, endpoint_id)
    return Answer(b"", 204, count=1)


@idempotent
async def disable(request: Request, _: Services, tx: Connection) -> Answer:
    """`POST /api/v1/webhooks/endpoints/{id}/disable`: what is open waits."""
    await destinations.read(tx, request.access, wanted(request))
    reason = Reason() if request.has_no_body else await request.body(Reason)
    await destinations.disable(tx, request.access, wanted(request), reason.reason)
    return _answer(await destinations.read(tx, request.access, wanted(request)))


async def enable(request: Request, services: Services) -> Answer:
    """`POST /api/v1/webhooks/endpoints/{id}/enable`: what waited goes out."""

    async def effect(tx: Connection) -> Answer:
        await destinations.enable(tx, request.access, wanted(request))
        return _answer(await destinations.read(tx, request.access, wanted(request)))

    answer = await performed(request, services, effect)
    services.wake()
    return answer


async def stats(request: Request, services: Services) -> Answer:
    """`GET /api/v1/webhooks/endpoints/{id}/stats`."""
    access, endpoint_id = request.access, wanted(request)
    async with services.pool.transaction(access.org) as tx:
        await destinations.read(tx, access, endpoint_id)
        hour, day = [_figures(await log.figures(tx, access, endpoint_id, span)) for span in (_HOUR, _DAY)]
        waiting, due_since = await log.waiting(tx, access, endpoint_id)
    told = Stats(request.parts[0], hour, day, waiting, instant(due_since) if due_since else None)
    return json_answer(told, count=1)


def wanted(request: Request) -> UUID:
    """The endpoint that the address names."""
    return in_path("endpoint", request.parts[0])


def door_of(services: Services) -> Outbound:
    """The door for outbound connections. Raises ApiError where this process has none."""
    if services.outbound is None:
        raise ApiError("webhooks are not served by this process", code="not_available", error_class="transient")
    return services.outbound


def _patched(stands: destinations.Endpoint, headers: Mapping[str, str], patch: EndpointPatch) -> Draft:
    given: dict[str, Any] = {name: value for name, value in msgspec.structs.asdict(patch).items() if value is not UNSET}
    if "event_types" in given:
        given["event_types"] = tuple(given["event_types"])
    told = msgspec.structs.replace(stands.settings, **{name: given[name] for name in NAMES if name in given})
    draft = Draft(stands.name, stands.url, stands.event_types, stands.api_version, told, headers)
    return replace(draft, **{name: given[name] for name in _OF_DRAFT if name in given})


def _answer(endpoint: destinations.Endpoint) -> Answer:
    return json_answer(shown_endpoint(endpoint), headers=[etag_of(endpoint.version)], count=1)


def _figures(found: log.Figures) -> Figures:
    return Figures(found.attempts, found.delivered, found.success_rate, found.p95_ms)


_BASE, _TAG, _TYPE = "/api/v1/webhooks/endpoints", "webhooks", "WebhookEndpoint"
_ONE = f"{_BASE}/{{id}}"
_READ, _WRITE = "webhooks.read", "webhooks.write"
ROUTES = (
    Route("GET", _BASE, many, "List webhook endpoints", _READ, _TYPE, "search", answer=EndpointPage, tag=_TAG),
    Route(
        "POST",
        _BASE,
        create,
        "Register a webhook endpoint",
        _WRITE,
        _TYPE,
        "create",
        answer=NewEndpoint,
        body=EndpointOrder,
        status=201,
        tag=_TAG,
    ),
    Route("GET", _ONE, one, "Read a webhook endpoint", _READ, _TYPE, answer=Endpoint, tag=_TAG),
    Route(
        "PATCH",
        _ONE,
        change,
        "Change a webhook endpoint",
        _WRITE,
        _TYPE,
        "update",
        answer=Endpoint,
        body=EndpointPatch,
        conditional=True,
        tag=_TAG,
    ),
    Route(
        "DELETE",
        _ONE,
        remove,
        "Delete a webhook endpoint for good",
        _WRITE,
        _TYPE,
        "delete",
        status=204,
        conditional=True,
        tag=_TAG,
    ),
    Route(
        "POST",
        f"{_ONE}/disable",
        disable,
        "Switch a webhook endpoint off",
        _WRITE,
        _TYPE,
        "update",
        answer=Endpoint,
        body=Reason,
        body_optional=True,
        tag=_TAG,
    ),
    Route(
        "POST",
        f"{_ONE}/enable",
        enable,
        "Switch a webhook endpoint on",
        _WRITE,
        _TYPE,
        "update",
        answer=Endpoint,
        tag=_TAG,
    ),
    Route("GET", f"{_ONE}/stats", stats, "How a webhook endpoint fares", _READ, _TYPE, answer=Stats, tag=_TAG),
)
