"""What went out: deliveries with their attempts, and sending one of them again."""

from typing import Any, Literal
from uuid import UUID

import msgspec

from chartwire.api.http import Answer, Request, json_answer
from chartwire.api.idempotency import performed
from chartwire.api.problem import bad_parameter, not_found
from chartwire.api.rest.filters import chosen, read_instant
from chartwire.api.rest.ids import in_path, in_query, shown, shown_or_none
from chartwire.api.rest.lists import LIMIT, PAGE_TOKEN, page, window
from chartwire.api.rest.models import Page
from chartwire.api.routes import Parameter, Route
from chartwire.api.services import Services
from chartwire.core.access import Access
from chartwire.core.clock import instant
from chartwire.delivery import log, replays
from chartwire.store.pool import Connection, Row

STATES = ("pending", "retrying", "unknown", "delivered", "dead")
RESPONSES_SCOPE = "webhooks.read_responses"


class Delivery(msgspec.Struct, frozen=True):
    """One event on its way to one endpoint. `unknown`: sent, but no answer came; it is sent again under the same id."""

    id: str
    event_id: str
    endpoint_id: str
    endpoint_name: str | None
    state: Literal["pending", "retrying", "unknown", "delivered", "dead"]
    attempts: int
    created_at: str
    next_attempt_at: str | None
    finished_at: str | None
    message_id: str | None
    event_type: str | None
    resource_id: str | None
    resource_version: int | None
    object: Literal["delivery"] = "delivery"


class Attempt(msgspec.Struct, frozen=True):
    """One try: `status` is the HTTP status where one came; `response` the start of the answer, null for a key without
    the scope `webhooks.read_responses`."""

    number: int
    started_at: str
    outcome: str
    status: int | None
    duration_ms: int
    error: str | None
    response: str | None


class DeliveryWithAttempts(Delivery, frozen=True, kw_only=True):
    """A delivery and every try."""

    attempt_log: list[Attempt]


class WholeDelivery(DeliveryWithAttempts, frozen=True, kw_only=True):
    """A delivery, every try, and the body that each of them carried. `replay_id` is the last replay that sent it."""

    body: msgspec.Raw
    replay_id: str | None


class DeliveryPage(Page, frozen=True, omit_defaults=True):
    """A page of deliveries."""

    data: list[DeliveryWithAttempts]


class NewReplay(msgspec.Struct, frozen=True):
    """What was begun: it stands at `GET /api/v1/webhooks/replays/{id}`."""

    replay_id: str


def delivery_of(row: Row) -> Delivery:
    """A delivery row for people and programs."""
    finished = row["finished_at"]
    return Delivery(
        id=delivery_id(row["event_id"], row["destination_id"]),
        event_id=shown("event", row["event_id"]),
        endpoint_id=shown("endpoint", row["destination_id"]),
        endpoint_name=row["destination_name"],
        state=row["state"],
        attempts=row["attempts"],
        created_at=instant(row["created_at"]),
        next_attempt_at=None if finished else instant(row["next_attempt_at"]),
        finished_at=instant(finished) if finished else None,
        message_id=shown_or_none("message", row["message_id"]),
        event_type=row["type"],
        resource_id=shown(row["resource_type"], row["resource_id"]) if row["resource_id"] else None,
        resource_version=row["version"],
    )


def delivery_id(event_id: UUID, endpoint_id: UUID) -> str:
    """`dlv_`, the event's letters, `_`, the endpoint's letters: a delivery is one event to one endpoint."""
    return f"dlv_{shown('event', event_id).partition('_')[2]}_{shown('endpoint', endpoint_id).partition('_')[2]}"


async def many(request: Request, services: Services) -> Answer:
    """`GET /api/v1/webhooks/deliveries`."""
    at = window(request, services, "webhooks/deliveries", ids=2)
    query = at.query
    wanted = log.Wanted(
        before=(at.before[0], at.before[1]),
        states=chosen("state", query["state"], STATES) if "state" in query else None,
        endpoint=in_query("endpoint", "endpoint_id", query["endpoint_id"]) if "endpoint_id" in query else None,
        event=in_query("event", "event_id", query["event_id"]) if "event_id" in query else None,
        event_types=tuple(query["event_type"].split(",")) if "event_type" in query else None,
        status=_status(query["status"]) if "status" in query else None,
        since=read_instant("since", query["since"]) if "since" in query else None,
        until=read_instant("until", query["until"]) if "until" in query else None,
    )
    rows = await log.deliveries(services.pool, request.access, wanted, at.limit + 1)
    shown_rows = rows[: at.limit]
    tries = await _attempts(services, request.access, [_key(row) for row in shown_rows])
    data = [
        DeliveryWithAttempts(**msgspec.structs.asdict(delivery_of(row)), attempt_log=tries.get(_key(row), []))
        for row in shown_rows
    ]
    return page(request, services, at, rows, _key, data)


async def one(request: Request, services: Services) -> Answer:
    """`GET /api/v1/webhooks/deliveries/{id}`."""
    event_id, endpoint_id = _wanted(request)
    row = await log.delivery(services.pool, request.access, event_id, endpoint_id)
    if row is None:
        raise not_found()
    tries = await _attempts(services, request.access, [_key(row)])
    told: dict[str, Any] = msgspec.structs.asdict(delivery_of(row))
    whole = WholeDelivery(
        **told,
        attempt_log=tries.get(_key(row), []),
        body=msgspec.Raw(row["body"]),
        replay_id=shown_or_none("replay", row["replay_id"]),
    )
    return json_answer(whole, count=1)


async def again(request: Request, services: Services) -> Answer:
    """`POST /api/v1/webhooks/deliveries/{id}/replay`: 202; the same id and body are sent again."""
    event_id, endpoint_id = _wanted(request)

    async def effect(tx: Connection) -> Answer:
        replay_id = shown("replay", await replays.again(tx, request.access, event_id, endpoint_id))
        place = f"/api/v1/webhooks/replays/{replay_id}".encode()
        return json_answer(NewReplay(replay_id), status=202, headers=[(b"location", place)], count=1)

    answer = await performed(request, services, effect)
    services.wake()
    return answer


def _wanted(request: Request) -> tuple[UUID, UUID]:
    _, _, letters = request.parts[0].partition("dlv_")
    event, _, endpoint = letters.partition("_")
    return in_path("event", f"evt_{event}"), in_path("endpoint", f"whe_{endpoint}")


def _status(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) == 3):
        raise bad_parameter("status", "is an HTTP status of three digits")
    return int(text)


def _key(row: Row) -> tuple[UUID, UUID]:
    return (row["event_id"], row["destination_id"])


async def _attempts(
    services: Services, access: Access, keys: list[tuple[UUID, UUID]]
) -> dict[tuple[UUID, UUID], list[Attempt]]:
    may_read = access.allows(RESPONSES_SCOPE)
    found: dict[tuple[UUID, UUID], list[Attempt]] = {}
    for row in await log.attempts(services.pool, access, keys):
        found.setdefault(_key(row), []).append(_attempt(row, may_read))
    return found


def _attempt(row: Row, may_read: bool) -> Attempt:
    response = row["response"].decode("utf-8", "replace") if row["response"] and may_read else None
    return Attempt(
        row["number"],
        instant(row["started_at"]),
        row["outcome"],
        row["status"],
        row["duration_ms"],
        row["error"],
        response,
    )


_BASE, _TAG, _TYPE = "/api/v1/webhooks/deliveries", "webhooks", "Delivery"
ROUTES = (
    Route(
        "GET",
        _BASE,
        many,
        "List deliveries with their attempts, newest event first",
        "webhooks.read",
        _TYPE,
        "search",
        parameters=(
            Parameter("state", f"One or more of {', '.join(STATES)}, joined by commas", "string", STATES),
            Parameter("endpoint_id", "Deliveries to this endpoint"),
            Parameter("event_id", "Deliveries of this event"),
            Parameter("event_type", "Of these events: names or families (`patient.*`), joined by commas"),
            Parameter("status", "Deliveries of which an attempt was answered with this HTTP status"),
            Parameter("since", "Of events at or after this time", "instant"),
            Parameter("until", "Of events before this time", "instant"),
            LIMIT,
            PAGE_TOKEN,
        ),
        answer=DeliveryPage,
        tag=_TAG,
    ),
    Route("GET", f"{_BASE}/{{id}}", one, "Read a delivery", "webhooks.read", _TYPE, answer=WholeDelivery, tag=_TAG),
    Route(
        "POST",
        f"{_BASE}/{{id}}/replay",
        again,
        "Send a delivery again",
        "webhooks.write",
        _TYPE,
        "replay",
        answer=NewReplay,
        status=202,
        tag=_TAG,
    ),
)
