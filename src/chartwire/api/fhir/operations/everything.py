"""`Patient/{id}/$everything` and `Patient/$everything` (R4 operation-patient-everything), page by page."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import msgspec

from chartwire.api.fhir.assembling import INCLUDED, MATCH, base_of, bundle, entry, logical_id, too_many, warnings
from chartwire.api.fhir.operations.given import moment, texts
from chartwire.api.fhir.operations.registry import Operation
from chartwire.api.fhir.paging import Pairs, links_of, page_size, resumed
from chartwire.api.fhir.read import patients_of, standing
from chartwire.api.fhir.types import served
from chartwire.api.http import FHIR_JSON, Answer, Request
from chartwire.api.problem import bad_parameter
from chartwire.api.services import Services
from chartwire.core.access import Access
from chartwire.core.limits import FHIR_INCLUDED_MAX, FHIR_PAGE_SIZE_MAX
from chartwire.record.everything import END, Reached, Wanted, belonging, named_by, patients
from chartwire.record.history import BEGINNING, Version
from chartwire.record.read import survivors
from chartwire.store.pool import Connection

_KNOWN = ("start", "end", "_since", "_type", "_count")
_PATIENTS_A_PAGE_MAX = 200
_REPLACED = '"replaced-by"'
_FIRST = UUID(int=0)


class _Behind(msgspec.Struct, array_like=True, frozen=True):
    """Where the next page begins: within a patient, or (nothing reached) at the patient after it."""

    patient: UUID
    reached: Reached | None = None


@dataclass(frozen=True, slots=True)
class _Asked:
    wanted: Wanted
    count: int
    pairs: Pairs


async def everything(request: Request, services: Services) -> Answer:
    """`GET` or `POST /fhir/R4/Patient/{id}/$everything`, `Patient/$everything`."""
    asked, behind = await _asked(request, services)
    return await (_of_one if request.parts else _of_all)(request, services, asked, behind)


async def _of_one(request: Request, services: Services, asked: _Asked, behind: _Behind | None) -> Answer:
    """Of one patient; of who was merged into another, what that one has."""
    if behind is None:
        behind = _Behind(await _patient(request, services), Reached())
    async with services.pool.connection() as connection:
        told, after = await _told(connection, request.access, behind, asked, asked.count)
        return await _answer(connection, request, services, asked, told, after if after.reached else None)


async def _of_all(request: Request, services: Services, asked: _Asked, behind: _Behind | None) -> Answer:
    """Of every patient, one after the other."""
    told: list[Version] = []
    after, ended = behind or _Behind(_FIRST), False
    async with services.pool.transaction(request.access.org) as tx:
        for _ in range(_PATIENTS_A_PAGE_MAX):
            begun = await _begun(tx, request.access, after)
            if begun is None:
                ended = True
                break
            more, after = await _told(tx, request.access, begun, asked, asked.count - len(told))
            told += more
            if len(told) >= asked.count:
                break
        return await _answer(tx, request, services, asked, told, None if ended else after)


async def _begun(tx: Connection, access: Access, behind: _Behind) -> _Behind | None:
    """The place itself, or the beginning of the patient behind it; None behind the last one."""
    if behind.reached is not None:
        return behind
    following = await patients(tx, access, behind.patient, 1)
    return _Behind(following[0], Reached()) if following else None


async def _told(
    connection: Connection, access: Access, behind: _Behind, asked: _Asked, room: int
) -> tuple[list[Version], _Behind]:
    """As much of a patient as there is room for, and where it goes on."""
    found = await belonging(connection, access, behind.patient, asked.wanted, behind.reached or Reached(), room + 1)
    shown = found[:room]
    if len(found) == len(shown):
        return shown, _Behind(behind.patient)
    reached = Reached(shown[-1].type, shown[-1].stored.id) if shown else behind.reached
    return shown, _Behind(behind.patient, reached)


async def _asked(request: Request, services: Services) -> tuple[_Asked, _Behind | None]:
    pairs, behind = resumed(request, services, await texts(request, _KNOWN), _Behind)
    told = dict(pairs)
    types = frozenset(told["_type"].split(",")) if "_type" in told else frozenset[str]()
    if not types <= served():
        raise bad_parameter("_type", "names resource types that are served here")
    wanted = Wanted(
        types,
        moment(told, "_since") or BEGINNING,
        moment(told, "start") or BEGINNING,
        moment(told, "end", end=True) or END,
    )
    return _Asked(wanted, page_size(told.get("_count"), FHIR_PAGE_SIZE_MAX), pairs), behind


async def _patient(request: Request, services: Services) -> UUID:
    """The patient that is meant; of one who was merged away, the survivor. Raises ApiError (404, 410)."""
    stored = await standing(request, services, "Patient", request.parts[0])
    if _REPLACED not in stored.body:
        return stored.id
    return (await survivors(services.pool, request.access, [stored.id])).get(stored.id, stored.id)


async def _answer(
    connection: Connection,
    request: Request,
    services: Services,
    asked: _Asked,
    told: Sequence[Version],
    after: _Behind | None,
) -> Answer:
    shared, whole = await named_by(connection, request.access, told, asked.wanted, FHIR_INCLUDED_MAX)
    base = base_of(request, services)
    entries = [
        *(entry(base, one.type, logical_id(one.stored), one.stored.body, MATCH) for one in told),
        *(entry(base, one.type, logical_id(one.stored), one.stored.body, INCLUDED) for one in shared),
        *warnings(() if whole else (too_many("_count"),)),
    ]
    people = {patient for one in told for patient in patients_of(one.type, one.stored)}
    body = bundle("searchset", entries, links_of(request, services, asked.pairs, after))
    return Answer(body, 200, FHIR_JSON, (), len(entries), people)


EVERYTHING = Operation(
    "everything",
    "http://hl7.org/fhir/OperationDefinition/Patient-everything",
    "All that belongs to a patient, or to each patient",
    everything,
    ("type", "instance"),
    ("Patient",),
)
