"""Writing to the practice collections: POST, PUT, PATCH, and the moves of an appointment by name.

POST with an `external_id` that is known writes to that object (200) instead of making another (201). A merged patient,
a number that is another record's, a move that the status does not allow are 409; If-Match is judged under the lock.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from chartwire.api.http import Answer, Header, Request
from chartwire.api.idempotency import performed
from chartwire.api.rest.applying import Desk, Written
from chartwire.api.rest.collections import COLLECTIONS, Collection
from chartwire.api.rest.etags import etag_of, wanted_version
from chartwire.api.rest.fields import NOUNS, Noun
from chartwire.api.rest.ids import in_path
from chartwire.api.rest.ordering import Op, Order
from chartwire.api.rest.parked import ParkedWrite, parked_answer
from chartwire.api.rest.practice import SHOWN, Sight
from chartwire.api.rest.referring import NotThereYetError
from chartwire.api.routes import Route
from chartwire.api.services import Services
from chartwire.core.access import Access
from chartwire.formats.fhir.numerals import encode_number
from chartwire.store.pool import Connection
from chartwire.store.queries import q

Handle = Callable[[Request, Services], Awaitable[Answer]]
_PATCH_MEDIA = ("application/json", "application/merge-patch+json")


async def write(request: Request, services: Services, order: Order) -> Answer:
    """Perform one order, once for its Idempotency-Key, and answer with the object as it stands then."""

    async def effect(tx: Connection) -> Answer:
        desk = Desk(request.access, tx)
        await desk.read([order])
        try:
            written = await desk.apply(order)
        except NotThereYetError as missing:
            if not wants_parking(request):
                raise
            return parked_answer(await desk.park(order, missing, services.parked_kept_s))
        at = await desk.finish()
        return _answer(written, await _sight(tx, request.access, written, at))

    answer = await performed(request, services, effect)
    services.wake()
    return answer


def wants_parking(request: Request) -> bool:
    """Whether a write that names a record not there yet is to wait for it (`Prefer: handling=park`; RFC 7240)."""
    preferences = request.headers.get(b"prefer", b"").lower().replace(b" ", b"")
    return b"handling=park" in preferences.replace(b";", b",").split(b",")


def _answer(written: Written, sight: Sight) -> Answer:
    shown = SHOWN[written.held.type](sight)
    headers: list[Header] = [etag_of(sight.version)]
    if written.created:
        headers.append((b"location", shown.links.itself.encode()))
    body = _encoder.encode(shown)
    return Answer(body, written.status, headers=headers, count=1, patients=written.patients)


async def _sight(tx: Connection, access: Access, written: Written, at: datetime) -> Sight:
    """The version that stands after a write: the one made, or what stood and was not changed."""
    held = written.held
    if written.changed:
        return Sight(held.id, held.version, at, None, access.actor, held.body)
    row = await tx.fetchrow(q.read_resource, None, access.org, held.type, held.id)
    assert row is not None, "what was to be written is there"
    return Sight(held.id, row["version"], row["updated_at"], row["message_id"], row["actor"], held.body)


def routes_of(collection: Collection) -> tuple[Route, ...]:
    """POST, PUT and PATCH of a collection."""
    noun = NOUNS[collection.fhir_type]

    async def post(request: Request, services: Services) -> Answer:
        data = await request.body(dict[str, Any])
        return await write(request, services, Order(noun, "upsert", data))

    def one(op: Op) -> Handle:
        async def handle(request: Request, services: Services) -> Answer:
            data = await request.body(dict[str, Any])
            return await write(request, services, Order(noun, op, data, _id(noun, request), wanted_version(request)))

        return handle

    path, single = f"/api/v1/{collection.name}", f"/api/v1/{collection.name}/{{id}}"
    scope = f"{collection.name}.write"
    told = Route(
        "POST",
        path,
        post,
        f"Make one of the {collection.name}, or write to that of its `external_id`",
        scope,
        collection.fhir_type,
        "create",
        checked=True,
        answer=collection.one,
        body=noun.sent,
        status=201,
        also={200: collection.one, 202: ParkedWrite},
        tag=collection.name,
    )
    change = replace(told, path=single, action="update", status=200, also={202: ParkedWrite}, conditional=True)
    return (
        told,
        replace(change, method="PUT", handle=one("replace"), summary=f"Replace one of the {collection.name}"),
        replace(
            change,
            method="PATCH",
            handle=one("patch"),
            summary=f"Change members of one of the {collection.name} (JSON Merge Patch)",
            body_media=_PATCH_MEDIA,
        ),
    )


def _id(noun: Noun, request: Request) -> UUID:
    return in_path(noun.kind, request.parts[0])


_encoder = msgspec.json.Encoder(decimal_format="number", enc_hook=encode_number)
ROUTES = tuple(route for collection in COLLECTIONS for route in routes_of(collection))
