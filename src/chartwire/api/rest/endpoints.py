"""Webhook endpoints: register, list, read, rotate the secret, switch off."""

from typing import Literal

import msgspec

from chartwire.api.http import Answer, Request, json_answer
from chartwire.api.problem import ApiError, not_found
from chartwire.api.rest.ids import in_path, shown
from chartwire.api.rest.models import Page
from chartwire.api.routes import Route
from chartwire.api.services import Services
from chartwire.core.clock import instant
from chartwire.core.errors import NotFoundError
from chartwire.delivery import destinations


class Endpoint(msgspec.Struct, frozen=True):
    """A registered webhook endpoint. Its secret is shown once, when it is made or rotated."""

    id: str
    name: str
    url: str
    event_types: list[str]
    api_version: str
    state: Literal["enabled", "disabled"]
    state_reason: str | None
    created_at: str
    object: Literal["webhook_endpoint"] = "webhook_endpoint"


class NewEndpoint(Endpoint, frozen=True, kw_only=True):
    """An endpoint with its secret, for the only time."""

    secret: str


class NewSecret(msgspec.Struct, frozen=True):
    """The new secret; the one before signs beside it for 24 hours."""

    id: str
    secret: str


class EndpointOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to register. Event types are names (`patient.updated`), families (`appointment.*`) or `*`."""

    url: str
    name: str = "webhook"
    event_types: list[str] = msgspec.field(default_factory=lambda: ["*"])


class EndpointPage(Page, frozen=True, omit_defaults=True):
    """All endpoints, at most 100."""

    data: list[Endpoint]


async def create(request: Request, services: Services) -> Answer:
    """`POST /api/v1/webhooks/endpoints`: 201 with the secret."""
    order = await request.body(EndpointOrder)
    if services.create_endpoint is None:
        raise _not_available()
    created = await services.create_endpoint(request.access, order.name, order.url, order.event_types)
    async with services.pool.transaction(request.access.org) as tx:
        made = await destinations.read(tx, request.access, created["id"])
    told = NewEndpoint(**msgspec.structs.asdict(_endpoint(made)), secret=created["secret"])
    place = f"/api/v1/webhooks/endpoints/{told.id}".encode()
    return json_answer(told, status=201, headers=[(b"location", place)], count=1)


async def many(request: Request, services: Services) -> Answer:
    """`GET /api/v1/webhooks/endpoints`."""
    async with services.pool.transaction(request.access.org) as tx:
        found = await destinations.list_all(tx, request.access)
    return json_answer(Page([_endpoint(one) for one in found], False, None, "list"), count=len(found))


async def one(request: Request, services: Services) -> Answer:
    """`GET /api/v1/webhooks/endpoints/{id}`."""
    wanted = in_path("endpoint", request.parts[0])
    try:
        async with services.pool.transaction(request.access.org) as tx:
            return json_answer(_endpoint(await destinations.read(tx, request.access, wanted)), count=1)
    except NotFoundError:
        raise not_found() from None


async def disable(request: Request, services: Services) -> Answer:
    """`DELETE /api/v1/webhooks/endpoints/{id}`: 204; its deliveries stay on record, nothing more is sent there."""
    wanted = in_path("endpoint", request.parts[0])
    if services.remove_endpoint is None:
        raise _not_available()
    try:
        await services.remove_endpoint(request.access, wanted)
    except NotFoundError:
        raise not_found() from None
    return Answer(b"", 204, count=1)


async def rotate(request: Request, services: Services) -> Answer:
    """`POST /api/v1/webhooks/endpoints/{id}/rotate-secret`."""
    wanted = in_path("endpoint", request.parts[0])
    try:
        async with services.pool.transaction(request.access.org) as tx:
            secret = await destinations.rotate_secret(tx, request.access, services.sealer, wanted)
    except NotFoundError:
        raise not_found() from None
    return json_answer(NewSecret(request.parts[0], secret), count=1)


def _not_available() -> ApiError:
    return ApiError("webhooks are not served by this process", code="not_available", error_class="transient")


def _endpoint(one: destinations.Endpoint) -> Endpoint:
    state: Literal["enabled", "disabled"] = "enabled" if one.state == "enabled" else "disabled"
    return Endpoint(
        id=shown("endpoint", one.id),
        name=one.name,
        url=one.url,
        event_types=list(one.event_types),
        api_version=one.api_version,
        state=state,
        state_reason=one.state_reason,
        created_at=instant(one.created_at),
    )


_BASE, _TAG, _TYPE = "/api/v1/webhooks/endpoints", "webhooks", "WebhookEndpoint"
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
    Route("GET", f"{_BASE}/{{id}}", one, "Read a webhook endpoint", _READ, _TYPE, answer=Endpoint, tag=_TAG),
    Route(
        "DELETE",
        f"{_BASE}/{{id}}",
        disable,
        "Switch a webhook endpoint off for good",
        _WRITE,
        _TYPE,
        "delete",
        status=204,
        tag=_TAG,
    ),
    Route(
        "POST",
        f"{_BASE}/{{id}}/rotate-secret",
        rotate,
        "Give a webhook endpoint a new secret",
        _WRITE,
        _TYPE,
        "create",
        answer=NewSecret,
        tag=_TAG,
    ),
)
