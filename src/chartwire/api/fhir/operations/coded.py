"""What the terminology operations are asked about, and the Parameters that they answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import orjson

from chartwire.api.fhir.operations.given import Given, single, text
from chartwire.api.http import FHIR_JSON, Answer, Request
from chartwire.api.problem import ApiError, bad_parameter
from chartwire.api.services import Services
from chartwire.core.fhir_ids import store_id
from chartwire.formats.fhir.definitions.codes import ValueSet, known_canonical, value_set_definition
from chartwire.formats.fhir.value_sets import value_set_of
from chartwire.mapping.conversion import Json
from chartwire.record.bodies import read_json
from chartwire.record.read import read_one
from chartwire.record.search import parse, run
from chartwire.record.search.values import escaped

CODING_PARAMETERS = ("code", "system", "display", "coding", "codeableConcept")


class Coding(msgspec.Struct):
    """One code that is asked about; `system` is "" where only the code is known."""

    code: str
    system: str = ""
    display: str = ""


class CodeableConcept(msgspec.Struct):
    """A concept that is asked about, by any of its codes."""

    coding: list[Coding] = []


@dataclass(frozen=True, slots=True)
class Named:
    """A value set that is asked about. `canonical` is "" where it came in the body or is a resource."""

    told: ValueSet
    canonical: str = ""


def codings(found: Given, *, needs_system: bool) -> list[Coding]:
    """The codes that are asked about: `code` with `system`, `coding`, or `codeableConcept`. Raises ApiError."""
    ways = [name for name in ("code", "coding", "codeableConcept") if found.get(name)]
    if len(ways) != 1:
        raise bad_parameter("code", "is needed, with `system`; or `coding`, or `codeableConcept`: one of the three")
    way = ways[0]
    if way == "code":
        told = [Coding(text(found, "code"), text(found, "system"), text(found, "display"))]
    elif way == "coding":
        told = [shaped(single(found, way), Coding, way)]
    else:
        told = shaped(single(found, way), CodeableConcept, way).coding
    if not told or any(not coding.code or (needs_system and not coding.system) for coding in told):
        raise bad_parameter(way, "has a code" + (" and a system" if needs_system else ""))
    return told


def shaped(value: Any, shape: type[Any], name: str) -> Any:
    """A value as a data type. Raises ApiError for another shape; only POST can give one."""
    try:
        return msgspec.convert(value, shape)
    except msgspec.ValidationError:
        raise bad_parameter(name, "is a data type: POST a Parameters resource with it") from None


async def value_set(request: Request, services: Services, found: Given) -> Named:
    """The value set by id, `valueSet`, or `url` with `valueSetVersion`: that of R4 or US Core, else the resource of the
    organisation with this url, the one that changed last.

    Raises ApiError (`unknown_value_set`, `invalid_parameter`), ValidationError, NotFoundError.
    """
    if request.parts:
        stored = await read_one(services.pool, request.access, "ValueSet", store_id(request.parts[0]))
        if stored is None or stored.deleted:
            raise unknown("unknown_value_set", "no value set has this id")
        return Named(value_set_of(read_json(stored.body)))
    if (sent := single(found, "valueSet")) is not None:
        return Named(value_set_of(sent))
    url, version = text(found, "url"), text(found, "valueSetVersion")
    if not url:
        raise bad_parameter("url", "is needed: the canonical of a value set")
    wanted = f"{url}|{version}" if version and "|" not in url else url
    told = value_set_definition(wanted)
    if told is not None:
        return Named(told, known_canonical(wanted))
    return Named(value_set_of(await _own(request, services, wanted)), wanted)


async def _own(request: Request, services: Services, canonical: str) -> Json:
    """The ValueSet resource of the organisation that has this canonical. Raises ApiError (`unknown_value_set`)."""
    url, _, version = map(escaped, canonical.partition("|"))
    query = parse("ValueSet", [("url", url), ("version", version), ("_sort", "-_lastUpdated"), ("_count", "1")])
    async with services.pool.connection() as connection:
        page = await run(connection, request.access, query)
    if not page.found:
        raise unknown(
            "unknown_value_set",
            "no such value set comes with R4 or US Core, or is a resource here: send it as `valueSet`, or store it",
        )
    body: Json = read_json(page.found[0].stored.body)
    return body


def unknown(code: str, message: str) -> ApiError:
    """That something named in a request is not known: 404 with `code`."""
    return ApiError(message, code=code, error_class="not_found")


def parameters(*pairs: tuple[str, str, Any] | None) -> Answer:
    """A Parameters resource of (name, `valueString` and the like or `part`, value); what is None or "" is left out."""
    told = [{"name": name, kind: value} for name, kind, value in filter(None, pairs) if value not in (None, "")]
    return resource({"resourceType": "Parameters", "parameter": told})


def resource(body: Json) -> Answer:
    """A resource as an answer that concerns no patient."""
    return Answer(orjson.dumps(body), 200, FHIR_JSON)


def asked_pairs(told: Sequence[Coding]) -> frozenset[tuple[str, str]]:
    """The codes by system and code."""
    return frozenset((coding.system, coding.code) for coding in told)
