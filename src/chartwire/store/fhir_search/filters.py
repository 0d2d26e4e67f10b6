"""Conditions of a candidate that is at hand: each is looked up from the candidate's id."""

from collections.abc import Iterable

from chartwire.store.fhir_search.bodies import of_body
from chartwire.store.fhir_search.candidate import Candidate
from chartwire.store.fhir_search.conditions import (
    AllOf,
    Alternative,
    AnyOf,
    Chain,
    Comparison,
    Condition,
    Has,
    Ids,
    Near,
    Rows,
    Table,
    Updated,
    Words,
)
from chartwire.store.fhir_search.statement import Kind, Statement

_FENCE = " offset 0"
"""Behind a subquery: it runs as written, for one candidate at a time."""
_ENDS: dict[Table, Kind] = {"date": "timestamptz", "number": "double precision"}
_UUID = "'[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'"


def holds(statement: Statement, condition: Condition, candidate: Candidate) -> str:
    """SQL that is true where the condition holds of the candidate."""
    match condition:
        case AnyOf():
            return _any(holds(statement, one, candidate) for one in condition.conditions)
        case AllOf():
            return " and ".join(all_hold(statement, condition.conditions, candidate))
        case Words() | Near():
            return of_body(statement, condition, candidate)
        case Rows():
            return _rows(statement, condition, candidate)
        case Chain():
            return _chain(statement, condition, candidate)
        case Has():
            return _has(statement, condition, candidate)
        case Ids():
            return _ids(statement, condition, candidate)
    return _updated(statement, condition, candidate)


def all_hold(statement: Statement, conditions: tuple[Condition, ...], candidate: Candidate) -> list[str]:
    """SQL for each condition, the most selective first."""
    return [holds(statement, one, candidate) for one in sorted(conditions, key=lambda one: one.rank)]


def is_certain(condition: Condition) -> bool:
    """Whether only of a resource that is there the condition can hold."""
    match condition:
        case Rows():
            return not condition.negated
        case Updated() | Chain() | Words() | Near():
            return True
        case AnyOf():
            return all(is_certain(one) for one in condition.conditions)
        case AllOf():
            return any(is_certain(one) for one in condition.conditions)
    return False


def there(statement: Statement, candidate: Candidate) -> str:
    """That a resource is there, and was not deleted."""
    return (
        f"exists (select from resource e where e.org_id = {statement.org} and e.type = {candidate.type}"
        f" and e.id = {candidate.id} and not e.deleted{_FENCE})"
    )


def fits(statement: Statement, rows: Rows, alias: str) -> str:
    """That an index row fits one of the alternatives."""
    return _any(_alternative(statement, rows.table, one, alias) for one in rows.any_of)


def not_merged(statement: Statement, identifier: str) -> str:
    """That a patient was not merged into another."""
    return (
        f"not exists (select from merge g where g.org_id = {statement.org} and g.loser_id = {identifier}"
        f" and g.undone_at is null{_FENCE})"
    )


def referred(statement: Statement, column: str, resource_type: str) -> tuple[str, str]:
    """For a column of local references: that it names a resource of the type, and the id that it names, as uuid."""
    low = statement.parameter(f"{resource_type}/", "text")
    high = statement.parameter(f"{resource_type}0", "text")
    within = f"{column} >= {low} and {column} < {high}"
    return within, f"(case when {column} ~ {_UUID} then right({column}, 36)::uuid end)"


def _ids(statement: Statement, ids: Ids, candidate: Candidate) -> str:
    among = f"{candidate.id} = any({statement.parameter(list(ids.ids), 'uuid[]')})"
    return f"({among} and {candidate.type} = {statement.parameter(ids.type, 'text')})" if ids.type else among


def _rows(statement: Statement, rows: Rows, candidate: Candidate) -> str:
    alias = statement.alias()
    fence = "" if statement.planned and not rows.negated else _FENCE
    where = f"{alias}.org_id = {statement.org} and {alias}.resource_id = {candidate.id}"
    of_type = _keys(statement, rows, alias, candidate)
    found = f"select from fhir_{rows.table} {alias} where {where} and {of_type} and {fits(statement, rows, alias)}"
    return f"{'not ' if rows.negated else ''}exists ({found}{fence})"


def _keys(statement: Statement, rows: Rows, alias: str, candidate: Candidate) -> str:
    if not rows.owners:
        return statement.keys(f"{alias}.key", rows.keys)
    keys = statement.parameter(list(rows.keys), "bigint[]")
    owners = statement.parameter(list(rows.owners), "text[]")
    return f"{alias}.key in (select k.key from unnest({keys}, {owners}) k (key, type) where k.type = {candidate.type})"


def _alternative(statement: Statement, table: Table, alternative: Alternative, alias: str) -> str:
    return " and ".join(_comparison(statement, table, one, alias) for one in alternative) or "true"


def _comparison(statement: Statement, table: Table, comparison: Comparison, alias: str) -> str:
    column = f"{alias}.{comparison.column}"
    if isinstance(comparison.value, tuple):
        return f"{column} = any({statement.parameter(list(comparison.value), 'text[]')})"
    if comparison.operator == "contains":
        return f"strpos({column}, {statement.parameter(comparison.value, 'text')}) > 0"
    kind = _ENDS[table] if comparison.column in ("low", "high") else "text"
    return f"{column} {comparison.operator} {statement.parameter(comparison.value, kind)}"


def _updated(statement: Statement, updated: Updated, candidate: Candidate) -> str:
    column = candidate.updated or "u.updated_at"
    test = _any(
        " and ".join(f"{column} {operator} {statement.parameter(moment, 'timestamptz')}" for operator, moment in pairs)
        for pairs in updated.any_of
    )
    if candidate.updated:
        return test
    return (
        f"exists (select from resource u where u.org_id = {statement.org} and u.type = {candidate.type}"
        f" and u.id = {candidate.id} and not u.deleted and {test}{_FENCE})"
    )


def _chain(statement: Statement, chain: Chain, candidate: Candidate) -> str:
    alias = statement.alias()
    within, target = referred(statement, f"{alias}.value", chain.type)
    kind = statement.parameter(chain.type, "text")
    led = Candidate(target, kind)
    inner = all_hold(statement, chain.conditions, led)
    if not any(is_certain(one) for one in chain.conditions):
        inner.append(there(statement, led))
    keys = statement.keys(f"{alias}.key", chain.keys)
    where = " and ".join([f"{alias}.resource_id = {candidate.id}", keys, within, *inner])
    return f"exists (select from fhir_token {alias} where {alias}.org_id = {statement.org} and {where}{_FENCE})"


def _has(statement: Statement, has: Has, candidate: Candidate) -> str:
    alias = statement.alias()
    kind = statement.parameter(has.source, "text")
    inner = all_hold(statement, has.conditions, Candidate(f"{alias}.resource_id", kind))
    value = f"{alias}.value = {statement.parameter(f'{has.type}/', 'text')} || {candidate.id}::text"
    where = " and ".join([statement.keys(f"{alias}.key", has.keys), value, *inner])
    return f"exists (select from fhir_token {alias} where {alias}.org_id = {statement.org} and {where}{_FENCE})"


def _any(conditions: Iterable[str]) -> str:
    told = list(conditions)
    if len(told) == 1:
        return told[0]
    return f"({' or '.join(f'({one})' for one in told)})" if told else "false"
