"""HL7 v2 feeds: read, make, change, retire."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from msgspec import UNSET, UnsetType

from chartwire.alerts.feeds import usual_gaps
from chartwire.api.http import Answer, Request, json_answer
from chartwire.api.idempotency import idempotent
from chartwire.api.problem import not_found
from chartwire.api.rest.etags import check_if_match, etag_of
from chartwire.api.rest.filters import chosen
from chartwire.api.rest.ids import in_path, shown
from chartwire.api.rest.models import Page
from chartwire.api.routes import Parameter, Route
from chartwire.api.services import Services
from chartwire.channels.source_form import SourceForm, merged, read_form
from chartwire.channels.source_store import (
    StoredSource,
    Traffic,
    retire_source,
    rewrite_source,
    stored_source,
    stored_sources,
    traffic,
    write_source,
)
from chartwire.core.clock import instant, now
from chartwire.core.errors import NotFoundError
from chartwire.core.ids import uuid7_floor
from chartwire.store.pool import Connection

State = Literal["active", "paused", "on_hold", "retired"]
_STATES = ("active", "paused", "on_hold", "retired")
_NO_TRAFFIC = Traffic(None, 0, 0, 0)


class SourceLinks(msgspec.Struct, frozen=True):
    """Where a source, and what came of it, stands."""

    itself: str = msgspec.field(name="self")
    messages: str
    dead_messages: str


class Source(SourceForm, frozen=True, kw_only=True):
    """A feed and how it stands. `usual_gap_s` is the time between messages that is usual at this hour of its week; null
    where it usually sends none, or its week is not known yet. `messages_today` counts from midnight in its zone (UTC
    without one); `dead_messages` are those that nobody has decided about. A retired source has no listener."""

    id: str
    state: State
    etag: str
    created_at: str
    updated_at: str
    last_message_at: str | None
    silent_for_s: float | None = None
    usual_gap_s: float | None = None
    messages_today: int
    held_messages: int
    dead_messages: int
    links: SourceLinks
    object: Literal["source"] = "source"


SourcePatch = msgspec.defstruct(
    "SourcePatch",
    [(one.name, one.type | UnsetType | None, UNSET) for one in msgspec.structs.fields(SourceForm)],
    namespace={"__doc__": "What to change of a source; null takes a member back to its default."},
    forbid_unknown_fields=True,
)


class SourcePage(Page, frozen=True, omit_defaults=True):
    """All sources, oldest first."""

    data: list[Source]


async def many(request: Request, services: Services) -> Answer:
    """`GET /api/v1/sources`."""
    wanted = chosen("state", request.query.get("state", "active,paused,on_hold"), _STATES)
    org = request.access.org
    async with services.pool.transaction(org) as tx:
        found = [one for one in await stored_sources(tx, org, retired=True) if _state(one) in wanted]
        told = await _told(tx, org, found)
    return json_answer(Page(told, False, None, "list"), count=len(told))


async def one(request: Request, services: Services) -> Answer:
    """`GET /api/v1/sources/{id}`."""
    async with services.pool.transaction(request.access.org) as tx:
        return await _answer(tx, await _found(tx, request))


@idempotent
async def create(request: Request, services: Services, tx: Connection) -> Answer:
    """`POST /api/v1/sources`: 201."""
    form = read_form(await request.body(dict[str, Any]), services.listeners)
    return await _answer(tx, await write_source(tx, request.access, form), status=201)


@idempotent
async def replace(request: Request, services: Services, tx: Connection) -> Answer:
    """`PUT /api/v1/sources/{id}`: what is left out takes its default; a retired source comes back."""
    values = await request.body(dict[str, Any])
    return await _rewritten(tx, request, services, await _found(tx, request), values)


@idempotent
async def change(request: Request, services: Services, tx: Connection) -> Answer:
    """`PATCH /api/v1/sources/{id}`: a merge patch; null takes a member back to its default."""
    patch, stored = await request.body(dict[str, Any]), await _found(tx, request)
    return await _rewritten(tx, request, services, stored, merged(stored.form, patch))


@idempotent
async def retire(request: Request, _: Services, tx: Connection) -> Answer:
    """`DELETE /api/v1/sources/{id}`: 204; it takes no more messages, those that came stay."""
    stored = await _found(tx, request)
    check_if_match(request, stored.version)
    await retire_source(tx, request.access, stored.source.id, version=stored.version)
    return Answer(b"", 204, count=1)


async def _rewritten(
    tx: Connection, request: Request, services: Services, stored: StoredSource, values: dict[str, Any]
) -> Answer:
    check_if_match(request, stored.version)
    form = read_form(values, services.listeners)
    changed = await rewrite_source(tx, request.access, stored.source.id, form, version=stored.version)
    return await _answer(tx, changed)


async def _found(tx: Connection, request: Request) -> StoredSource:
    try:
        return await stored_source(tx, request.access.org, in_path("source", request.parts[0]))
    except NotFoundError:
        raise not_found() from None


async def _answer(tx: Connection, stored: StoredSource, *, status: int = 200) -> Answer:
    (told,) = await _told(tx, stored.source.org, [stored])
    headers = [etag_of(stored.version)]
    if status == 201:
        headers.append((b"location", told.links.itself.encode()))
    return json_answer(told, status=status, headers=headers, count=1)


async def _told(tx: Connection, org: UUID, found: Sequence[StoredSource]) -> list[Source]:
    since = [(one.source.id, _first_id_of_today(one.source.timezone)) for one in found]
    came = await traffic(tx, org, since)
    gaps = await usual_gaps(tx, org, {one.source.id: one.source.timezone for one in found}, now())
    return [_source(one, came.get(one.source.id, _NO_TRAFFIC), gaps.get(one.source.id)) for one in found]


def _first_id_of_today(zone: str | None) -> UUID:
    here: datetime = now().astimezone(ZoneInfo(zone) if zone else UTC)
    midnight = here.replace(hour=0, minute=0, second=0, microsecond=0)
    return uuid7_floor(int(midnight.timestamp() * 1000))


def _source(stored: StoredSource, came: Traffic, usual_gap_s: float | None) -> Source:
    last = came.last_message_at
    shown_id = shown("source", stored.source.id)
    messages = f"/api/v1/hl7/messages?source_id={shown_id}"
    return Source(
        **msgspec.structs.asdict(stored.form),
        id=shown_id,
        state=_state(stored),
        etag=etag_of(stored.version)[1].decode(),
        created_at=instant(stored.created_at),
        updated_at=instant(stored.updated_at),
        last_message_at=instant(last) if last else None,
        silent_for_s=max(0.0, (now() - last).total_seconds()) if last else None,
        usual_gap_s=usual_gap_s,
        messages_today=came.messages_today,
        held_messages=came.held,
        dead_messages=came.dead,
        links=SourceLinks(f"{_BASE}/{shown_id}", messages, f"{messages}&state=dead"),
    )


def _state(stored: StoredSource) -> State:
    if stored.source.retired:
        return "retired"
    return "paused" if stored.source.paused else "on_hold" if stored.on_hold else "active"


_BASE, _TAG, _TYPE = "/api/v1/sources", "sources", "Source"
_READ, _WRITE = "sources.read", "sources.write"
_STATE = Parameter("state", f"One or more of {', '.join(_STATES)}, joined by commas; all but retired by default",
                   "string", _STATES)  # fmt: skip
ROUTES = (
    Route("GET", _BASE, many, "List sources", _READ, _TYPE, "search", parameters=(_STATE,), answer=SourcePage,
          tag=_TAG),
    Route("POST", _BASE, create, "Make a source", _WRITE, _TYPE, "create", answer=Source, body=SourceForm, status=201,
          tag=_TAG),
    Route("GET", f"{_BASE}/{{id}}", one, "Read a source", _READ, _TYPE, answer=Source, tag=_TAG),
    Route("PUT", f"{_BASE}/{{id}}", replace, "Replace a source's settings", _WRITE, _TYPE, "update", answer=Source,
          body=SourceForm, conditional=True, tag=_TAG),
    Route("PATCH", f"{_BASE}/{{id}}", change, "Change some settings of a source (merge patch)", _WRITE, _TYPE, "update",
          answer=Source, body=SourcePatch, conditional=True, tag=_TAG),
    Route("DELETE", f"{_BASE}/{{id}}", retire, "Retire a source", _WRITE, _TYPE, "delete", status=204, conditional=True,
          tag=_TAG),
)  # fmt: skip
