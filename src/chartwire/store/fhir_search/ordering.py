"""The order of a search's results, and where a page goes on."""

from collections.abc import Sequence
from uuid import UUID

from chartwire.store.fhir_search.candidate import Candidate
from chartwire.store.fhir_search.conditions import Position, Sort
from chartwire.store.fhir_search.statement import Kind, Statement

_VALUES: dict[str, tuple[str, Kind]] = {
    "updated": ("updated_at", "timestamptz"),
    "token": ("value", "text"),
    "string": ("value", "text"),
    "date": ("low", "timestamptz"),
    "number": ("low", "double precision"),
}
NO_VALUE = {by: f"null::{kind}" for by, (_, kind) in _VALUES.items()}
_WITH_CODE = frozenset({"date", "number"})


def valued(sorts: Sequence[Sort]) -> tuple[Sort, ...]:
    """The sorts by a value; what stands behind the id, which no two resources share, changes nothing."""
    found: list[Sort] = []
    for sort in sorts:
        if sort.by == "id":
            break
        found.append(sort)
    return tuple(found)


def ids_descend(sorts: Sequence[Sort]) -> bool:
    """Whether resources of equal values come in falling order of ids."""
    return next((sort.descending for sort in sorts if sort.by == "id"), False)


def value_of(statement: Statement, sort: Sort, candidate: Candidate) -> str:
    """The value of the candidate that it is sorted by: null where it has none."""
    if sort.by == "updated":
        return candidate.updated or (
            f"(select u.updated_at from resource u where u.org_id = {statement.org} and u.type = {candidate.type}"
            f" and u.id = {candidate.id})"
        )
    alias = statement.alias()
    table, value, where = rows_of(statement, sort, alias)
    extreme = "max" if sort.descending else "min"
    return f"(select {extreme}({value}) from {table} where {where} and {alias}.resource_id = {candidate.id})"


def order_by(sorts: Sequence[Sort], alias: str, *, typed: bool, walked: bool = False) -> str:
    """The order of rows with columns s0, s1, ... and id (and type, where resources of several types are found).

    `walked`: no row is without s0, and an index gives that order, as long as nothing is said of nulls.
    """
    keys = [
        f"{alias}.s{number} {'desc' if sort.descending else 'asc'}{'' if walked and number == 0 else ' nulls last'}"
        for number, sort in enumerate(valued(sorts))
    ]
    direction = "desc" if ids_descend(sorts) else "asc"
    return ", ".join([*keys, f"{alias}.id {direction}", *([] if typed else [f"{alias}.type {direction}"])])


def behind(statement: Statement, sorts: Sequence[Sort], after: Position, alias: str, *, typed: bool) -> str:
    """That a row with columns s0, s1, ..., id and type comes after a position in that order."""
    ways: list[str] = []
    equal: list[str] = []
    for number, (sort, value) in enumerate(zip(valued(sorts), after, strict=False)):
        column = f"{alias}.s{number}"
        if value is None:
            equal.append(f"{column} is null")
            continue
        held = f"{statement.parameter(value, 'text')}::{_VALUES[sort.by][1]}"
        later = f"({column} {'<' if sort.descending else '>'} {held} or {column} is null)"
        ways.append(" and ".join([*equal, later]))
        equal.append(f"{column} = {held}")
    ways.append(" and ".join([*equal, _id_behind(statement, sorts, after, alias, typed=typed)]))
    return f"({' or '.join(f'({way})' for way in ways)})"


def not_before(statement: Statement, sort: Sort, value: str, alias: str) -> str:
    """That s0, which no row is without, is not before a value: where a walk goes on."""
    held = f"{statement.parameter(value, 'text')}::{_VALUES[sort.by][1]}"
    return f"{alias}.s0 {'<=' if sort.descending else '>='} {held}"


def rows_of(statement: Statement, sort: Sort, alias: str) -> tuple[str, str, str]:
    """Table, value and condition of the index rows that a sort goes by."""
    plain = f" and {alias}.code = ''" if sort.by in _WITH_CODE else ""
    keys = statement.keys(f"{alias}.key", sort.keys)
    where = f"{alias}.org_id = {statement.org} and {keys}{plain}"
    return f"fhir_{sort.by} {alias}", f"{alias}.{_VALUES[sort.by][0]}", where


def is_first(statement: Statement, sort: Sort, alias: str) -> str:
    """That of the rows of a resource that a sort goes by none comes before this one."""
    other = statement.alias()
    (table, theirs, where), (_, ours, _) = rows_of(statement, sort, other), rows_of(statement, sort, alias)
    before = f"{theirs} {'>' if sort.descending else '<'} {ours} or ({theirs} = {ours} and {other}.ctid < {alias}.ctid)"
    same = f"{other}.resource_id = {alias}.resource_id"
    return f"not exists (select from {table} where {where} and {same} and ({before}) offset 0)"


def _id_behind(statement: Statement, sorts: Sequence[Sort], after: Position, alias: str, *, typed: bool) -> str:
    comparison = "<" if ids_descend(sorts) else ">"
    last = statement.parameter(UUID(after[-2]), "uuid")
    if typed:
        return f"{alias}.id {comparison} {last}"
    return f"({alias}.id, {alias}.type) {comparison} ({last}, {statement.parameter(after[-1], 'text')})"
