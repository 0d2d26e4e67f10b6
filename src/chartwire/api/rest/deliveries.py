"""What went out: deliveries with their attempts."""

from typing import Literal
from uuid import UUID

import msgspec

from chartwire.api.http import Answer, Request
from chartwire.api.rest.filters import chosen
from chartwire.api.rest.ids import in_query, shown, shown_or_none
from chartwire.api.rest.lists import LIMIT, PAGE_TOKEN, page, window
from chartwire.api.rest.models import Page
from chartwire.api.routes import Parameter, Route
from chartwire.api.services import Services
from chartwire.core.clock import instant
from chartwire.record import outgoing
from chartwire.store.pool import Row

STATES = ("pending", "retrying", "unknown", "delivered", "dead")


class Delivery(msgspec.Struct, frozen=True):
    """One event on its way to one endpoint. `unknown`: sent, but no answer came; it is sent again under the same id."""

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
    """One try: `status` is the HTTP status where one came."""

    number: int
    started_at: str
    outcome: str
    status: int | None
    duration_ms: int
    error: str | None


class DeliveryWithAttempts(Delivery, frozen=True, kw_only=True):
    """A delivery and every try."""

    attempt_log: list[Attempt]


class DeliveryPage(Page, frozen=True, omit_defaults=True):
    """A page of deliveries."""

    data: list[DeliveryWithAttempts]


def delivery_of(row: Row) -> Delivery:
    """A delivery row for people and programs."""
    finished = row["finished_at"]
    return Delivery(
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


async def many(request: Request, services: Services) -> Answer:
    """`GET /api/v1/webhooks/deliveries`."""
    at = window(request, services, "webhooks/deliveries", ids=2)
    query = at.query
    wanted = outgoing.Wanted(
        before=(at.before[0], at.before[1]),
        states=chosen("state", query["state"], STATES) if "state" in query else None,
        endpoint=in_query("endpoint", "endpoint_id", query["endpoint_id"]) if "endpoint_id" in query else None,
        event=in_query("event", "event_id", query["event_id"]) if "event_id" in query else None,
    )
    rows = await outgoing.deliveries(services.pool, request.access, wanted, at.limit + 1)
    shown_rows = rows[: at.limit]
    log: dict[tuple[UUID, UUID], list[Attempt]] = {}
    for row in await outgoing.attempts(services.pool, request.access, [_key(row) for row in shown_rows]):
        log.setdefault((row["event_id"], row["destination_id"]), []).append(_attempt(row))
    data = [
        DeliveryWithAttempts(**msgspec.structs.asdict(delivery_of(row)), attempt_log=log.get(_key(row), []))
        for row in shown_rows
    ]
    return page(request, services, at, rows, _key, data)


def _key(row: Row) -> tuple[UUID, UUID]:
    return (row["event_id"], row["destination_id"])


def _attempt(row: Row) -> Attempt:
    return Attempt(
        row["number"], instant(row["started_at"]), row["outcome"], row["status"], row["duration_ms"], row["error"]
    )


ROUTES = (
    Route(
        "GET",
        "/api/v1/webhooks/deliveries",
        many,
        "List deliveries with their attempts, newest event first",
        "webhooks.read",
        "Delivery",
        "search",
        parameters=(
            Parameter("state", f"One or more of {', '.join(STATES)}, joined by commas", "string", STATES),
            Parameter("endpoint_id", "Deliveries to this endpoint"),
            Parameter("event_id", "Deliveries of this event"),
            LIMIT,
            PAGE_TOKEN,
        ),
        answer=DeliveryPage,
        tag="webhooks",
    ),
)
