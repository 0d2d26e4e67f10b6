"""Maintenance windows: when a feed, or every feed of the organisation, is to stand still."""

from datetime import datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

from chartwire.api.http import Answer, Request, json_answer
from chartwire.api.idempotency import idempotent
from chartwire.api.problem import ApiError, Fault, not_found
from chartwire.api.rest.ids import in_path, in_query, shown, shown_or_none
from chartwire.api.rest.lists import LIMIT, PAGE_TOKEN, page, window
from chartwire.api.rest.models import Page
from chartwire.api.rest.source_control import Reason
from chartwire.api.routes import Parameter, Route
from chartwire.api.services import Services
from chartwire.channels import halts
from chartwire.channels.windows import HaltMode, occurrence
from chartwire.core.clock import instant, now
from chartwire.core.errors import NotFoundError
from chartwire.core.ids import from_prefixed, uuid7
from chartwire.store.pool import Connection, Row
from chartwire.store.queries import q

_WEEK = timedelta(days=7)
Moment = Annotated[datetime, Meta(tz=True)]


class WindowOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A window: `hold` (accept and keep) or `pause` (accept nothing), from `starts_at` to `ends_at` (with offset).
    Without `source_id` it is for every source. With `weekly_timezone` (IANA) it comes again each week at the same local
    time there."""

    mode: HaltMode
    starts_at: Moment
    ends_at: Moment
    reason: Reason
    source_id: str | None = None
    weekly_timezone: str | None = None


class MaintenanceWindow(msgspec.Struct, frozen=True):
    """A window, and its present or next occurrence (`next_start`, `next_end`; null when it is over). While one lasts no
    alarm tells that its sources are silent."""

    id: str
    source_id: str | None
    mode: HaltMode
    starts_at: str
    ends_at: str
    weekly_timezone: str | None
    reason: str
    actor: str
    created_at: str
    active: bool
    next_start: str | None
    next_end: str | None
    object: Literal["maintenance_window"] = "maintenance_window"


class MaintenanceWindowPage(Page, frozen=True, omit_defaults=True):
    """A page of windows, newest first."""

    data: list[MaintenanceWindow]


async def many(request: Request, services: Services) -> Answer:
    """`GET /api/v1/maintenance-windows`."""
    at = window(request, services, "maintenance-windows")
    source_id = in_query("source", "source_id", at.query["source_id"]) if "source_id" in at.query else None
    async with services.pool.transaction(request.access.org) as tx:
        rows = await tx.fetch(q.list_windows, request.access.org, at.before[0], source_id, at.limit + 1)
    return page(request, services, at, rows, lambda row: (row["id"],), [_window(row) for row in rows[: at.limit]])


async def one(request: Request, services: Services) -> Answer:
    """`GET /api/v1/maintenance-windows/{id}`."""
    window_id = in_path("maintenance_window", request.parts[0])
    async with services.pool.transaction(request.access.org) as tx:
        return json_answer(_window(await _read(tx, request.access.org, window_id)), count=1)


@idempotent
async def create(request: Request, _: Services, tx: Connection) -> Answer:
    """`POST /api/v1/maintenance-windows`: 201."""
    made = await _write(request, tx, uuid7(), now())
    place = f"/api/v1/maintenance-windows/{made.id}"
    return json_answer(made, status=201, headers=[(b"location", place.encode())], count=1)


@idempotent
async def replace(request: Request, _: Services, tx: Connection) -> Answer:
    """`PUT /api/v1/maintenance-windows/{id}`: one that lasts begins or ends as it now says."""
    window_id = in_path("maintenance_window", request.parts[0])
    before = await _read(tx, request.access.org, window_id)
    return json_answer(await _write(request, tx, window_id, before["created_at"]), count=1)


@idempotent
async def remove(request: Request, _: Services, tx: Connection) -> Answer:
    """`DELETE /api/v1/maintenance-windows/{id}`: 204; one that lasts ends now."""
    org, window_id = request.access.org, in_path("maintenance_window", request.parts[0])
    await _read(tx, org, window_id)
    await tx.execute(q.delete_window, org, window_id)
    await halts.look_at(tx, org)
    return Answer(b"", 204, count=1)


async def _read(tx: Connection, org: UUID, window_id: UUID) -> Row:
    row = await tx.fetchrow(q.read_window, org, window_id)
    if row is None:
        raise not_found()
    return row


async def _write(request: Request, tx: Connection, window_id: UUID, created_at: datetime) -> MaintenanceWindow:
    access, order = request.access, await request.body(WindowOrder)
    _check(order)
    source_id = await _source(tx, access.org, order.source_id)
    await tx.execute(
        q.write_window, access.org, window_id, source_id, order.mode, order.starts_at, order.ends_at,
        order.weekly_timezone, order.reason, access.actor, created_at,
    )  # fmt: skip
    await halts.look_at(tx, access.org)
    return _window(await _read(tx, access.org, window_id))


def _check(order: WindowOrder) -> None:
    if order.ends_at <= order.starts_at:
        raise _wrong("ends_at", "is later than starts_at")
    if order.weekly_timezone is None:
        return
    if order.ends_at - order.starts_at > _WEEK:
        raise _wrong("ends_at", "is at most a week after starts_at where the window comes weekly")
    try:
        ZoneInfo(order.weekly_timezone)
    except (KeyError, ValueError, OSError):
        raise _wrong("weekly_timezone", "is an IANA name such as America/Chicago") from None


async def _source(tx: Connection, org: UUID, text: str | None) -> UUID | None:
    if text is None:
        return None
    try:
        return (await halts.standing_of(tx, org, from_prefixed("src", text))).source_id
    except NotFoundError:
        raise _wrong("source_id", "is the id of a source of this organisation") from None


def _wrong(member: str, rule: str) -> ApiError:
    return ApiError(f"`{member}` {rule}", code="invalid_body", faults=[Fault(f"/{member}", "invalid_value", rule)])


def _window(row: Row) -> MaintenanceWindow:
    at, held = now(), halts.window_of(row)
    span = occurrence(held, at)
    return MaintenanceWindow(
        id=shown("maintenance_window", held.id),
        source_id=shown_or_none("source", held.source_id),
        mode=held.mode,
        starts_at=instant(held.starts_at),
        ends_at=instant(held.ends_at),
        weekly_timezone=held.weekly_zone,
        reason=held.reason,
        actor=row["actor"],
        created_at=instant(row["created_at"]),
        active=span is not None and span[0] <= at,
        next_start=instant(span[0]) if span else None,
        next_end=instant(span[1]) if span else None,
    )


_SOURCE = Parameter("source_id", "Windows of this source only, those for every source left out")
_BASE, _TAG, _TYPE = "/api/v1/maintenance-windows", "sources", "MaintenanceWindow"
ROUTES = (
    Route("GET", _BASE, many, "List maintenance windows, newest first", "sources.read", _TYPE, "search",
          parameters=(_SOURCE, LIMIT, PAGE_TOKEN), answer=MaintenanceWindowPage, tag=_TAG),
    Route("POST", _BASE, create, "Make a maintenance window", "sources.write", _TYPE, "create",
          answer=MaintenanceWindow, body=WindowOrder, status=201, tag=_TAG),
    Route("GET", f"{_BASE}/{{id}}", one, "Read a maintenance window", "sources.read", _TYPE, answer=MaintenanceWindow,
          tag=_TAG),
    Route("PUT", f"{_BASE}/{{id}}", replace, "Change a maintenance window", "sources.write", _TYPE, "update",
          answer=MaintenanceWindow, body=WindowOrder, tag=_TAG),
    Route("DELETE", f"{_BASE}/{{id}}", remove, "Remove a maintenance window", "sources.write", _TYPE, "delete",
          status=204, tag=_TAG),
)  # fmt: skip
