"""Where the values of a resource came from, version by version."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from chartwire.api.fhir.types import kept
from chartwire.api.http import Answer, Request
from chartwire.api.problem import bad_parameter, not_found
from chartwire.api.rest.element_lineage import ElementChange, told
from chartwire.api.rest.ids import in_path, shown, shown_or_none
from chartwire.api.routes import ANY_RESOURCE, Parameter, Route
from chartwire.api.services import Services
from chartwire.core.clock import instant
from chartwire.core.fhir_ids import store_id
from chartwire.core.ids import PREFIXES
from chartwire.formats.fhir.numerals import encode_number
from chartwire.formats.fhirpath import FhirPathError
from chartwire.record import read
from chartwire.record.element_history import changes_of
from chartwire.record.lineage import Lineage
from chartwire.store.pool import Row


class Part(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one source field gave to an element: `items` are positions in an array, `cleared` says it was emptied.

    Of a write through the API `source_id` is the key, `message_id` the request, `field` the JSON pointer.
    """

    source_id: str
    message_id: str
    recorded_at: str | None
    rank: int
    field: str
    items: list[int] | None = None
    cleared: bool = False


Elements = dict[str, list[Part]]
_encoder = msgspec.json.Encoder(decimal_format="number", enc_hook=encode_number)
_PATH = Parameter(
    "path",
    "One element, as FHIRPath that selects elements: `Patient.telecom`, `name[0].family`, `Observation.value`. Answers "
    "every value that it had, and which message and HL7 field, or which key, set it and when.",
)


class LineageVersion(msgspec.Struct, frozen=True):
    """One version: who wrote it, by which message, and the parts of each element path."""

    version: int
    updated_at: str
    actor: str
    message_id: str | None
    elements: Elements


class LineageOf(msgspec.Struct, frozen=True):
    """The lineage of a resource, newest version first, at most 100 versions.

    Where a `path` was asked for: `changes`, every value that this element had, newest first, and no `versions`;
    `complete` is false where older versions were not looked at (the newest 1,000 are).
    """

    type: str
    id: str
    versions: list[LineageVersion]
    object: str = "lineage"
    path: str | UnsetType = UNSET
    changes: list[ElementChange] | UnsetType = UNSET
    complete: bool | UnsetType = UNSET


def elements_of(text: str) -> Elements:
    """A stored lineage for people and programs, ids with their prefixes."""
    return {path: [_part(part) for part in parts] for path, parts in Lineage.read(text).describe().items()}


async def one(request: Request, services: Services) -> Answer:
    """`GET /api/v1/lineage/{Type}/{id}`: the id with its prefix, or as FHIR writes it; `?path=` of one element."""
    kind, text = kept(request.parts[0]), request.parts[1]
    prefixed = kind in PREFIXES and text.startswith(f"{PREFIXES[kind]}_")
    wanted = in_path(kind, text) if prefixed else store_id(text)
    if "path" in request.query:
        return await _of_element(request, services, kind, wanted)
    rows = await read.lineage(services.pool, request.access, kind, wanted)
    if not rows:
        raise not_found()
    versions = [
        LineageVersion(
            row["version"],
            instant(row["updated_at"]),
            row["actor"],
            shown_or_none("message", row["message_id"]),
            elements_of(row["lineage"]),
        )
        for row in rows
    ]
    body = msgspec.json.encode(LineageOf(kind, shown(kind, wanted), versions))
    return Answer(body, count=len(rows), patients=_patients(kind, wanted, rows))


async def _of_element(request: Request, services: Services, kind: str, wanted: UUID) -> Answer:
    path = request.query["path"]
    try:
        found = await changes_of(services.pool, request.access, kind, wanted, path)
    except FhirPathError as error:
        raise bad_parameter("path", f"must lead to an element of {kind}: {error.message}") from None
    if found is None:
        raise not_found()
    changes = told(found.changes, found.writers, with_values=request.access.allows("fhir.read"))
    answer = LineageOf(kind, shown(kind, wanted), [], path=path, changes=changes, complete=found.complete)
    rows = [change.row for change in found.changes]
    return Answer(_encoder.encode(answer), count=len(changes), patients=_patients(kind, wanted, rows))


def _patients(kind: str, wanted: UUID, rows: Iterable[Row]) -> set[UUID]:
    return {wanted} if kind == "Patient" else {row["patient_id"] for row in rows if row["patient_id"]}


def _part(part: dict[str, Any]) -> Part:
    return Part(
        source_id=_prefixed("source", part["source_id"]),
        message_id=_prefixed("message", part["message_id"]),
        recorded_at=part["recorded_at"],
        rank=part["rank"],
        field=part["field"],
        items=part.get("items"),
        cleared=part.get("cleared", False),
    )


def _prefixed(noun: str, text: str) -> str:
    """A writer that is no UUID (a person, a process) stays as it is; `key:` leads to the id of an API key."""
    if text.startswith("key:"):
        return _prefixed("credential", text.removeprefix("key:"))
    try:
        return shown(noun, UUID(text))
    except ValueError:
        return text


ROUTES = (
    Route(
        "GET",
        "/api/v1/lineage/{type}/{id}",
        one,
        "Where the values of a resource came from",
        "lineage.read",
        ANY_RESOURCE,
        parameters=(_PATH,),
        answer=LineageOf,
        tag="lineage",
    ),
)
