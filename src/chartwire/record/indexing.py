"""What a unit of work changes in the two search indexes, as columns for record_flush and index_tokens.

The practice API's index is record/index.py, that of FHIR record/fhir_index.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from operator import attrgetter
from typing import Any
from uuid import UUID

from chartwire.mapping.conversion import Json
from chartwire.record.fhir_index import RULES, IndexRows, index_changes, keys_of_type
from chartwire.record.standing import Standing

Columns = list[list[Any]]
Rows = Collection[tuple[Any, ...]]
_TABLES: tuple[tuple[Callable[[IndexRows], Rows], int], ...] = (
    (attrgetter("tokens"), 2),
    (attrgetter("strings"), 2),
    (attrgetter("dates"), 4),
    (attrgetter("numbers"), 5),
)


def practice_columns(changed: Iterable[Standing], now: datetime) -> Columns:
    """Type, parameter, value and resource of rows that are gone, then of new ones."""
    gone: list[tuple[str, str, str, UUID]] = []
    new: list[tuple[str, str, str, UUID]] = []
    for held in changed:
        added, removed = held.index_changes(now)
        new.extend((held.type, param, value, held.id) for param, value in sorted(added))
        gone.extend((held.type, param, value, held.id) for param, value in sorted(removed))
    return columns(gone, 4) + columns(new, 4)


def fhir_columns(changed: Iterable[Standing]) -> Columns:
    """Tables, keys and resources that are to be wiped, then for each table rows that are gone and new ones."""
    told = _Changes()
    for held in changed:
        stood, stands = held.stored_as_told, held.as_told
        if stood is not None and held.stored_rules != RULES:
            told.wipe(held.type, held.id)
            stood = None
        told.add(held.id, *index_changes(held.type, stood, stands))
    return told.columns()


def replaced_columns(resources: Iterable[tuple[str, UUID, Json | None]]) -> Columns:
    """What `fhir_columns` says of resources (type, id, body) whose rows are all replaced; None has no rows."""
    told = _Changes()
    for resource_type, resource_id, body in resources:
        told.wipe(resource_type, resource_id)
        told.add(resource_id, *index_changes(resource_type, None, body))
    return told.columns()


@dataclass(slots=True)
class _Changes:
    wiped: list[tuple[str, int, UUID]] = field(default_factory=list)
    gone: list[tuple[UUID, IndexRows]] = field(default_factory=list)
    new: list[tuple[UUID, IndexRows]] = field(default_factory=list)

    def wipe(self, resource_type: str, resource_id: UUID) -> None:
        self.wiped.extend((table, key, resource_id) for table, key in keys_of_type(resource_type))

    def add(self, resource_id: UUID, gone: IndexRows, new: IndexRows) -> None:
        self.gone.append((resource_id, gone))
        self.new.append((resource_id, new))

    def columns(self) -> Columns:
        tables = [_table_columns(side, read, width) for read, width in _TABLES for side in (self.gone, self.new)]
        return [*columns(self.wiped, 3), *chain.from_iterable(tables)]


def _table_columns(side: Iterable[tuple[UUID, IndexRows]], read: Callable[[IndexRows], Rows], width: int) -> Columns:
    rows: list[tuple[Any, ...]] = []
    ids: list[UUID] = []
    for resource_id, told in side:
        found = read(told)
        if found:
            rows.extend(found)
            ids.extend([resource_id] * len(found))
    return [*columns(rows, width), ids]


def columns(rows: Sequence[tuple[Any, ...]], width: int) -> Columns:
    """Rows as the arrays of their columns; empty ones where there is no row."""
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]
