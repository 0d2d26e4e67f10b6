"""A parameter of several types at once: the same question with the keys of each type."""

from collections.abc import Sequence
from dataclasses import replace

from chartwire.record.search.terms import UnknownError
from chartwire.store.fhir_search.conditions import AllOf, AnyOf, Condition, Rank, Rows

Typed = tuple[str, Condition]


def merged(conditions: Sequence[Typed]) -> Condition:
    """One condition of several types out of the same condition of each. Raises UnknownError where they differ."""
    first = conditions[0][1]
    if all(one == first for _, one in conditions):
        return first
    if isinstance(first, AnyOf | AllOf):
        parts = [_parts(typed) for typed in conditions]
        if len({len(inner) for inner in parts}) > 1:
            raise _different()
        return replace(first, conditions=tuple(map(merged, zip(*parts, strict=True))))
    rows = [(kind, one) for kind, one in conditions if isinstance(one, Rows)]
    same = {replace(one, keys=(), owners=(), rank=Rank.CODE) for _, one in rows}
    if len(rows) != len(conditions) or len(same) != 1:
        raise _different()
    return replace(
        rows[0][1],
        keys=tuple(key for _, one in rows for key in one.keys),
        owners=tuple(kind for kind, one in rows for _ in one.keys),
        rank=max(one.rank for _, one in rows),
    )


def _parts(typed: Typed) -> list[Typed]:
    kind, condition = typed
    if not isinstance(condition, AnyOf | AllOf):
        raise _different()
    return [(kind, one) for one in condition.conditions]


def _different() -> UnknownError:
    return UnknownError("it means something else for each of the types: search one type at a time")
