"""Parked writes: those that wait for a record that they name by its external id."""

from typing import Literal
from uuid import UUID

import msgspec

from chartwire.api.http import Answer, Request
from chartwire.api.idempotency import idempotent
from chartwire.api.problem import not_found
from chartwire.api.rest.fields import NOUNS
from chartwire.api.rest.ids import in_path, shown
from chartwire.api.rest.lists import LIMIT, PAGE_TOKEN, page, window
from chartwire.api.rest.models import Page
from chartwire.api.routes import Route
from chartwire.api.services import Services
from chartwire.core.clock import instant
from chartwire.record import parking
from chartwire.record.parking import PARKED
from chartwire.store.pool import Connection, Row


class ParkedWrite(msgspec.Struct, frozen=True):
    """A write that waits: what it makes or changes, what it waits for and where it names that; what it says is kept
    and not shown."""

    id: str
    writes: str
    waits_for: str
    pointer: str
    actor: str
    created_at: str
    expires_at: str
    object: Literal["parked_write"] = "parked_write"


class ParkedWritePage(Page, frozen=True, omit_defaults=True):
    """A page of parked writes."""

    data: list[ParkedWrite]


def show_parked(row: Row) -> ParkedWrite:
    """One parked write; a row of list_parked."""
    return ParkedWrite(
        shown(PARKED, row["id"]),
        NOUNS[row["noun"]].name,
        NOUNS[row["waits_type"]].name,
        row["pointer"],
        row["actor"],
        instant(row["created_at"]),
        instant(row["expires_at"]),
    )


def parked_answer(row: Row) -> Answer:
    """202: the write is made as soon as the record that it names is there."""
    told = show_parked(row)
    headers = [(b"location", f"{_BASE}/{told.id}".encode()), (b"preference-applied", b"handling=park")]
    return Answer(msgspec.json.encode(told), 202, headers=headers, count=1)


async def many(request: Request, services: Services) -> Answer:
    """`GET /api/v1/parked-writes`: newest first."""
    at = window(request, services, "parked-writes")
    found = await parking.many(services.pool, request.access, at.before[0], at.limit + 1)
    return page(request, services, at, found, _id, [show_parked(row) for row in found[: at.limit]])


async def one(request: Request, services: Services) -> Answer:
    """`GET /api/v1/parked-writes/{id}`."""
    async with services.pool.transaction(request.access.org) as tx:
        row = await parking.one(tx, request.access, in_path(PARKED, request.parts[0]))
    if row is None:
        raise not_found()
    return Answer(msgspec.json.encode(show_parked(row)), count=1)


@idempotent
async def remove(request: Request, _: Services, tx: Connection) -> Answer:
    """`DELETE /api/v1/parked-writes/{id}`: it will not be made; 204."""
    if not await parking.end(tx, request.access, in_path(PARKED, request.parts[0])):
        raise not_found()
    return Answer(b"", 204, count=1)


def _id(row: Row) -> tuple[UUID, ...]:
    return (row["id"],)


_BASE, _TAG = "/api/v1/parked-writes", "parked writes"
ROUTES = (
    Route(
        "GET",
        _BASE,
        many,
        "List writes that wait for a record",
        "appointments.read",
        PARKED,
        "search",
        parameters=(LIMIT, PAGE_TOKEN),
        answer=ParkedWritePage,
        tag=_TAG,
    ),
    Route("GET", f"{_BASE}/{{id}}", one, "Read a write that waits", "appointments.read", PARKED, answer=ParkedWrite,
          tag=_TAG),
    Route("DELETE", f"{_BASE}/{{id}}", remove, "Take a write that waits back", "appointments.write", PARKED, "delete",
          status=204, tag=_TAG),
)  # fmt: skip
