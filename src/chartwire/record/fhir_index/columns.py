"""Rows of many resources as the columns that index_wipe and index_tokens and their like take (migration 0021).

A column is one text, its values parted by U+001F, which no value holds: for the driver that costs a tenth of an array.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter
from typing import Any
from uuid import UUID

from chartwire.mapping.conversion import Json
from chartwire.record.fhir_index.dates import UNBOUNDED_HIGH, UNBOUNDED_LOW
from chartwire.record.fhir_index.extraction import index_changes
from chartwire.record.fhir_index.places import keys_of_type
from chartwire.record.fhir_index.rows import IndexRows
from chartwire.record.fhir_index.values import PARTED

Side = list[tuple[str, IndexRows]]
"""Ids of resources, and rows of each that are gone, or that are new."""


@dataclass(slots=True)
class IndexChanges:
    """What is to be written of the index for some resources."""

    _wiped: list[tuple[str, int, UUID]] = field(default_factory=list)
    _gone: Side = field(default_factory=list)
    _new: Side = field(default_factory=list)

    def change(self, resource_type: str, resource_id: UUID, stood: Json | None, stands: Json | None) -> None:
        """A resource goes from one body, whose rows are stored, to the next; None is no resource."""
        gone, new = index_changes(resource_type, stood, stands)
        self._gone.append((str(resource_id), gone))
        self._new.append((str(resource_id), new))

    def replace(self, resource_type: str, resource_id: UUID, stands: Json | None) -> None:
        """Whatever rows a resource has, it has those of this body from now on; None has none."""
        self._wiped.extend((table, key, resource_id) for table, key in keys_of_type(resource_type))
        self.change(resource_type, resource_id, None, stands)

    def columns(self) -> list[Any]:
        """Arrays of what is wiped (table, key, resource), then for each table the columns of what is gone and new."""
        wiped = [[one[place] for one in self._wiped] for place in range(3)]
        return [*wiped, *(column for table in _TABLES for side in (self._gone, self._new) for column in table.of(side))]


@dataclass(frozen=True, slots=True)
class _Table:
    """How the rows of a table are taken from all, and how each of their columns becomes text, where it is none."""

    rows: Callable[[IndexRows], Collection[tuple[Any, ...]]]
    texts: tuple[Callable[[Any], str] | None, ...]

    def of(self, side: Iterable[tuple[str, IndexRows]]) -> list[str]:
        """The columns of the table's rows, the resource's id last."""
        rows: list[tuple[Any, ...]] = []
        ids: list[str] = []
        for resource_id, told in side:
            if found := self.rows(told):
                rows.extend(found)
                ids.extend([resource_id] * len(found))
        values: Iterable[tuple[Any, ...]] = zip(*rows, strict=True) if rows else [()] * len(self.texts)
        columns = [
            PARTED.join(map(text, column) if text else column) for text, column in zip(self.texts, values, strict=True)
        ]
        return [*columns, PARTED.join(ids)]


def _moment(moment: datetime) -> str:
    if moment is UNBOUNDED_LOW:
        return "-infinity"
    return "infinity" if moment is UNBOUNDED_HIGH else moment.isoformat()


_TABLES = (
    _Table(attrgetter("tokens"), (str, None)),
    _Table(attrgetter("strings"), (str, None)),
    _Table(attrgetter("dates"), (str, _moment, _moment, None)),
    _Table(attrgetter("numbers"), (str, repr, repr, None, None)),
)
