"""What stood at one element through all versions of a resource, and who said so: the answer to "why is this here?"."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from chartwire.core.access import Access
from chartwire.formats.fhir.definitions import choices
from chartwire.formats.fhirpath import Limits, Meter, compile_user_path
from chartwire.formats.fhirpath.places import names_on_the_way, places
from chartwire.mapping.conversion import Json
from chartwire.record.bodies import read_json, same_text
from chartwire.record.elements import shape_of
from chartwire.record.lineage import Lineage, Part
from chartwire.store.pool import Pool, Row
from chartwire.store.queries import q

VERSIONS_MAX = 1_000


class Change(NamedTuple):
    """A version from which on the element was `values` (none: it was not there); `parts` by element path say who gave
    them. `row` is the version: version, updated_at, deleted, patient_id, message_id, actor."""

    row: Row
    values: list[Any]
    parts: dict[str, list[Part]]


class History(NamedTuple):
    """The changes of an element, newest first, with who made them. Where it is not `complete`, the oldest change tells
    what stood at the oldest version that was looked at."""

    changes: list[Change]
    writers: "Writers"
    complete: bool


class Writers(NamedTuple):
    """What is known of who spoke: names of sources and keys, kinds of messages, by id."""

    names: dict[UUID, str]
    events: dict[UUID, str]


class _Wanted(NamedTuple):
    """An element that was asked for: `text` is the FHIRPath, `elements` the lineage's paths that it falls under."""

    type: str
    text: str
    elements: frozenset[str]


async def changes_of(pool: Pool, access: Access, resource_type: str, resource_id: UUID, path: str) -> History | None:
    """The history of an element; None where there is no resource.

    `path` is FHIRPath that selects elements (`Patient.telecom`, `name[0].family`). Raises FhirPathError
    for any other. At most the newest 1,000 versions are looked at.
    """
    wanted = _wanted(resource_type, path)
    async with pool.transaction(access.org) as tx:
        rows = await tx.fetch(q.element_versions, access.org, resource_type, resource_id, VERSIONS_MAX)
        if not rows:
            return None
        found = _changes(wanted, rows)
        stamps = [part.stamp for change in found for parts in change.parts.values() for part in parts]
        ids = {one for stamp in stamps for one in (id_in(stamp.source), id_in(stamp.message)) if one is not None}
        names = await tx.fetch(q.names_of_writers, access.org, list(ids))
        events = await tx.fetch(q.events_of_messages, access.org, list(ids))
    writers = Writers({row["id"]: row["name"] for row in names}, {row["id"]: row["event"] for row in events})
    return History(found, writers, complete=len(rows) < VERSIONS_MAX)


def id_in(text: str) -> UUID | None:
    """The id in the `source` or `message` of a stamp: a source's, a key's after `key:`, a message's; None for people,
    processes and requests."""
    try:
        return UUID(text.removeprefix("key:"))
    except ValueError:
        return None


def _wanted(resource_type: str, path: str) -> _Wanted:
    compile_user_path(path, type_name=resource_type)
    places(path, {"resourceType": resource_type})
    return _Wanted(resource_type, path, frozenset(_elements(resource_type, path)))


def _elements(resource_type: str, path: str) -> Iterable[str]:
    """The lineage's paths of the first element that a FHIRPath names: `value[x]` for `Observation.value.unit`."""
    names = names_on_the_way(path)
    shape = shape_of(resource_type)
    for child in choices(resource_type, names[0]) if names else ():
        element = shape.path_of(child.name)
        if element in shape.split:
            below = [f"{element}.{inner.name}" for inner in choices(child.type, names[1])] if len(names) > 1 else []
            yield from below or [f"{element}."]
        else:
            yield element


def _changes(wanted: _Wanted, rows: Sequence[Row]) -> list[Change]:
    found: list[Change] = []
    before: list[Any] = []
    meter = Meter(Limits())
    for row in reversed(rows):
        body: Json = {} if row["deleted"] else read_json(row["body"])
        values, positions = _at(wanted, body, meter)
        if not same_text(values, before):
            parts = _parts(wanted, Lineage.read(row["lineage"]), positions)
            found.append(Change(row, values, parts))
        before = values
    return found[::-1]


def _at(wanted: _Wanted, body: Json, meter: Meter) -> tuple[list[Any], set[int]]:
    """The values of the element, and at which items of the element's first list they stand."""
    found = places(wanted.text, body, meter) if body else []
    positions = {place.path[1] for place in found if len(place.path) > 1 and isinstance(place.path[1], int)}
    return [place.node.value for place in found if place.node.value is not None], {int(at) for at in positions}


def _parts(wanted: _Wanted, lineage: Lineage, positions: set[int]) -> dict[str, list[Part]]:
    told = {
        element: [part for part in parts if _speaks_of(part, positions)]
        for element, parts in lineage.parts.items()
        if element in wanted.elements or any(element.startswith(one) for one in wanted.elements if one.endswith("."))
    }
    return {element: parts for element, parts in told.items() if parts}


def _speaks_of(part: Part, positions: set[int]) -> bool:
    return part.positions is None or not positions or not positions.isdisjoint(part.positions)
