"""`ValueSet/$expand` (R4 operation-valueset-expand): all codes of a value set, or those that have some words."""

from datetime import datetime

from chartwire.api.fhir.operations.coded import Named, resource, value_set
from chartwire.api.fhir.operations.given import given, number, text, truth
from chartwire.api.fhir.operations.registry import Operation
from chartwire.api.http import Answer, Request
from chartwire.api.services import Services
from chartwire.core.clock import instant, now
from chartwire.core.errors import ValidationError
from chartwire.core.ids import uuid7
from chartwire.core.limits import HTTP_BODY_BYTES_MAX
from chartwire.formats.fhir.definitions import code_system
from chartwire.mapping.conversion import Json

_KNOWN = (
    "url",
    "valueSet",
    "valueSetVersion",
    "filter",
    "offset",
    "count",
    "activeOnly",
    "excludeNotForUI",
    "excludeNested",
    "includeDesignations",
    "includeDefinition",
)
"""The last three change nothing: expansions are flat, and designations and definitions are not kept."""


async def expand(request: Request, services: Services) -> Answer:
    """`GET` or `POST /fhir/R4/ValueSet/$expand` and `/ValueSet/{id}/$expand`.

    Raises ValidationError: `not_expandable` where not all codes are known, which is never passed over in silence;
    `too_costly`.
    """
    found = await given(request, _KNOWN, bare="valueSet")
    named = await value_set(request, services, found)
    words = text(found, "filter").split()
    listed, complete = await services.terminologies.listed(named.told, words)
    if not complete:
        raise ValidationError(
            "not all codes of the value set are known here: those of systems that are judged by a grammar, or are not "
            "loaded, cannot be listed (`chartwire terminology load`)",
            code="not_expandable",
        )
    entries = [_entry(system, code, display) for (system, code), display in listed.items()]
    if truth(found, "activeOnly"):
        entries = [entry for entry in entries if not entry.get("inactive")]
    if truth(found, "excludeNotForUI"):
        entries = [entry for entry in entries if not entry.get("abstract")]
    offset, count = number(found, "offset") or 0, number(found, "count")
    page = entries[offset:] if count is None else entries[offset : offset + count]
    return resource(_expanded(named, page, len(entries), offset, now()))


def _entry(system: str, code: str, display: str) -> Json:
    entry: Json = {"system": system, "code": code}
    listed = code_system(system)
    place = None if listed is None else listed.place(code)
    if listed is not None and place is not None:
        entry |= {flag: True for flag in ("abstract", "inactive") if place in getattr(listed, flag)}
    return entry | ({"display": display} if display else {})


def _expanded(named: Named, page: list[Json], total: int, offset: int, at: datetime) -> Json:
    url, _, version = named.canonical.partition("|")
    told = {"url": url, "version": version, "name": named.told.name, "title": named.told.title}
    return {
        "resourceType": "ValueSet",
        **{key: value for key, value in told.items() if value},
        "status": "active",
        "expansion": {
            "identifier": f"urn:uuid:{uuid7()}",
            "timestamp": instant(at),
            "total": total,
            "offset": offset,
            "contains": page,
        },
    }


EXPAND = Operation(
    "expand",
    "http://hl7.org/fhir/OperationDefinition/ValueSet-expand",
    "List the codes of a value set",
    expand,
    ("type", "instance"),
    ("ValueSet",),
    body_bytes_max=HTTP_BODY_BYTES_MAX,
)
