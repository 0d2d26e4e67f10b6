"""Cases for a person: what the record would not decide by itself."""

from typing import Any, Literal
from uuid import UUID

import msgspec
import orjson

from chartwire.api.http import Answer, Request
from chartwire.api.problem import not_found
from chartwire.api.rest.filters import chosen
from chartwire.api.rest.ids import in_path, shown, shown_or_none
from chartwire.api.rest.lists import LIMIT, PAGE_TOKEN, page, window
from chartwire.api.rest.models import Page
from chartwire.api.routes import Parameter, Route
from chartwire.api.services import Services
from chartwire.core.clock import instant
from chartwire.record import outgoing
from chartwire.store.pool import Row

STATES = ("open", "resolved")


class Review(msgspec.Struct, frozen=True):
    """One case. `detail` depends on `kind`."""

    id: str
    kind: str
    state: Literal["open", "resolved"]
    message_id: str | None
    resource_type: str | None
    resource_id: str | None
    detail: dict[str, Any]
    created_at: str
    resolved_at: str | None
    resolution: str | None
    object: Literal["review"] = "review"


class ReviewPage(Page, frozen=True, omit_defaults=True):
    """A page of cases."""

    data: list[Review]


async def many(request: Request, services: Services) -> Answer:
    """`GET /api/v1/reviews`."""
    at = window(request, services, "reviews")
    states = chosen("state", at.query["state"], STATES) if "state" in at.query else None
    kind = at.query.get("kind")
    rows = await outgoing.reviews(services.pool, request.access, at.before[0], states, kind, at.limit + 1)
    shown_rows = rows[: at.limit]
    patients = [patient for row in shown_rows for patient in _patients(row)]
    return page(request, services, at, rows, _key, [_review(row) for row in shown_rows], patients)


async def one(request: Request, services: Services) -> Answer:
    """`GET /api/v1/reviews/{id}`."""
    row = await outgoing.review(services.pool, request.access, in_path("review", request.parts[0]))
    if row is None:
        raise not_found()
    return Answer(msgspec.json.encode(_review(row)), count=1, patients=_patients(row))


def _key(row: Row) -> tuple[UUID, ...]:
    return (row["id"],)


def _patients(row: Row) -> tuple[UUID, ...]:
    return (row["resource_id"],) if row["resource_type"] == "Patient" and row["resource_id"] else ()


def _review(row: Row) -> Review:
    kind = row["resource_type"]
    return Review(
        id=shown("review", row["id"]),
        kind=row["kind"],
        state=row["state"],
        message_id=shown_or_none("message", row["message_id"]),
        resource_type=kind,
        resource_id=shown_or_none(kind or "", row["resource_id"]),
        detail=orjson.loads(row["detail"]),
        created_at=instant(row["created_at"]),
        resolved_at=instant(row["resolved_at"]) if row["resolved_at"] else None,
        resolution=row["resolution"],
    )


_STATE = Parameter("state", "open or resolved; both by default", "string", STATES)
_KIND = Parameter("kind", "Cases of this kind only")
_PARAMETERS = (_STATE, _KIND, LIMIT, PAGE_TOKEN)
_BASE, _TAG = "/api/v1/reviews", "reviews"
ROUTES = (
    Route(
        "GET",
        _BASE,
        many,
        "List cases for a person, newest first",
        "reviews.read",
        "Review",
        "search",
        parameters=_PARAMETERS,
        answer=ReviewPage,
        tag=_TAG,
    ),
    Route("GET", f"{_BASE}/{{id}}", one, "Read a case", "reviews.read", "Review", answer=Review, tag=_TAG),
)
