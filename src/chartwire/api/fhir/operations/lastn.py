"""`Observation/$lastn` (R4 observation-operation-lastn): a search, and of what it finds the last `max` of each code."""

from chartwire.api.fhir.assembling import MATCH, Warned, base_of, bundle, entry, logical_id, warnings
from chartwire.api.fhir.negotiation import preferences
from chartwire.api.fhir.operations.given import texts
from chartwire.api.fhir.operations.registry import Operation
from chartwire.api.fhir.paging import links_of
from chartwire.api.fhir.read import patients_of
from chartwire.api.http import FHIR_JSON, Answer, Request
from chartwire.api.problem import ApiError, bad_parameter
from chartwire.api.services import Services
from chartwire.core.access import Access
from chartwire.core.limits import FHIR_LASTN_READ_MAX, FHIR_PAGE_SIZE_MAX
from chartwire.record.lastn import last_of_each
from chartwire.record.search import Context, Found, Query, parse, run

_SUBJECTS = ("patient", "subject")
_NOT_TAKEN = frozenset({"_count", "_sort", "_total"})


async def lastn(request: Request, services: Services) -> Answer:
    """`GET` or `POST /fhir/R4/Observation/$lastn`. Raises ApiError (422 `too_costly`) where too much would be read."""
    pairs = await texts(request)
    base = base_of(request, services)
    query = _query(pairs, base, strict=preferences(request).strict)
    most = _most(dict(pairs).get("max", "1"))
    request.asked = {name for name, _ in query.pairs}
    observations = await _newest_first(services, request.access, query)
    kept = last_of_each(observations, most)
    entries = [entry(base, one.type, logical_id(one.stored), one.stored.body, MATCH) for one in kept]
    entries += warnings(Warned("not-supported", one.parameter, one.text) for one in query.warnings)
    people = {patient for one in kept for patient in patients_of(one.type, one.stored)}
    body = bundle("searchset", entries, links_of(request, services, pairs), total=len(kept))
    return Answer(body, 200, FHIR_JSON, (), len(kept), people)


def _query(pairs: list[tuple[str, str]], base: str, *, strict: bool) -> Query:
    if not any(name.partition(":")[0].partition(".")[0] in _SUBJECTS for name, _ in pairs):
        raise bad_parameter("patient", "(or `subject`) is needed: whose observations")
    asked = [pair for pair in pairs if pair[0] != "max" and pair[0] not in _NOT_TAKEN]
    controls = [("_sort", "-date"), ("_count", str(FHIR_PAGE_SIZE_MAX))]
    return parse("Observation", [*asked, *controls], strict=strict, context=Context(bases=(f"{base}/",)))


def _most(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text[:6]) > 0 and len(text) < 6):
        raise bad_parameter("max", "is a whole number, 1 or more")
    return int(text)


async def _newest_first(services: Services, access: Access, query: Query) -> list[Found]:
    found: list[Found] = []
    after = None
    async with services.pool.connection() as connection:
        while len(found) <= FHIR_LASTN_READ_MAX:
            page = await run(connection, access, query, after)
            found += page.found
            after = page.after
            if after is None:
                return found
    raise ApiError(
        f"more than {FHIR_LASTN_READ_MAX} observations would be read: narrow it by code, category or date",
        code="too_costly",
    )


LASTN = Operation(
    "lastn",
    "http://hl7.org/fhir/OperationDefinition/Observation-lastn",
    "The last observations of each code",
    lastn,
    ("type",),
    ("Observation",),
)
