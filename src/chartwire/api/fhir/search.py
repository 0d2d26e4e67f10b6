"""FHIR R4 search: of a type, of all types, of a compartment, by GET and by POST (R4 3.1.1), as Bundles.

What is asked is understood by record.search; what is added to a page, cut from it and told about it is done here.
Bodies pass through as they were stored, unless a part of them is wanted.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from chartwire.api.fhir import including, provenance, shaping
from chartwire.api.fhir.assembling import (
    BASE,
    INCLUDED,
    MATCH,
    Warned,
    base_of,
    bundle,
    entry,
    logical_id,
    too_many,
    warnings,
)
from chartwire.api.fhir.negotiation import body_media, preferences, without_form
from chartwire.api.fhir.paging import PAGE, SEARCH, Pairs, links_of, resumed
from chartwire.api.fhir.read import patients_of
from chartwire.api.fhir.shaping import Shape
from chartwire.api.fhir.types import known
from chartwire.api.http import FHIR_JSON, Answer, Request, parameter_pairs
from chartwire.api.problem import ApiError, bad_parameter
from chartwire.api.routes import ANY_RESOURCE, Handler, Parameter, Route
from chartwire.api.services import Services
from chartwire.core.access import Access
from chartwire.core.limits import FHIR_INCLUDED_MAX
from chartwire.formats.fhir.definitions import compartments
from chartwire.formats.fhir.terminology import Terminology
from chartwire.record.history import Version
from chartwire.record.linked import Rule, linked
from chartwire.record.search import Context, Page, Position, Query, parse, run
from chartwire.store.pool import Connection

FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Place:
    """Where is searched: one type, or (None) those of `_type`; within the compartment (type, logical id) if given."""

    type: str | None
    compartment: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class _Asked:
    """A search as it came: `query` for record.search, and what is done with its page."""

    query: Query
    rules: tuple[Rule, ...]
    shape: Shape
    pairs: Pairs


async def of_type(request: Request, services: Services) -> Answer:
    """`GET /fhir/R4/{type}`, `POST /fhir/R4/{type}/_search`."""
    return await searched(request, services, Place(known(request.parts[0])))


async def of_all(request: Request, services: Services) -> Answer:
    """`GET /fhir/R4`, `POST /fhir/R4/_search`: resources of the types in `_type`."""
    return await searched(request, services, Place(None))


async def of_compartment(request: Request, services: Services) -> Answer:
    """`GET /fhir/R4/Patient/{id}/{type}` and `/*`: what is in the compartment of one resource."""
    compartment, logical_id, member = request.parts
    members = compartments().get(compartment, {})
    if not members or (member != "*" and not members.get(known(member))):
        detail = (
            f"compartments are those of {', '.join(sorted(compartments()))}, each with the types that R4 puts into it"
        )
        raise ApiError(detail, code="not_found", error_class="not_found")
    return await searched(request, services, Place(None if member == "*" else member, (compartment, logical_id)))


async def searched(request: Request, services: Services, place: Place) -> Answer:
    """The searchset of a request. Raises ApiError and SearchError for what cannot be asked."""
    pairs, after = resumed(request, services, await _pairs(request), list[str | None])
    asked = _asked(request, services, pairs, place, await services.terminologies.for_search(pairs))
    async with services.pool.connection() as connection:
        page = await _page(connection, request, services, asked.query, None if after is None else tuple(after))
        included, whole = await _included(connection, request.access, services, asked, page)
    return _answer(request, services, asked, page, included, whole)


async def _pairs(request: Request) -> Pairs:
    """The parameters of the address and of the form together, without those about the form of the answer."""
    if request.method != "POST":
        return request.pairs
    if not request.has_no_body:
        body_media(request, FORM.encode())
    return [*request.pairs, *without_form(parameter_pairs(await request.content(), repeated=True))]


def _asked(request: Request, services: Services, pairs: Pairs, place: Place, terminology: Terminology) -> _Asked:
    added = [pair for pair in pairs if including.is_inclusion(pair[0])]
    about = {name: value for name, value in pairs if name in shaping.NAMES}
    rest = [pair for pair in pairs if pair not in added and pair[0] not in shaping.NAMES]
    shape = shaping.shape_of(about)
    if added and shape.summary == "text":
        raise bad_parameter("_summary", "is not `text` where further resources are included")
    context = Context(bases=(f"{base_of(request, services)}/",), terminology=terminology)
    strict = preferences(request).strict
    query = parse(place.type, rest, strict=strict, context=context, compartment=place.compartment)
    if shape.summary == "count":
        query = replace(query, count=0, total="accurate")
    asked = _Asked(query, including.inclusions(added), shape, [*query.pairs, *added, *about.items()])
    request.asked = {name for name, _ in asked.pairs}
    return asked


async def _page(
    connection: Connection, request: Request, services: Services, query: Query, after: Position | None
) -> Page:
    if query.types == (provenance.TYPE,):
        base = f"{base_of(request, services)}/"
        return await provenance.completed(connection, services, request.access, query, after, base)
    return await run(connection, request.access, query, after)


async def _included(
    connection: Connection, access: Access, services: Services, asked: _Asked, page: Page
) -> tuple[list[Version], bool]:
    """What the inclusions add to a page, and whether that is all of it."""
    if not asked.rules or not page.found:
        return [], True
    named = [(found.type, found.stored.id) for found in page.found]
    included, whole = await linked(connection, access, named, asked.rules, FHIR_INCLUDED_MAX)
    added = [(one.type, one.stored.id) for one in included]
    room = FHIR_INCLUDED_MAX - len(included)
    computed, all_computed = await provenance.leading_back(services, access, named, added, asked.rules, room)
    return included + computed, whole and all_computed


def _answer(
    request: Request, services: Services, asked: _Asked, page: Page, included: Sequence[Version], whole: bool
) -> Answer:
    base = base_of(request, services)
    entries = [
        *_matches(base, asked.shape, page),
        *_additions(base, asked.shape, included),
        *warnings(_warnings(asked.query, whole=whole)),
    ]
    body = bundle("searchset", entries, links_of(request, services, asked.pairs, page.after), total=page.total)
    given = [(one.type, one.stored) for one in page.found] + [(one.type, one.stored) for one in included]
    patients = {patient for kind, stored in given for patient in patients_of(kind, stored)}
    return Answer(body, 200, FHIR_JSON, (), len(given), patients)


def _matches(base: str, shape: Shape, page: Page) -> Iterator[str]:
    for found in page.found:
        body = found.stored.body if shape.whole else shape.cut(found.type, found.stored.body)
        yield entry(base, found.type, logical_id(found.stored), body, MATCH)


def _additions(base: str, shape: Shape, included: Sequence[Version]) -> Iterator[str]:
    for one in included:
        body = one.stored.body if shape.whole else shape.cut(one.type, one.stored.body, included=True)
        yield entry(base, one.type, logical_id(one.stored), body, INCLUDED)


def _warnings(query: Query, *, whole: bool) -> Iterator[Warned]:
    """What the caller should know: parameters that were ignored, a page to which too much would be added."""
    for one in query.warnings:
        yield Warned("not-supported", one.parameter, one.text)
    if not whole:
        yield too_many("_include")


_PARAMETERS = (
    Parameter("_count", "How many matches at most, 0 to 1000"),
    Parameter("_sort", "Parameters to sort by, joined by commas, `-` before one for descending"),
    Parameter("_total", "Whether the number of all matches is told", values=("none", "estimate", "accurate")),
    Parameter("_include", "Resources that matches refer to: Type:parameter, Type:parameter:Target, Type:* or *"),
    Parameter("_revinclude", "Resources that refer to matches, written alike"),
    *shaping.PARAMETERS,
    Parameter(PAGE, "Where the search goes on, from the link `next`; it stands alone"),
)
"""What every search takes besides the parameters of its type, which /metadata lists."""


def _route(method: str, path: str, handle: Handler, summary: str, resource_type: str = ANY_RESOURCE) -> Route:
    return Route(
        method,
        BASE + path,
        handle,
        summary,
        "fhir.read",
        resource_type,
        "search",
        checked=True,
        parameters=_PARAMETERS if method == "GET" else (),
        media="application/fhir+json",
        tag="FHIR R4",
        open_query=True,
        body_media=(FORM,),
        body_optional=True,
    )


_COMPARTMENT = "/{type}/{id}/{member}"
ROUTES = (
    _route("GET", "/{type}", of_type, "Search resources of a type"),
    _route("POST", f"/{{type}}{SEARCH}", of_type, "Search resources of a type, by a form"),
    _route("GET", "", of_all, "Search resources of several types", ""),
    _route("POST", SEARCH, of_all, "Search resources of several types, by a form", ""),
    _route("GET", _COMPARTMENT, of_compartment, "Search in a compartment"),
    _route("POST", _COMPARTMENT + SEARCH, of_compartment, "Search in a compartment, by a form"),
)
