"""`DocumentReference/$docref` (US Core): which documents there are of a patient, of a type, about a time.

Without a time it is the most recent document of each type. Documents are not made on demand: who asks for those alone
gets none, and is told.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from chartwire.api.fhir.assembling import MATCH, Warned, base_of, bundle, entry, logical_id, warnings
from chartwire.api.fhir.operations.coded import CodeableConcept, Coding, shaped
from chartwire.api.fhir.operations.given import Given, all_texts, given, moment, text, truth
from chartwire.api.fhir.operations.registry import Operation
from chartwire.api.fhir.paging import links_of
from chartwire.api.fhir.read import patients_of
from chartwire.api.http import FHIR_JSON, Answer, Request
from chartwire.api.problem import bad_parameter
from chartwire.api.services import Services
from chartwire.core.limits import FHIR_PAGE_SIZE_MAX
from chartwire.mapping.conversion import Json
from chartwire.record.bodies import read_json
from chartwire.record.fhir_index.dates import moments
from chartwire.record.search import Context, Found, parse, run
from chartwire.record.search.values import escaped

_KNOWN = ("patient", "start", "end", "type", "on-demand", "profile")
_NO_TYPE = ("", "")


async def docref(request: Request, services: Services) -> Answer:
    """`GET` or `POST /fhir/R4/DocumentReference/$docref`."""
    told = await given(request, _KNOWN)
    base = base_of(request, services)
    pairs = _pairs(told)
    single = {name: str(values[-1]) for name, values in told.items()}
    start, end = moment(single, "start"), moment(single, "end", end=True)
    on_demand = truth(told, "on-demand")
    query = parse("DocumentReference", pairs, strict=True, context=Context(bases=(f"{base}/",)))
    async with services.pool.connection() as connection:
        page = await run(connection, request.access, query)
    found = [] if on_demand else _chosen(page.found, start, end)
    entries = [entry(base, one.type, logical_id(one.stored), one.stored.body, MATCH) for one in found]
    entries += warnings(_told(on_demand, whole=page.after is None))
    people = {patient for one in found for patient in patients_of(one.type, one.stored)}
    body = bundle("searchset", entries, links_of(request, services, pairs[:-2]), total=len(found))
    return Answer(body, 200, FHIR_JSON, (), len(found), people)


def _pairs(told: Given) -> list[tuple[str, str]]:
    """The search that finds the candidates, newest first. Raises ApiError without a patient."""
    patient = text(told, "patient")
    if not patient:
        raise bad_parameter("patient", "is needed: the id of one patient")
    types = [_token(one) for one in told.get("type", ())]
    profiles = all_texts(told, "profile")
    asked = [("patient", patient), ("type", ",".join(types)), ("_profile", ",".join(profiles))]
    controls = [("status", "current"), ("_sort", "-date"), ("_count", str(FHIR_PAGE_SIZE_MAX))]
    return [pair for pair in asked if pair[1]] + controls


def _token(told: Any) -> str:
    """A type as a search token: as it was written in an address, or a Coding, or a CodeableConcept."""
    if isinstance(told, str):
        return told
    concept = told if isinstance(told, dict) and "coding" in told else {"coding": [told]}
    codings: list[Coding] = shaped(concept, CodeableConcept, "type").coding
    if not codings:
        raise bad_parameter("type", "is a token such as http://loinc.org|34133-9, or a Coding")
    return ",".join(
        f"{escaped(one.system)}|{escaped(one.code)}" if one.system else escaped(one.code) for one in codings
    )


def _chosen(found: Iterable[Found], start: datetime | None, end: datetime | None) -> list[Found]:
    """Documents about a time; without one the first (most recent) of each type."""
    documents = [(one, read_json(one.stored.body)) for one in found]
    if start is None and end is None:
        newest = {_type_of(body): one for one, body in reversed(documents)}
        return [one for one, body in documents if newest[_type_of(body)] is one]
    return [one for one, body in documents if _is_about(body, start, end)]


def _type_of(body: Json) -> tuple[str, str]:
    codings = body.get("type", {}).get("coding", ())
    return next(((one.get("system", ""), one["code"]) for one in codings if "code" in one), _NO_TYPE)


def _is_about(body: Json, start: datetime | None, end: datetime | None) -> bool:
    """Whether the care that a document tells of (else the document itself) is of the time; what is open is."""
    period = body.get("context", {}).get("period", {})
    otherwise = "" if period else body.get("date", "")
    low, high = moments(period.get("start", otherwise)), moments(period.get("end", otherwise))
    return (end is None or low is None or low[0] < end) and (start is None or high is None or high[1] > start)


def _told(on_demand: bool, *, whole: bool) -> Iterator[Warned]:
    if on_demand:
        yield Warned("not-supported", "on-demand", "documents are not made on demand here")
    if not whole:
        yield Warned("incomplete", "patient", f"only the newest {FHIR_PAGE_SIZE_MAX} documents were looked at")


DOCREF = Operation(
    "docref",
    "http://hl7.org/fhir/us/core/OperationDefinition/docref",
    "The documents of a patient",
    docref,
    ("type",),
    ("DocumentReference",),
)
