"""What a unit of work changes in the two search indexes, as columns for the store.

The practice API's index is record/index.py, that of FHIR record/fhir_index.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from chartwire.record.fhir_index import RULES, IndexChanges
from chartwire.record.standing import Standing


def practice_columns(changed: Iterable[Standing], now: datetime) -> list[list[Any]]:
    """Type, parameter, value and resource of rows that are gone, then of new ones."""
    gone: list[tuple[str, str, str, UUID]] = []
    new: list[tuple[str, str, str, UUID]] = []
    for held in changed:
        added, removed = held.index_changes(now)
        new.extend((held.type, param, value, held.id) for param, value in sorted(added))
        gone.extend((held.type, param, value, held.id) for param, value in sorted(removed))
    return columns(gone, 4) + columns(new, 4)


def fhir_columns(changed: Iterable[Standing]) -> list[Any]:
    """The columns of the FHIR index; rows that other rules than the present made are replaced, all of a resource."""
    told = IndexChanges()
    for held in changed:
        stood, stands = held.stored_as_told, held.as_told
        if stood is not None and held.stored_rules != RULES:
            told.replace(held.type, held.id, stands)
        else:
            told.change(held.type, held.id, stood, stands)
    return told.columns()


def columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    """Rows as the arrays of their columns; empty ones where there is no row."""
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]
