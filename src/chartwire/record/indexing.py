"""What a unit of work changes in the two search indexes, as columns for record_flush and record_index.

The practice API's index is record/index.py, that of FHIR record/fhir_index.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from typing import Any
from uuid import UUID

from chartwire.mapping.conversion import Json
from chartwire.record.fhir_index import RULES, IndexRows, index_rows, keys_of_type
from chartwire.record.standing import Standing

Columns = list[list[Any]]
_FHIR_TABLES = (("tokens", 3), ("strings", 3), ("dates", 5), ("numbers", 6))


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
    """Keys and resources that are to be wiped, then for each table rows that are gone and new ones."""
    told = _Changes()
    for held in changed:
        if held.stored_at and held.stored_rules != RULES:
            told.replace(held.type, held.id, held.fhir_rows())
        else:
            told.change(held.id, held.stored_fhir_rows(), held.fhir_rows())
    return told.columns()


def replaced_columns(resource_type: str, resource_id: UUID, body: Json | None) -> Columns:
    """What `fhir_columns` says of one resource whose rows are all replaced; none come for a body that is gone."""
    told = _Changes()
    told.replace(resource_type, resource_id, IndexRows() if body is None else index_rows(resource_type, body))
    return told.columns()


@dataclass(slots=True)
class _Changes:
    wiped: list[tuple[int, UUID]] = field(default_factory=list)
    gone: list[tuple[UUID, IndexRows]] = field(default_factory=list)
    new: list[tuple[UUID, IndexRows]] = field(default_factory=list)

    def replace(self, resource_type: str, resource_id: UUID, stands: IndexRows) -> None:
        self.wiped.extend((key, resource_id) for key in keys_of_type(resource_type))
        self.new.append((resource_id, stands))

    def change(self, resource_id: UUID, stood: IndexRows, stands: IndexRows) -> None:
        self.gone.append((resource_id, stood - stands))
        self.new.append((resource_id, stands - stood))

    def columns(self) -> Columns:
        tables = [_table_columns(side, table, width) for table, width in _FHIR_TABLES for side in (self.gone, self.new)]
        return [*columns(self.wiped, 2), *chain.from_iterable(tables)]


def _table_columns(side: Iterable[tuple[UUID, IndexRows]], table: str, width: int) -> Columns:
    rows = [(*row, resource_id) for resource_id, told in side for row in getattr(told, table)]
    return columns(rows, width)


def columns(rows: Sequence[tuple[Any, ...]], width: int) -> Columns:
    """Rows as the arrays of their columns; empty ones where there is no row."""
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]
