"""Cases for a person: what the record would not decide by itself, and deciding it."""

from typing import Any, Literal
from uuid import UUID

import msgspec
import orjson

from chartwire.api.http import Answer, Request, json_answer
from chartwire.api.idempotency import idempotent
from chartwire.api.problem import bad_parameter, not_found
from chartwire.api.rest.filters import chosen, read_instant
from chartwire.api.rest.ids import in_path, in_query, shown, shown_or_none
from chartwire.api.rest.lists import LAST, LIMIT, PAGE_TOKEN, Window, page, window
from chartwire.api.rest.models import Page
from chartwire.api.rest.source_control import Reason
from chartwire.api.routes import Parameter, Route
from chartwire.api.services import Services
from chartwire.channels import reviews
from chartwire.channels.reviews import Decision
from chartwire.core.clock import instant
from chartwire.record import outgoing, ties
from chartwire.record.outgoing import ReviewsWanted
from chartwire.store.pool import Connection, Row
from chartwire.store.queries import q

STATES = ("open", "resolved")
_ORDERS = ("-created_at", "created_at")
_FIRST = UUID(int=0)


class Choice(msgspec.Struct, frozen=True):
    """One way to resolve a case, and what it means."""

    choice: str
    means: str


class Words(msgspec.Struct, frozen=True):
    """The two words of a tie, each as JSON text: what stands, and what another source told; null where there is none.
    Only for a key with the scope patients.read."""

    standing: str | None
    told: str | None


class Review(msgspec.Struct, frozen=True, kw_only=True):
    """One case. `detail` depends on `kind` and holds no values. A tie and its `source_id` name the source whose word
    lost."""

    id: str
    kind: str
    state: Literal["open", "resolved"]
    message_id: str | None
    source_id: str | None
    patient_id: str | None
    resource_type: str | None
    resource_id: str | None
    detail: dict[str, Any]
    choices: list[Choice]
    created_at: str
    resolved_at: str | None
    resolution: str | None
    resolution_reason: str | None
    resolved_by: str | None
    object: Literal["review"] = "review"


class ReviewDetail(Review, frozen=True, kw_only=True):
    """A case with the words that it is about, by element."""

    elements: dict[str, Words]


class ReviewPage(Page, frozen=True, omit_defaults=True):
    """A page of cases."""

    data: list[Review]


class OpenReviews(msgspec.Struct, frozen=True):
    """How many cases of a kind are open, and since when the oldest."""

    kind: str
    open: int
    oldest_created_at: str


class ReviewCounts(Page, frozen=True, omit_defaults=True):
    """Open cases by kind."""

    data: list[OpenReviews]


class Resolution(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is decided: one of the case's `choices`, and why."""

    choice: str
    reason: Reason


async def many(request: Request, services: Services) -> Answer:
    """`GET /api/v1/reviews`."""
    at = window(request, services, "reviews")
    rows = await outgoing.reviews(services.pool, request.access, _wanted(at), at.limit + 1)
    shown_rows = rows[: at.limit]
    patients = [patient for row in shown_rows for patient in _patients(row)]
    return page(request, services, at, rows, lambda row: (row["id"],), [_review(row) for row in shown_rows], patients)


async def counts(request: Request, services: Services) -> Answer:
    """`GET /api/v1/reviews/counts`."""
    rows = await outgoing.open_reviews(services.pool, request.access)
    kinds = [OpenReviews(row["kind"], row["open"], instant(row["oldest"])) for row in rows]
    return json_answer(Page(kinds, False, None, "list"), count=len(kinds))


async def one(request: Request, services: Services) -> Answer:
    """`GET /api/v1/reviews/{id}`."""
    found = await outgoing.review(services.pool, request.access, in_path("review", request.parts[0]))
    if found is None:
        raise not_found()
    row, standing = found
    words: dict[str, Words] = {}
    if request.access.allows("patients.read"):
        compared = ties.comparison(standing, row["resource_type"] or "", row["proposal"])
        words = {path: Words(**both) for path, both in compared.items()}
    detail = ReviewDetail(**msgspec.structs.asdict(_review(row)), elements=words)
    return Answer(msgspec.json.encode(detail), count=1, patients=_patients(row))


@idempotent
async def resolve(request: Request, _: Services, tx: Connection) -> Answer:
    """`POST /api/v1/reviews/{id}/resolve`: 409 where it was resolved otherwise."""
    review_id = in_path("review", request.parts[0])
    if await tx.fetchrow(q.read_review, request.access.org, review_id) is None:
        raise not_found()
    given = await request.body(Resolution)
    row = await reviews.resolve(tx, request.access, review_id, Decision(given.choice, given.reason))
    return Answer(msgspec.json.encode(_review(row)), count=1, patients=_patients(row))


def _wanted(at: Window) -> ReviewsWanted:
    query = at.query
    order = query.get("sort", _ORDERS[0])
    if order not in _ORDERS:
        raise bad_parameter("sort", f"is one of {', '.join(_ORDERS)}")
    oldest_first, [behind] = order == "created_at", at.before
    return ReviewsWanted(
        behind=_FIRST if oldest_first and behind == LAST else behind,
        oldest_first=oldest_first,
        states=chosen("state", query["state"], STATES) if "state" in query else None,
        kind=query.get("kind"),
        source_id=in_query("source", "source_id", query["source_id"]) if "source_id" in query else None,
        patient_id=in_query("Patient", "patient_id", query["patient_id"]) if "patient_id" in query else None,
        created_from=read_instant("created_at_gte", query["created_at_gte"]) if "created_at_gte" in query else None,
        created_before=read_instant("created_at_lt", query["created_at_lt"]) if "created_at_lt" in query else None,
    )


def _patients(row: Row) -> tuple[UUID, ...]:
    named = row["resource_id"] if row["resource_type"] == "Patient" else None
    return tuple({one for one in (row["patient_id"], named) if one})


def _review(row: Row) -> Review:
    kind, detail = row["resource_type"], orjson.loads(row["detail"])
    open_to = reviews.choices(row["kind"], detail.get("code")) if row["state"] == "open" else {}
    return Review(
        id=shown("review", row["id"]),
        kind=row["kind"],
        state=row["state"],
        message_id=shown_or_none("message", row["message_id"]),
        source_id=shown_or_none("source", row["source_id"]),
        patient_id=shown_or_none("Patient", row["patient_id"]),
        resource_type=kind,
        resource_id=shown_or_none(kind or "", row["resource_id"]),
        detail=detail,
        choices=[Choice(name, choice["means"]) for name, choice in open_to.items()],
        created_at=instant(row["created_at"]),
        resolved_at=instant(row["resolved_at"]) if row["resolved_at"] else None,
        resolution=row["resolution"],
        resolution_reason=row["resolution_reason"],
        resolved_by=row["resolved_by"],
    )


_PARAMETERS = (
    Parameter("state", "open or resolved; both by default", "string", STATES),
    Parameter("kind", "Cases of this kind only"),
    Parameter("source_id", "Cases that messages of this source made"),
    Parameter("patient_id", "Cases about this patient"),
    Parameter("created_at_gte", "Made at or after this time", "instant"),
    Parameter("created_at_lt", "Made before this time", "instant"),
    Parameter("sort", "Newest first, or oldest", "string", _ORDERS),
    LIMIT,
    PAGE_TOKEN,
)
_BASE, _TAG = "/api/v1/reviews", "reviews"
ROUTES = (
    Route("GET", _BASE, many, "List cases for a person, newest first", "reviews.read", "Review", "search",
          parameters=_PARAMETERS, answer=ReviewPage, tag=_TAG),
    Route("GET", f"{_BASE}/counts", counts, "Count open cases by kind", "reviews.read", "Review", "search",
          answer=ReviewCounts, tag=_TAG),
    Route("GET", f"{_BASE}/{{id}}", one, "Read a case", "reviews.read", "Review", answer=ReviewDetail, tag=_TAG),
    Route("POST", f"{_BASE}/{{id}}/resolve", resolve, "Decide a case", "reviews.write", "Review", "resolve",
          answer=Review, body=Resolution, tag=_TAG),
)  # fmt: skip
