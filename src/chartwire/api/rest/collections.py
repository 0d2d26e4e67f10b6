"""The four practice collections, each a line of data: list and one, filters, sorting, paging, fields."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec

from chartwire.api.http import Answer, Request
from chartwire.api.problem import bad_parameter, not_found
from chartwire.api.rest import filters, models, practice
from chartwire.api.rest.etags import etag_of
from chartwire.api.rest.filters import Filter
from chartwire.api.rest.pages import next_link, page_limit, resume, seal_position, uuid_of
from chartwire.api.routes import Parameter, Route
from chartwire.api.services import Services
from chartwire.core.access import Access
from chartwire.core.errors import ChartwireError
from chartwire.core.ids import PREFIXES, from_prefixed
from chartwire.record import custom_fields, read
from chartwire.record.custom_values import FHIR_TYPES, INDEX_PARAMETER, searched
from chartwire.record.read import Found, Search, Stored, Term
from chartwire.store.pool import Pool
from chartwire.store.search_sql import PATIENT_STATUSES

Build = Callable[[Request, Services, Sequence[Stored]], Awaitable[list[Any]]]
_CUSTOM = "custom."
_REPLACED = '"replaced-by"'


@dataclass(frozen=True, slots=True)
class Collection:
    """One kind of object: its words, its FHIR type, what it can be found and sorted by, and how it is built.

    `sorts` maps the word of `sort=` to a parameter of the index with one value a resource, None for the id.
    """

    name: str
    fhir_type: str
    scope: str
    filters: tuple[Filter, ...]
    sorts: dict[str, str | None]
    default_sort: str
    build: Build
    one: type
    page: type
    extra: tuple[Parameter, ...] = ()

    @property
    def prefix(self) -> str:
        """What its ids begin with."""
        return PREFIXES[self.fhir_type]


async def _patients(request: Request, services: Services, found: Sequence[Stored]) -> list[Any]:
    """Patients, with where merged ones went, and insurance when it is asked for."""
    losers = [one.id for one in found if _REPLACED in one.body]
    merged = await read.survivors(services.pool, request.access, losers) if losers else {}
    if not _wants_insurance(request):
        return [practice.patient(one, merged.get(one.id)) for one in found]
    coverages = await read.coverages(services.pool, request.access, [one.id for one in found])
    return [practice.patient(one, merged.get(one.id), coverages.get(one.id, [])) for one in found]


async def _appointments(_: Request, __: Services, found: Sequence[Stored]) -> list[Any]:
    return [practice.appointment(one) for one in found]


async def _providers(_: Request, __: Services, found: Sequence[Stored]) -> list[Any]:
    return [practice.provider(one) for one in found]


async def _locations(_: Request, __: Services, found: Sequence[Stored]) -> list[Any]:
    return [practice.location(one) for one in found]


_EXPAND = Parameter("expand", "`insurance` adds the patient's coverages", "string", ("insurance",))
COLLECTIONS = (
    Collection(
        "patients",
        "Patient",
        "patients.read",
        filters.PATIENTS,
        {"id": None, "created_at": None, "updated_at": "updated", "name": "sort_name", "birth_date": "birthdate"},
        "id",
        _patients,
        models.Patient,
        models.PatientPage,
        (filters.PATIENT_STATUS, _EXPAND),
    ),
    Collection(
        "appointments",
        "Appointment",
        "appointments.read",
        filters.APPOINTMENTS,
        {"id": None, "created_at": None, "updated_at": "updated", "starts_at": "start"},
        "starts_at",
        _appointments,
        models.Appointment,
        models.AppointmentPage,
    ),
    Collection(
        "providers",
        "Practitioner",
        "providers.read",
        filters.PROVIDERS,
        {"id": None, "created_at": None, "updated_at": "updated", "name": "sort_name"},
        "id",
        _providers,
        models.Provider,
        models.ProviderPage,
    ),
    Collection(
        "locations",
        "Location",
        "locations.read",
        filters.LOCATIONS,
        {"id": None, "created_at": None, "updated_at": "updated", "name": "name"},
        "id",
        _locations,
        models.Location,
        models.LocationPage,
    ),
)


def routes_of(collection: Collection) -> tuple[Route, Route]:
    """The list and the single object of a collection."""

    async def many(request: Request, services: Services) -> Answer:
        return await _list(collection, request, services)

    async def one(request: Request, services: Services) -> Answer:
        return await _one(collection, request, services)

    path = f"/api/v1/{collection.name}"
    shape = (_FIELDS, *(parameter for parameter in collection.extra if parameter is _EXPAND))
    return (
        Route(
            "GET",
            path,
            many,
            f"List {collection.name}",
            collection.scope,
            collection.fhir_type,
            "search",
            checked=True,
            parameters=_parameters(collection),
            families=(_CUSTOM,),
            answer=collection.page,
            tag=collection.name,
        ),
        Route(
            "GET",
            f"{path}/{{id}}",
            one,
            f"Read one of the {collection.name}",
            collection.scope,
            collection.fhir_type,
            checked=True,
            parameters=shape,
            answer=collection.one,
            tag=collection.name,
        ),
    )


async def _one(collection: Collection, request: Request, services: Services) -> Answer:
    try:
        wanted = from_prefixed(collection.prefix, request.parts[0])
    except ChartwireError:
        raise not_found() from None
    fields = _fields(collection, request)
    stored = await read.read_one(services.pool, request.access, collection.fhir_type, wanted)
    if stored is None or stored.deleted:
        raise not_found()
    etag = etag_of(stored.version)
    patients = _patients_of(collection, [stored])
    headers = [etag]
    if request.headers.get(b"if-none-match") == etag[1]:
        return Answer(b"", 304, headers=headers, count=1, patients=patients)
    built = await collection.build(request, services, [stored])
    return Answer(msgspec.json.encode(_chosen(built[0], fields)), headers=headers, count=1, patients=patients)


async def _list(collection: Collection, request: Request, services: Services) -> Answer:
    fields = _fields(collection, request)
    wants_total = filters.flag(request.query, "include_total")
    limit = page_limit(request.query)
    query, position = resume(services.sealer, request.access, collection.name, request.query, 2)
    wanted = _search(collection, query, position, limit, await _custom_terms(collection, request, services, query))
    found = await read.search(services.pool, request.access, wanted)
    has_more, found = len(found) > limit, found[:limit]
    token = _next_token(collection, request, services, query, found[-1]) if has_more else None
    stored = [one.stored for one in found]
    built = await collection.build(request, services, stored)
    page = models.Page([_chosen(one, fields) for one in built], has_more, token, "list")
    if wants_total:
        page = await _with_total(page, services.pool, request.access, wanted)
    headers = [next_link(request.path, request.query, token)] if token else []
    return Answer(
        msgspec.json.encode(page), headers=headers, count=len(found), patients=_patients_of(collection, stored)
    )


async def _custom_terms(
    collection: Collection, request: Request, services: Services, query: Mapping[str, str]
) -> list[Term]:
    """The conditions of parameters `custom.<name>`."""
    asked = {name.removeprefix(_CUSTOM): text for name, text in query.items() if name.startswith(_CUSTOM)}
    if not asked:
        return []
    noun = next(noun for noun, fhir_type in FHIR_TYPES.items() if fhir_type == collection.fhir_type)
    async with services.pool.transaction(request.access.org) as tx:
        known = {one.name: one for one in await custom_fields.many(tx, request.access, noun) if one.searchable}
    if not asked.keys() <= known.keys():
        raise bad_parameter("custom", "is followed by a dot and the name of a searchable custom field of this noun")
    return [Term(INDEX_PARAMETER, "eq", searched(known[name], text)) for name, text in asked.items()]


def _search(
    collection: Collection,
    query: Mapping[str, str],
    position: list[str | None] | None,
    limit: int,
    terms: list[Term],
) -> Search:
    sort, descending = _sort(collection, query.get("sort") or _natural_sort(collection, query))
    for one in collection.filters:
        if one.name in query:
            terms += one.terms(query[one.name])
    after = (position[0], uuid_of(position[1])) if position else None
    return Search(collection.fhir_type, tuple(terms), sort, descending, after, limit + 1, _statuses(collection, query))


def _statuses(collection: Collection, query: Mapping[str, str]) -> tuple[str, ...]:
    """Merged records are left out of lists, but who asks by number is told where that number went."""
    if collection.fhir_type == "Patient" and "status" in query:
        return filters.chosen("status", query["status"], PATIENT_STATUSES)
    return PATIENT_STATUSES if query.keys() & {"mrn", "identifier", "external_id"} else ("active", "inactive")


def _natural_sort(collection: Collection, query: Mapping[str, str]) -> str:
    """Who asks for what changed since then reads it in the order in which it changed, and misses nothing."""
    return "updated_at" if "updated_at_gte" in query else collection.default_sort


def _sort(collection: Collection, text: str) -> tuple[str | None, bool]:
    word = text.removeprefix("-")
    if word not in collection.sorts:
        raise bad_parameter("sort", f"is one of {', '.join(collection.sorts)}, with - before it for descending")
    return collection.sorts[word], text.startswith("-")


def _next_token(
    collection: Collection, request: Request, services: Services, query: Mapping[str, str], last: Found
) -> str:
    position = [last.sort_value, str(last.stored.id)]
    return seal_position(services.sealer, request.access, collection.name, query, position)


async def _with_total(page: models.Page, pool: Pool, access: Access, wanted: Search) -> models.Page:
    total, exact = await read.count(pool, access, wanted)
    return msgspec.structs.replace(page, total=total, total_is_estimate=not exact)


def _fields(collection: Collection, request: Request) -> frozenset[str] | None:
    text = request.query.get("fields")
    if text is None:
        return None
    names = frozenset(text.split(","))
    known = {field.encode_name for field in msgspec.structs.fields(collection.one)}
    if not names <= known:
        raise bad_parameter("fields", f"names some of {', '.join(sorted(known))}, joined by commas")
    return names | {"id", "object"}


def _chosen(built: Any, fields: frozenset[str] | None) -> Any:
    if fields is None:
        return built
    return {name: value for name, value in msgspec.to_builtins(built).items() if name in fields}


def _wants_insurance(request: Request) -> bool:
    expand = request.query.get("expand")
    if expand not in {None, "insurance"}:
        raise bad_parameter("expand", "can be `insurance`")
    return expand is not None


def _patients_of(collection: Collection, found: Sequence[Stored]) -> list[UUID]:
    if collection.fhir_type == "Patient":
        return [one.id for one in found]
    return [one.patient_id for one in found if one.patient_id]


_FIELDS = Parameter("fields", "Only these members of each object, joined by commas; `id` and `object` always come")


def _parameters(collection: Collection) -> tuple[Parameter, ...]:
    sorts = tuple(direction + word for word in collection.sorts for direction in ("", "-"))
    return (
        *(one.parameter for one in collection.filters),
        *collection.extra,
        Parameter(
            "sort",
            f"Order; `{collection.default_sort}` by default (`updated_at` with updated_at_gte), the id as tiebreak",
            "string",
            sorts,
        ),
        Parameter("limit", "Objects a page, 1 to 100; 25 by default", "integer"),
        Parameter("page_token", "Where to go on: `next_page_token` of the page before"),
        Parameter("include_total", "Adds `total`, exact up to 10,000", "boolean"),
        _FIELDS,
    )


ROUTES = tuple(route for collection in COLLECTIONS for route in routes_of(collection))
