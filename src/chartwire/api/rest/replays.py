"""Sending a range of deliveries again: count first, begin, watch, cancel; and recovering an endpoint that failed."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from chartwire.api.http import Answer, Request, json_answer
from chartwire.api.idempotency import Effect, idempotent, performed
from chartwire.api.rest.endpoints import wanted
from chartwire.api.rest.filters import read_instant
from chartwire.api.rest.ids import in_path, in_query, shown, shown_or_none
from chartwire.api.rest.lists import LIMIT, PAGE_TOKEN, page, window
from chartwire.api.rest.models import Page
from chartwire.api.routes import Parameter, Route
from chartwire.api.services import Services
from chartwire.core.clock import instant, now
from chartwire.delivery import destinations, replays
from chartwire.delivery.replays import STATES_DEFAULT, Order, State
from chartwire.store.pool import Connection, Row


class WebhookReplayOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which events to send again: from `since` to `until` (now, when left out), of these types, whose delivery is in
    one of `states` (`missing`: none was made, as while the endpoint was off). `include_record_only` takes history
    along that nobody was told of. With `dry_run` they are only counted."""

    since: str
    until: str | None = None
    states: Annotated[list[State], Meta(min_length=1)] = msgspec.field(default_factory=lambda: list(STATES_DEFAULT))
    event_types: Annotated[list[str], Meta(min_length=1, max_length=50)] = msgspec.field(default_factory=lambda: ["*"])
    include_record_only: bool = False
    dry_run: bool = False


class RecoverOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Since when to send what was missed; by default since the endpoint failed or was switched off."""

    since: str | None = None


class ReplayPreview(msgspec.Struct, frozen=True):
    """How many deliveries a replay would make: at most so many where `is_upper_bound`."""

    deliveries: int
    is_upper_bound: bool
    dry_run: bool = True
    object: str = "webhook_replay_preview"


class WebhookReplay(msgspec.Struct, frozen=True):
    """A replay. Of `expected` deliveries (as counted when it began) `queued` have been handed to the sender after
    `seen` events were looked at; a running one goes on by itself."""

    id: str
    endpoint_id: str
    endpoint_name: str | None
    state: Literal["running", "done", "cancelled"]
    since: str
    until: str
    states: list[str]
    event_types: list[str]
    include_record_only: bool
    expected: int
    seen: int
    queued: int
    created_at: str
    created_by: str
    finished_at: str | None
    object: str = "webhook_replay"


class Recovered(msgspec.Struct, frozen=True):
    """The endpoint is on again; the replay sends what it missed, null where nothing is known to be missing."""

    endpoint_id: str
    replay_id: str | None


class WebhookReplayPage(Page, frozen=True, omit_defaults=True):
    """A page of replays."""

    data: list[WebhookReplay]


async def start(request: Request, services: Services) -> Answer:
    """`POST /api/v1/webhooks/endpoints/{id}/replay`: 202 with the replay, or 200 with the count of a dry run."""
    async with services.pool.transaction(request.access.org) as tx:
        await destinations.read(tx, request.access, wanted(request))
    told = await request.body(WebhookReplayOrder)
    order = Order(
        wanted(request),
        read_instant("since", told.since),
        _clamped(told.until),
        tuple(told.states),
        tuple(told.event_types),
        told.include_record_only,
    )
    if told.dry_run:
        async with services.pool.transaction(request.access.org) as tx:
            counted = await replays.preview(tx, request.access, order)
        return json_answer(ReplayPreview(counted.deliveries, counted.is_upper_bound), count=1)

    async def effect(tx: Connection) -> Answer:
        replay_id = await replays.start(tx, request.access, order)
        told = _shown(await replays.read(tx, request.access, replay_id))
        return json_answer(told, status=202, headers=[(b"location", f"{_BASE}/{told.id}".encode())], count=1)

    return await _begun(request, services, effect)


async def recover(request: Request, services: Services) -> Answer:
    """`POST /api/v1/webhooks/endpoints/{id}/recover`: 202; the endpoint is on and gets what it missed."""
    order = RecoverOrder() if request.has_no_body else await request.body(RecoverOrder)
    since = None if order.since is None else read_instant("since", order.since)

    async def effect(tx: Connection) -> Answer:
        replay_id = await replays.recover(tx, request.access, wanted(request), since)
        told = Recovered(request.parts[0], shown_or_none("replay", replay_id))
        return json_answer(told, status=202, count=1)

    return await _begun(request, services, effect)


async def many(request: Request, services: Services) -> Answer:
    """`GET /api/v1/webhooks/replays`: newest first."""
    at = window(request, services, "webhooks/replays")
    endpoint = at.query.get("endpoint_id")
    of = None if endpoint is None else in_query("endpoint", "endpoint_id", endpoint)
    async with services.pool.transaction(request.access.org) as tx:
        rows = await replays.many(tx, request.access, at.before[0], of, at.limit + 1)
    return page(request, services, at, rows, _id, [_shown(row) for row in rows[: at.limit]])


async def one(request: Request, services: Services) -> Answer:
    """`GET /api/v1/webhooks/replays/{id}`."""
    async with services.pool.transaction(request.access.org) as tx:
        return json_answer(_shown(await replays.read(tx, request.access, _wanted(request))), count=1)


@idempotent
async def cancel(request: Request, _: Services, tx: Connection) -> Answer:
    """`POST /api/v1/webhooks/replays/{id}/cancel`: what is queued goes out, nothing more is queued."""
    replay_id = _wanted(request)
    await replays.cancel(tx, request.access, replay_id)
    return json_answer(_shown(await replays.read(tx, request.access, replay_id)), count=1)


async def _begun(request: Request, services: Services, effect: Effect) -> Answer:
    answer = await performed(request, services, effect)
    services.wake()
    return answer


def _clamped(until: str | None) -> datetime:
    """Nothing that happens after the order is sent by it: it is delivered anyway."""
    present = now()
    return present if until is None else min(read_instant("until", until), present)


def _wanted(request: Request) -> UUID:
    return in_path("replay", request.parts[0])


def _id(row: Row) -> tuple[UUID, ...]:
    return (row["id"],)


def _shown(row: Row) -> WebhookReplay:
    return WebhookReplay(
        id=shown("replay", row["id"]),
        endpoint_id=shown("endpoint", row["destination_id"]),
        endpoint_name=row["destination_name"],
        state=row["state"],
        since=instant(row["since"]),
        until=instant(row["until"]),
        states=list(row["states"]),
        event_types=list(row["event_types"]),
        include_record_only=row["historical"],
        expected=row["expected"],
        seen=row["seen"],
        queued=row["queued"],
        created_at=instant(row["created_at"]),
        created_by=row["created_by"],
        finished_at=instant(row["finished_at"]) if row["finished_at"] else None,
    )


_BASE, _TAG, _TYPE = "/api/v1/webhooks/replays", "webhooks", "WebhookReplay"
_ENDPOINT = "/api/v1/webhooks/endpoints/{id}"
_READ, _WRITE = "webhooks.read", "webhooks.write"
ROUTES = (
    Route(
        "POST",
        f"{_ENDPOINT}/replay",
        start,
        "Send events of a range of time again, or count them (`dry_run`)",
        _WRITE,
        _TYPE,
        "replay",
        answer=WebhookReplay,
        body=WebhookReplayOrder,
        status=202,
        tag=_TAG,
    ),
    Route(
        "POST",
        f"{_ENDPOINT}/recover",
        recover,
        "Switch a webhook endpoint on and send what it missed",
        _WRITE,
        _TYPE,
        "replay",
        answer=Recovered,
        body=RecoverOrder,
        body_optional=True,
        status=202,
        tag=_TAG,
    ),
    Route(
        "GET",
        _BASE,
        many,
        "List replays, newest first",
        _READ,
        _TYPE,
        "search",
        parameters=(Parameter("endpoint_id", "Replays to this endpoint"), LIMIT, PAGE_TOKEN),
        answer=WebhookReplayPage,
        tag=_TAG,
    ),
    Route("GET", f"{_BASE}/{{id}}", one, "Read a replay", _READ, _TYPE, answer=WebhookReplay, tag=_TAG),
    Route(
        "POST",
        f"{_BASE}/{{id}}/cancel",
        cancel,
        "Cancel a replay",
        _WRITE,
        _TYPE,
        "update",
        answer=WebhookReplay,
        tag=_TAG,
    ),
)
