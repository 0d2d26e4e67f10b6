"""The change feed: every event of 30 days, in an order in which nothing comes late."""

import re
from collections.abc import Mapping
from uuid import UUID

import msgspec

from chartwire.api.http import Answer, Request
from chartwire.api.problem import ApiError, bad_parameter
from chartwire.api.rest.lists import LIMIT
from chartwire.api.rest.pages import page_limit
from chartwire.api.routes import Parameter, Route
from chartwire.api.services import Services
from chartwire.delivery.destinations import API_VERSION, matches
from chartwire.delivery.payload import body_of
from chartwire.events.outbox import event_of
from chartwire.record import outgoing
from chartwire.store.pool import Row

_CURSOR = re.compile(r"cur_([0-9a-f]{1,16})_([0-9a-f]{32})")
_TYPE = re.compile(r"\*|[a-z_]{1,40}\.(?:\*|[a-z_]{1,40})")
_START = "cur_0_" + "0" * 32


class EventData(msgspec.Struct, frozen=True):
    """What changed, and where to read it."""

    object: str
    id: str
    version: int
    links: dict[str, str]


class Event(msgspec.Struct, frozen=True):
    """The envelope that webhooks carry. `sequence` rises with each change of one resource."""

    id: str
    type: str
    api_version: str
    created_at: str
    tenant: str
    sequence: int
    data: EventData
    changed: list[str] | None


class EventPage(msgspec.Struct, frozen=True):
    """Events, oldest first. `next_cursor` is the `after` of the next call, now or later, also when `data` is empty."""

    data: list[Event]
    next_cursor: str
    has_more: bool
    object: str = "list"


async def many(request: Request, services: Services) -> Answer:
    """`GET /api/v1/events`: what `types` leaves out is passed over, so that `data` may be shorter than `limit`."""
    limit, patterns = page_limit(request.query), _patterns(request.query)
    after = request.query.get("after", _START)
    rows = await outgoing.events(services.pool, request.access, _position(after), limit + 1)
    seen = rows[:limit]
    chosen = [row for row in seen if patterns is None or matches(patterns, row["type"])]
    page = {
        "object": "list",
        "data": [
            msgspec.Raw(body_of(request.access.org, event_of(row), row["created_at"], API_VERSION)) for row in chosen
        ],
        "next_cursor": _cursor(seen[-1]) if seen else after,
        "has_more": len(rows) > limit,
    }
    patients = {row["patient_id"] for row in chosen if row["patient_id"]}
    return Answer(msgspec.json.encode(page), count=len(chosen), patients=patients)


def _patterns(query: Mapping[str, str]) -> list[str] | None:
    text = query.get("types")
    if text is None:
        return None
    patterns = [one.strip() for one in text.split(",")]
    if not all(_TYPE.fullmatch(one) for one in patterns):
        raise bad_parameter("types", "is event types such as patient.updated or appointment.*, joined by commas")
    return patterns


def _position(cursor: str) -> tuple[int, UUID]:
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        raise ApiError("take the cursor from `next_cursor` as it is", code="page_token_invalid")
    return int(found.group(1), 16), UUID(found.group(2))


def _cursor(row: Row) -> str:
    return f"cur_{int(row['xid']):x}_{row['id'].hex}"


ROUTES = (
    Route(
        "GET",
        "/api/v1/events",
        many,
        "The change feed, oldest first",
        "events.read",
        "Event",
        "search",
        parameters=(
            Parameter("after", "`next_cursor` of an earlier call; from the beginning (30 days ago) without it"),
            Parameter("types", "Event types such as patient.updated or appointment.*, joined by commas"),
            LIMIT,
        ),
        answer=EventPage,
        tag="events",
    ),
)
