"""`POST /api/v1/patients/{id}/unmerge`: a patient who was merged by mistake stands for themselves again."""

import asyncio
from functools import cache
from typing import Annotated, Literal
from uuid import UUID

import msgspec

from chartwire.api.http import Answer, Request
from chartwire.api.idempotency import performed
from chartwire.api.problem import ApiError, not_found
from chartwire.api.rest.ids import in_path, shown
from chartwire.api.routes import Route
from chartwire.api.services import Services
from chartwire.channels.path import Path
from chartwire.channels.sources import list_sources
from chartwire.channels.unmerge import Unmerged, unmerge
from chartwire.core.access import Access
from chartwire.core.errors import ConflictError
from chartwire.mapping import load_maps
from chartwire.store.pool import Connection
from chartwire.store.queries import q

_mapper = cache(load_maps)


class UnmergeOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why the two are not one person; kept with the merge that is undone."""

    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]


class UnmergeResult(msgspec.Struct, frozen=True):
    """What went back. `moved` counts resources by FHIR type; `told_again` counts the messages since the merge that were
    told to their own patients again, `reviews` those that fit neither and wait for a person."""

    patient_id: str
    survivor_id: str
    moved: dict[str, int]
    restored: int
    told_again: int
    reviews: int
    object: Literal["unmerge"] = "unmerge"


async def part(request: Request, services: Services) -> Answer:
    """Unmerge the patient of the address, the one that was merged away. 409 `not_merged` names who could be parted."""
    wanted = in_path("Patient", request.parts[0])
    order = await request.body(UnmergeOrder)
    path = await _path(request.access, services)

    async def effect(tx: Connection) -> Answer:
        row = await tx.fetchrow(q.read_resource, None, request.access.org, "Patient", wanted)
        if row is None or row["version"] is None:
            raise not_found()
        try:
            return _answer(await unmerge(path, tx, request.access, wanted, order.reason))
        except ConflictError as error:
            raise await _explained(tx, request.access, wanted, error) from None

    answer = await performed(request, services, effect)
    services.wake()
    return answer


async def _path(access: Access, services: Services) -> Path:
    """What tells messages again, with the sources of the organisation."""
    mapper = await asyncio.to_thread(_mapper)
    sources = {source.id: source for source in await list_sources(services.pool, access.org)}
    return Path(services.pool, mapper, lambda: sources, access.actor)


def _answer(done: Unmerged) -> Answer:
    parting = done.parting
    told = UnmergeResult(
        shown("Patient", parting.patient_id),
        shown("Patient", parting.survivor_id),
        parting.moved,
        parting.restored,
        done.told_again,
        done.reviews,
    )
    return Answer(msgspec.json.encode(told), count=1, patients=[parting.patient_id, parting.survivor_id])


async def _explained(tx: Connection, access: Access, wanted: UUID, error: ConflictError) -> ApiError:
    """The conflict, and for a survivor the ids to ask for instead."""
    losers = await tx.fetch(q.merges_of_survivor, access.org, wanted) if error.code == "not_merged" else []
    names = ", ".join(shown("Patient", row["loser_id"]) for row in losers[:10])
    detail = f"{error.message}; merged into it, and to be named in its place: {names}" if names else error.message
    return ApiError(detail, code=error.code, error_class="conflict")


ROUTES = (
    Route(
        "POST",
        "/api/v1/patients/{id}/unmerge",
        part,
        "Part a patient who was merged into another by mistake",
        "patients.merge",
        "Patient",
        "update",
        answer=UnmergeResult,
        body=UnmergeOrder,
        tag="patients",
    ),
)
