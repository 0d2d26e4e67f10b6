"""The references of a body to other resources of the record, and which of them lead nowhere."""

from collections.abc import Iterator
from typing import Any

from chartwire.core.access import Access
from chartwire.core.fhir_ids import local_reference
from chartwire.mapping.conversion import Json
from chartwire.record.work import Ref, Work
from chartwire.store.pool import Connection
from chartwire.store.queries import q


def references_of(body: Json, resource_type: str) -> Iterator[tuple[str, Ref]]:
    """Each local reference with its place (`Observation.performer[0]`), and what it leads to."""
    for place, told in reference_texts(body, resource_type):
        if (found := local_reference(told)) is not None:
            yield place, found


def reference_texts(body: Json, resource_type: str) -> Iterator[tuple[str, str]]:
    """Each reference with its place, as it is written."""
    waiting: list[tuple[str, Any]] = [(resource_type, body)]
    while waiting:
        place, value = waiting.pop()
        if isinstance(value, list):
            waiting.extend((f"{place}[{number}]", item) for number, item in enumerate(value))
        elif isinstance(value, dict):
            told = value.get("reference")
            if isinstance(told, str):
                yield place, told
            waiting.extend((f"{place}.{name}", held) for name, held in value.items() if isinstance(held, (dict, list)))


async def missing(tx: Connection, access: Access, work: Work, wanted: set[Ref]) -> set[Ref]:
    """Those of the resources that are not there: neither stored nor in this unit of work, or deleted."""
    here = {ref: work.known(*ref) for ref in wanted}
    left = [ref for ref, held in here.items() if held is None]
    rows = await tx.fetch(q.which_stand, access.org, [ref[0] for ref in left], [ref[1] for ref in left]) if left else []
    stand = {(row["type"], row["id"]) for row in rows}
    gone = {ref for ref, held in here.items() if held is not None and (held.deleted or not held.version)}
    return gone | {ref for ref in left if ref not in stand}
