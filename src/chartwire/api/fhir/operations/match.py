"""`Patient/$match` (R4 patient-operation-match): who of the record a person may be, best first, scored and graded."""

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

import orjson

from chartwire.api.fhir.assembling import base_of, bundle, entry, logical_id
from chartwire.api.fhir.judging import judged
from chartwire.api.fhir.operations.given import Given, given, number, single, truth
from chartwire.api.fhir.operations.registry import Operation
from chartwire.api.fhir.paging import links_of
from chartwire.api.http import FHIR_JSON, Answer, Request
from chartwire.api.problem import bad_parameter
from chartwire.api.services import Services
from chartwire.core.access import Access
from chartwire.mapping.conversion import Json
from chartwire.record.bodies import read_json
from chartwire.record.matching import Match, match
from chartwire.record.read import Stored, read_one, survivors
from chartwire.record.search import parse, run
from chartwire.record.search.values import escaped

_GRADE = "http://hl7.org/fhir/StructureDefinition/match-grade"
_KNOWN = ("resource", "onlyCertainMatches", "count")
_CANDIDATES_MAX = 50
_COUNT_MAX = 100
Graded = tuple[Stored, Match]


async def match_patient(request: Request, services: Services) -> Answer:
    """`POST /fhir/R4/Patient/$match`: Parameters with `resource`, `onlyCertainMatches`, `count`; or the Patient alone.

    Only certain matches: the one patient of whom it is certain, none where there are several.
    """
    told = await given(request, _KNOWN, bare="resource")
    wanted = _wanted(single(told, "resource"))
    count = _count(told)
    graded = await _graded(services, request.access, wanted)
    if truth(told, "onlyCertainMatches"):
        certain = [one for one in graded if one[1].grade == "certain"]
        graded = certain if len(certain) == 1 else []
    base = base_of(request, services)
    shown = graded[:count]
    entries = [_entry(base, stored, found) for stored, found in shown]
    body = bundle("searchset", entries, links_of(request, services, ()), total=len(graded))
    return Answer(body, 200, FHIR_JSON, (), len(shown), {stored.id for stored, _ in shown})


def _wanted(told: Any) -> Json:
    if not isinstance(told, dict) or told.get("resourceType") != "Patient":
        raise bad_parameter("resource", "is needed: the Patient who is looked for")
    judged(told)
    return told


def _count(told: Given) -> int:
    count = number(told, "count")
    if count == 0:
        raise bad_parameter("count", "is a whole number, 1 or more")
    return min(count or _COUNT_MAX, _COUNT_MAX)


async def _graded(services: Services, access: Access, wanted: Json) -> list[Graded]:
    """Who comes into question, best first."""
    found = await _candidates(services, access, wanted)
    graded = [(stored, made) for stored in found.values() if (made := match(wanted, read_json(stored.body)))]
    return sorted(graded, key=lambda one: (-one[1].score, str(one[0].id)))


async def _candidates(services: Services, access: Access, wanted: Json) -> dict[UUID, Stored]:
    """Patients of whom something agrees; in place of who was merged into another, that one."""
    found: dict[UUID, Stored] = {}
    async with services.pool.connection() as connection:
        for pairs in _searches(wanted):
            query = parse("Patient", [*pairs, ("_count", str(_CANDIDATES_MAX))], strict=True)
            page = await run(connection, access, query)
            found |= {one.stored.id: one.stored for one in page.found}
    for loser, survivor in (await survivors(services.pool, access, list(found))).items():
        del found[loser]
        if survivor not in found and (stored := await read_one(services.pool, access, "Patient", survivor)) is not None:
            found[survivor] = stored
    return found


def _searches(wanted: Json) -> Iterator[list[tuple[str, str]]]:
    """Searches that find candidates: by numbers, by contacts, by names with the birth date, by the whole name."""
    numbers = [
        f"{escaped(one['system'])}|{escaped(one['value'])}" for one in wanted.get("identifier", ()) if _is_known(one)
    ]
    contacts = [escaped(one["value"]) for one in wanted.get("telecom", ()) if one.get("value")]
    families = [escaped(name["family"]) for name in wanted.get("name", ()) if name.get("family")]
    given_names = [escaped(word) for name in wanted.get("name", ()) for word in name.get("given", ()) if word]
    born = wanted.get("birthDate")
    if numbers:
        yield [("identifier", ",".join(numbers))]
    if contacts:
        yield [("telecom", ",".join(contacts))]
    if born and families:
        yield [("birthdate", born), ("family", ",".join(families))]
    if born and given_names:
        yield [("birthdate", born), ("given", ",".join(given_names))]
    if families and given_names:
        yield [("family", ",".join(families)), ("given", ",".join(given_names))]


def _is_known(identifier: Mapping[str, Any]) -> bool:
    return bool(identifier.get("system") and identifier.get("value"))


def _entry(base: str, stored: Stored, found: Match) -> str:
    search = {
        "mode": "match",
        "score": round(found.score, 3),
        "extension": [{"url": _GRADE, "valueCode": found.grade}],
    }
    return entry(base, "Patient", logical_id(stored), stored.body, f',"search":{orjson.dumps(search).decode()}')


MATCH = Operation(
    "match",
    "http://hl7.org/fhir/OperationDefinition/Patient-match",
    "Who of the record a person may be",
    match_patient,
    ("type",),
    ("Patient",),
    post_only=True,
)
