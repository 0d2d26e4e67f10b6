"""`$meta`, `$meta-add`, `$meta-delete` (R4 resource-operation-meta): profiles, tags and security labels.

Of one resource they are its `meta`; of a type, and of everything, they are all that any resource has. Adding and taking
away are writes: a new version where something changed, and none where nothing did.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from chartwire.api.fhir.judging import judged
from chartwire.api.fhir.operations.given import given
from chartwire.api.fhir.operations.registry import Operation
from chartwire.api.fhir.read import patients_of, standing
from chartwire.api.fhir.types import known, served
from chartwire.api.fhir.write import perform
from chartwire.api.http import FHIR_JSON, Answer, Request
from chartwire.api.problem import bad_parameter
from chartwire.api.services import Services
from chartwire.mapping.conversion import Json
from chartwire.record.bodies import plain_json, read_json
from chartwire.record.fhir_index import place_of
from chartwire.record.fhir_writing import Write
from chartwire.store.queries import q

_LISTS = ("profile", "security", "tag")
_VALUES_MAX = 1_000
Listed = dict[str, list[Any]]


async def meta(request: Request, services: Services) -> Answer:
    """`GET` or `POST` `/{type}/{id}/$meta`, `/{type}/$meta`, `/$meta`."""
    await given(request, ())
    if len(request.parts) == 2:
        return await _of_one(request, services)
    types = [known(request.parts[0])] if request.parts else sorted(served())
    return _answer(await _of_types(request, services, types))


async def add(request: Request, services: Services) -> Answer:
    """`POST /{type}/{id}/$meta-add`: what `meta` lists is there from now on."""
    return await _changed(request, services, _united)


async def delete(request: Request, services: Services) -> Answer:
    """`POST /{type}/{id}/$meta-delete`: what `meta` lists is not there from now on; what never was is no error."""
    return await _changed(request, services, _without)


async def _of_one(request: Request, services: Services) -> Answer:
    kind, logical_id = known(request.parts[0]), request.parts[1]
    stored = await standing(request, services, kind, logical_id)
    answer = _answer(read_json(stored.body).get("meta", {}))
    answer.count, answer.patients = 1, patients_of(kind, stored)
    return answer


async def _of_types(request: Request, services: Services, types: Iterable[str]) -> Json:
    access = request.access
    columns = [(name, key) for kind in types for name in _LISTS for key in _keys(kind, name)]
    async with services.pool.transaction(access.org) as tx:
        rows = await tx.fetch(q.labels_in_use, access.org, *map(list, zip(*columns, strict=True)), _VALUES_MAX)
    found: dict[str, dict[str, None]] = {}
    for row in rows:
        found.setdefault(row["name"], {})[row["value"]] = None
    return {name: [_label(name, value) for value in values if _is_whole(name, value)] for name, values in found.items()}


async def _changed(request: Request, services: Services, change: Callable[[Json, Json], Json]) -> Answer:
    kind, logical_id = known(request.parts[0]), request.parts[1]
    told = (await given(request, ("meta",))).get("meta", ())
    if len(told) != 1 or not isinstance(told[0], dict):
        raise bad_parameter("meta", "is given once, as a Meta")
    labels = _checked(told[0])

    def changed(body: Json) -> Json:
        held = change(body.get("meta", {}), labels)
        rest = {name: value for name, value in body.items() if name != "meta"}
        return {**rest, "meta": held} if held else rest

    done = await perform(request, services, Write("patch", kind, logical_id, change=changed))
    answer = await _of_one(request, services)
    answer.headers = [pair for pair in done.headers if pair[0] != b"location"]
    return answer


def _checked(told: Json) -> Listed:
    """The lists of a Meta. Raises ApiError for what they cannot be, InvalidResourceError for labels that are none."""
    lists = {name: told[name] for name in _LISTS if name in told}
    for name, values in lists.items():
        shape = str if name == "profile" else dict
        if not isinstance(values, list) or not all(isinstance(one, shape) for one in values):
            raise bad_parameter("meta", f"has `{name}` as a list of {'canonicals' if shape is str else 'Codings'}")
    if lists:
        judged({"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": lists}]})
    return lists


def _united(held: Json, told: Json) -> Json:
    added = {name: [*held.get(name, []), *_lacking(told[name], held.get(name, []))] for name in told}
    return {**held, **{name: values for name, values in added.items() if values}}


def _without(held: Json, told: Json) -> Json:
    left = {name: _lacking(held.get(name, []), told[name]) for name in told}
    merged = {**held, **left}
    return {name: value for name, value in merged.items() if value}


def _lacking(values: Iterable[Any], others: Iterable[Any]) -> list[Any]:
    known_ones = {_identity(one) for one in others}
    return [one for one in values if _identity(one) not in known_ones]


def _identity(value: Any) -> Any:
    """What makes a label the same label: system and code of a Coding, all of a canonical."""
    return (value.get("system"), value.get("code")) if isinstance(value, dict) else value


def _keys(resource_type: str, name: str) -> tuple[int, ...]:
    place = place_of(resource_type, f"_{name}")
    return place.keys() if place is not None else ()


def _is_whole(name: str, value: str) -> bool:
    """Codings stand in the index with and without their system; the former (`|code` without one) say all."""
    return name == "profile" or "|" in value


def _label(name: str, value: str) -> Any:
    if name == "profile":
        return value
    system, _, code = value.rpartition("|")
    return {"system": system, "code": code} if system else {"code": code}


def _answer(told: Mapping[str, Any]) -> Answer:
    body = {"resourceType": "Parameters", "parameter": [{"name": "return", "valueMeta": told}]}
    return Answer(plain_json(body).encode(), 200, FHIR_JSON)


_DEFINITIONS = "http://hl7.org/fhir/OperationDefinition/Resource-"
META = (
    Operation("meta", f"{_DEFINITIONS}meta", "Profiles, tags and labels in use", meta, ("system", "type", "instance")),
    Operation(
        "meta-add", f"{_DEFINITIONS}meta-add", "Add labels", add, ("instance",), scope="fhir.write", changes=True
    ),
    Operation(
        "meta-delete",
        f"{_DEFINITIONS}meta-delete",
        "Take labels away",
        delete,
        ("instance",),
        scope="fhir.write",
        changes=True,
    ),
)
