"""How a feed stands: hold, release, pause, resume; and what waits in its lanes."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from chartwire.api.http import Answer, Request, json_answer
from chartwire.api.idempotency import idempotent
from chartwire.api.problem import not_found
from chartwire.api.rest.ids import in_path, shown, shown_or_none
from chartwire.api.rest.lists import LIMIT
from chartwire.api.rest.pages import page_limit
from chartwire.api.routes import Route
from chartwire.api.services import Services
from chartwire.channels import halts, stuck
from chartwire.channels.windows import HaltMode
from chartwire.core.clock import instant
from chartwire.core.errors import NotFoundError
from chartwire.store.pool import Connection

Reason = Annotated[str, Meta(min_length=1, max_length=1000)]


class ReasonGiven(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why. It is kept with who did it; no patient data belongs here."""

    reason: Reason


class Halt(msgspec.Struct, frozen=True):
    """One reason why a source stands still: a person's (`window_id` null), or a maintenance window's with its end."""

    mode: HaltMode
    reason: str
    actor: str
    since: str
    until: str | None
    window_id: str | None


class SourceStanding(msgspec.Struct, frozen=True):
    """How a source stands. It stays so as long as `halts` has a reason for it."""

    id: str
    name: str
    on_hold: bool
    paused: bool
    halts: list[Halt]
    object: Literal["source_standing"] = "source_standing"


class QueueHead(msgspec.Struct, frozen=True):
    """The message at the head of a lane, how many wait in the lane with it (1,001: more than 1,000), and what keeps it:
    `source_on_hold` and `waits_for_review` name what they wait for, `in_work` and `retrying` until when."""

    message_id: str
    event: str | None
    source_id: str | None
    received_at: str | None
    waiting: int
    reason: stuck.Reason
    until: str | None
    attempts: int
    held_by_source_id: str | None
    review_id: str | None


class SourceQueue(msgspec.Struct, frozen=True):
    """What waits of a source (counted up to 100,000), since when, and the lanes that wait longest."""

    messages: int
    lanes: int
    oldest_received_at: str | None
    heads: list[QueueHead]
    object: Literal["source_queue"] = "source_queue"


def _halting(mode: HaltMode) -> Callable[[Request, Services], Awaitable[Answer]]:
    @idempotent
    async def handle(request: Request, _: Services, tx: Connection) -> Answer:
        source_id = await _known(request, tx)
        given = await request.body(ReasonGiven)
        return json_answer(_shown(await halts.begin(tx, request.access, source_id, mode, given.reason)), count=1)

    return handle


def _ending(mode: HaltMode) -> Callable[[Request, Services], Awaitable[Answer]]:
    @idempotent
    async def handle(request: Request, _: Services, tx: Connection) -> Answer:
        source_id = await _known(request, tx)
        return json_answer(_shown(await halts.end(tx, request.access, source_id, mode)), count=1)

    return handle


async def queue(request: Request, services: Services) -> Answer:
    """`GET /api/v1/sources/{id}/queue`."""
    async with services.pool.transaction(request.access.org) as tx:
        source_id = await _known(request, tx)
    found = await stuck.queue_of(services.pool, request.access, source_id, page_limit(request.query))
    heads = [_head(lane) for lane in found.heads]
    return json_answer(SourceQueue(found.messages, found.lanes, _moment(found.oldest_at), heads), count=len(heads))


async def _known(request: Request, tx: Connection) -> UUID:
    """The source that the address names. Raises the one answer to unknown ids."""
    source_id = in_path("source", request.parts[0])
    try:
        await halts.standing_of(tx, request.access.org, source_id)
    except NotFoundError:
        raise not_found() from None
    return source_id


def _shown(standing: halts.Standing) -> SourceStanding:
    told = [
        Halt(one.mode, one.reason, one.actor, instant(one.since), _moment(one.until),
             shown_or_none("maintenance_window", one.window_id))
        for one in standing.halts
    ]  # fmt: skip
    source_id = shown("source", standing.source_id)
    return SourceStanding(source_id, standing.name, standing.on_hold, standing.paused, told)


def _head(lane: stuck.WaitingLane) -> QueueHead:
    return QueueHead(
        message_id=shown("message", lane.head_message_id),
        event=lane.head_event,
        source_id=shown_or_none("source", lane.head_source_id),
        received_at=_moment(lane.oldest_at),
        waiting=lane.waiting,
        reason=lane.reason,
        until=_moment(lane.until),
        attempts=lane.attempts,
        held_by_source_id=shown_or_none("source", lane.held_by_source),
        review_id=shown_or_none("review", lane.held_by_review),
    )


def _moment(at: datetime | None) -> str | None:
    return instant(at) if at else None


_BASE = "/api/v1/sources/{id}"
_HALTS = (
    ("hold", _halting("hold"), "Accept and keep, process later", ReasonGiven),
    ("release", _ending("hold"), "End a hold: what was kept is processed, in order", None),
    ("pause", _halting("pause"), "Accept nothing: the sender keeps its queue", ReasonGiven),
    ("resume", _ending("pause"), "End a pause", None),
)
ROUTES = (
    *(
        Route("POST", f"{_BASE}/{verb}", handle, summary, "sources.write", "Source", "update", answer=SourceStanding,
              body=body, tag="sources")
        for verb, handle, summary, body in _HALTS
    ),
    Route("GET", f"{_BASE}/queue", queue, "What waits, and why", "sources.read", "Source", parameters=(LIMIT,),
          answer=SourceQueue, tag="sources"),
)  # fmt: skip
