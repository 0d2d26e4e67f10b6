"""Dead letters by cause, and what is decided about them and about messages that block their lane."""

from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from chartwire.api.http import Answer, Request, json_answer
from chartwire.api.idempotency import idempotent
from chartwire.api.problem import bad_parameter, not_found
from chartwire.api.rest.ids import in_path, in_query, shown
from chartwire.api.rest.lists import LIMIT, PAGE_TOKEN, page, window
from chartwire.api.rest.models import Page
from chartwire.api.rest.source_control import ReasonGiven
from chartwire.api.routes import Parameter, Route
from chartwire.api.services import Services
from chartwire.channels import dead_letters, skipping
from chartwire.channels.dead_letters import MANY_MAX, Many, advice_on
from chartwire.core.clock import instant
from chartwire.core.errors import NotFoundError
from chartwire.core.ids import from_prefixed
from chartwire.core.limits import HTTP_BODY_BYTES_MAX
from chartwire.store.pool import Connection, Row
from chartwire.store.queries import q

Limit = Annotated[int, Meta(ge=1, le=MANY_MAX)]


class DeadLetterCause(msgspec.Struct, frozen=True, kw_only=True):
    """Open dead letters of one cause: one source, event, error and place. `mend` says what to do about it."""

    id: str
    count: int
    source_id: str
    source_name: str | None
    event: str
    error_code: str | None
    location: str | None
    error: str | None
    mend: str
    first_seen_at: str
    last_seen_at: str
    oldest_message_id: str
    newest_message_id: str
    object: Literal["dead_letter_cause"] = "dead_letter_cause"


class DeadLetterCausePage(Page, frozen=True, omit_defaults=True):
    """A page of causes, the one seen last first."""

    data: list[DeadLetterCause]


class DeadLetter(msgspec.Struct, frozen=True):
    """One dead letter of a cause; `/api/v1/hl7/messages/{id}` has all of it."""

    id: str
    received_at: str
    control_id: str
    mrn: str | None
    size_bytes: int
    location: str | None
    error: str | None
    object: Literal["dead_letter"] = "dead_letter"


class DeadLetterMessages(DeadLetterCause, frozen=True, kw_only=True):
    """A cause and a page of its messages, newest first."""

    messages: list[DeadLetter]
    has_more: bool
    next_page_token: str | None


class RetryOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many to work again, oldest first, behind the message `after`."""

    limit: Limit = MANY_MAX
    after: str | None = None


class DiscardOrder(ReasonGiven, frozen=True, forbid_unknown_fields=True):
    """Why these are not wanted, and how many of them, oldest first."""

    limit: Limit = MANY_MAX


class ManyDecided(msgspec.Struct, frozen=True):
    """What one decision about many took, the last message of it, and how many open ones the cause has left: where some
    are, ask again (a retry with `after`)."""

    taken: int
    last_id: str | None
    left: int
    object: Literal["dead_letters_decided"] = "dead_letters_decided"


class EditOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole message as it should have been, segments ended by carriage returns (or line feeds). It keeps its
    control id. Characters beyond ASCII go out in UTF-8 and want MSH-18 `UNICODE UTF-8`."""

    raw: Annotated[str, Meta(min_length=8)]


class MessageDecided(msgspec.Struct, frozen=True):
    """A message after a decision about it: `received` is in the work again."""

    id: str
    state: Literal["received", "filtered", "dead"]
    decision: Literal["retry", "edit", "discard", "skip"]
    child_id: str | None = None
    object: Literal["hl7_message"] = "hl7_message"


async def many(request: Request, services: Services) -> Answer:
    """`GET /api/v1/dead-letters`."""
    at = window(request, services, "dead-letters")
    source_id = in_query("source", "source_id", at.query["source_id"]) if "source_id" in at.query else None
    rows = await dead_letters.causes(services.pool, request.access, at.before[0], source_id, at.limit + 1)
    causes = [DeadLetterCause(**_cause(row["fingerprint"], row)) for row in rows[: at.limit]]
    return page(request, services, at, rows, lambda row: (row["last_id"],), causes)


async def one(request: Request, services: Services) -> Answer:
    """`GET /api/v1/dead-letters/{id}`."""
    fingerprint, access = in_path("dead_letters", request.parts[0]), request.access
    at = window(request, services, f"dead-letters/{fingerprint}")
    try:
        found = await dead_letters.cause(services.pool, access, fingerprint)
    except NotFoundError:
        raise not_found() from None
    rows = await dead_letters.messages_of(services.pool, access, fingerprint, at.before[0], at.limit + 1)
    patients = [row["patient_id"] for row in rows[: at.limit] if row["patient_id"]]
    messages = [_letter(row) for row in rows[: at.limit]]
    paged = page(request, services, at, rows, lambda row: (row["id"],), messages)
    token = msgspec.json.decode(paged.body, type=Page).next_page_token
    told = DeadLetterMessages(
        **_cause(fingerprint, found), messages=messages, has_more=token is not None, next_page_token=token
    )
    return Answer(msgspec.json.encode(told), headers=paged.headers, count=len(messages), patients=patients)


@idempotent
async def retry_many(request: Request, _: Services, tx: Connection) -> Answer:
    """`POST /api/v1/dead-letters/{id}/retry`: 202; each is worked when its lane comes to it."""
    fingerprint = await _known_cause(request, tx)
    order = RetryOrder() if request.has_no_body else await request.body(RetryOrder)
    after = _after(order.after)
    return _decided(await dead_letters.retry_many(tx, request.access, fingerprint, after=after, limit=order.limit), 202)


@idempotent
async def discard_many(request: Request, _: Services, tx: Connection) -> Answer:
    """`POST /api/v1/dead-letters/{id}/discard`."""
    fingerprint = await _known_cause(request, tx)
    order = await request.body(DiscardOrder)
    return _decided(
        await dead_letters.discard_many(tx, request.access, fingerprint, order.reason, limit=order.limit), 200
    )


@idempotent
async def retry(request: Request, _: Services, tx: Connection) -> Answer:
    """`POST /api/v1/hl7/messages/{id}/retry`: 202."""
    message_id = await _known_message(request, tx)
    row = await dead_letters.retry(tx, request.access, message_id)
    told = MessageDecided(shown("message", message_id), "received", "retry")
    return Answer(msgspec.json.encode(told), 202, count=1, patients=_patients(row))


@idempotent
async def edit_and_retry(request: Request, _: Services, tx: Connection) -> Answer:
    """`POST /api/v1/hl7/messages/{id}/edit-and-retry`: 202 and the child, which is worked instead."""
    message_id = await _known_message(request, tx)
    order = await request.body(EditOrder)
    raw = order.raw.replace("\r\n", "\r").replace("\n", "\r").encode("utf-8", "replace")
    child = await dead_letters.edit_and_retry(tx, request.access, message_id, raw)
    told = MessageDecided(shown("message", message_id), "dead", "edit", shown("message", child))
    place = f"/api/v1/hl7/messages/{told.child_id}"
    return json_answer(told, status=202, headers=[(b"location", place.encode())], count=1)


@idempotent
async def discard(request: Request, _: Services, tx: Connection) -> Answer:
    """`POST /api/v1/hl7/messages/{id}/discard`."""
    message_id = await _known_message(request, tx)
    given = await request.body(ReasonGiven)
    row = await dead_letters.discard(tx, request.access, message_id, given.reason)
    told = MessageDecided(shown("message", message_id), "dead", "discard")
    return Answer(msgspec.json.encode(told), count=1, patients=_patients(row))


@idempotent
async def skip(request: Request, _: Services, tx: Connection) -> Answer:
    """`POST /api/v1/hl7/messages/{id}/skip`."""
    message_id = await _known_message(request, tx)
    given = await request.body(ReasonGiven)
    await skipping.skip(tx, request.access, message_id, given.reason)
    return json_answer(MessageDecided(shown("message", message_id), "filtered", "skip"), count=1)


async def _known_message(request: Request, tx: Connection) -> UUID:
    message_id = in_path("message", request.parts[0])
    if await tx.fetchrow(q.lane_of_message, request.access.org, message_id) is None:
        raise not_found()
    return message_id


async def _known_cause(request: Request, tx: Connection) -> UUID:
    fingerprint = in_path("dead_letters", request.parts[0])
    if await tx.fetchrow(q.dead_letter_group, request.access.org, fingerprint) is None:
        raise not_found()
    return fingerprint


def _cause(fingerprint: UUID, row: Row) -> dict[str, Any]:
    return {
        "id": shown("dead_letters", fingerprint),
        "count": row["messages"],
        "source_id": shown("source", row["source_id"]),
        "source_name": row["source_name"],
        "event": row["event"],
        "error_code": row["error_code"],
        "location": row["error_location"],
        "error": row["error_text"],
        "mend": advice_on(row["error_code"]),
        "first_seen_at": instant(row["first_seen"]),
        "last_seen_at": instant(row["last_seen"]),
        "oldest_message_id": shown("message", row["first_id"]),
        "newest_message_id": shown("message", row["last_id"]),
    }


def _letter(row: Row) -> DeadLetter:
    return DeadLetter(
        shown("message", row["id"]), instant(row["received_at"]), row["control_id"], row["mrn"], row["body_bytes"],
        row["error_location"], row["error_text"],
    )  # fmt: skip


def _patients(row: Row) -> tuple[UUID, ...]:
    return (row["patient_id"],) if row["patient_id"] else ()


def _after(text: str | None) -> UUID:
    if text is None:
        return UUID(int=0)
    try:
        return from_prefixed("msg", text)
    except NotFoundError:
        raise bad_parameter("after", "is the id of a message, as `last_id` tells it") from None


def _decided(done: Many, status: int) -> Answer:
    last_id = shown("message", done.last_id) if done.last_id else None
    told = ManyDecided(done.taken, last_id, done.left)
    return Answer(msgspec.json.encode(told), status, count=done.taken, patients=done.patients)


_SOURCE = Parameter("source_id", "Causes of this source only")
_BASE, _ONE, _TAG = "/api/v1/dead-letters", "/api/v1/hl7/messages/{id}", "messages"
_WRITE, _TYPE = "messages.write", "Message"
ROUTES = (
    Route("GET", _BASE, many, "List open dead letters by cause", "messages.read", _TYPE, "search",
          parameters=(_SOURCE, LIMIT, PAGE_TOKEN), answer=DeadLetterCausePage, tag=_TAG),
    Route("GET", f"{_BASE}/{{id}}", one, "Read a cause and its messages", "messages.read", _TYPE, "search",
          parameters=(LIMIT, PAGE_TOKEN), answer=DeadLetterMessages, tag=_TAG),
    Route("POST", f"{_BASE}/{{id}}/retry", retry_many, "Work the messages of a cause again", _WRITE, _TYPE, "replay",
          answer=ManyDecided, body=RetryOrder, body_optional=True, status=202, tag=_TAG),
    Route("POST", f"{_BASE}/{{id}}/discard", discard_many, "Discard the messages of a cause", _WRITE, _TYPE, "resolve",
          answer=ManyDecided, body=DiscardOrder, tag=_TAG),
    Route("POST", f"{_ONE}/retry", retry, "Work a dead letter again", _WRITE, _TYPE, "replay",
          answer=MessageDecided, status=202, tag=_TAG),
    Route("POST", f"{_ONE}/edit-and-retry", edit_and_retry, "Work an edited message instead of a dead letter", _WRITE,
          _TYPE, "replay", answer=MessageDecided, body=EditOrder, status=202, tag=_TAG,
          body_bytes_max=HTTP_BODY_BYTES_MAX),
    Route("POST", f"{_ONE}/discard", discard, "Discard a dead letter", _WRITE, _TYPE, "resolve",
          answer=MessageDecided, body=ReasonGiven, tag=_TAG),
    Route("POST", f"{_ONE}/skip", skip, "Skip the message that blocks its lane", _WRITE, _TYPE, "resolve",
          answer=MessageDecided, body=ReasonGiven, tag=_TAG),
)  # fmt: skip
