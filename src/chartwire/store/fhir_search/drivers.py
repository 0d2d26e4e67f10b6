"""Where a search starts: the resources that its most selective condition leaves, as a query of ids."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from chartwire.store.fhir_search.candidate import Candidate
from chartwire.store.fhir_search.conditions import AllOf, AnyOf, Chain, Condition, Has, Ids, Rank, Rows, Search
from chartwire.store.fhir_search.filters import all_hold, fits, is_certain, referred, there
from chartwire.store.fhir_search.ordering import valued
from chartwire.store.fhir_search.statement import Statement


@dataclass(frozen=True, slots=True)
class Walk:
    """An order of ids in which candidates are wanted, and the id behind which they are."""

    descending: bool = False
    after: UUID | None = None


def selective(conditions: Iterable[Condition]) -> Condition | None:
    """The most selective condition, if it is selective at all."""
    first = min(conditions, key=lambda one: one.rank, default=None)
    return first if first is not None and first.rank <= Rank.SELECTIVE else None


def first_of(search: Search) -> Condition | None:
    """Where a search starts: from its most selective condition, if that is selective, or is all that there is and its
    index rows have the order that is wanted."""
    first = selective(search.conditions)
    if first is None and len(search.conditions) == 1 and is_single(search.conditions[0]) and not valued(search.sorts):
        return search.conditions[0]
    return first


def driven(statement: Statement, condition: Condition, walk: Walk | None = None) -> str:
    """A query of the ids that a condition leaves, some perhaps twice; in an order where their index rows have it.

    Ids of resources that are not there may be among them where the condition is Ids or Has: see `is_certain`.
    Where `is_typed`, it gives the type of each, too.
    """
    match condition:
        case Rows():
            return _rows(statement, condition, walk if is_single(condition) else None)
        case Ids():
            kind = f", {statement.parameter(condition.type, 'text')} as type" if condition.type else ""
            return f"select unnest({statement.parameter(list(condition.ids), 'uuid[]')}) as id{kind}"
        case Chain():
            return _chain(statement, condition)
        case Has():
            return _has(statement, condition)
        case AnyOf():
            return " union ".join(driven(statement, one) for one in condition.conditions)
        case AllOf():
            return _all(statement, condition)
        case _:
            raise ValueError("no search starts from this condition")


def is_typed(condition: Condition) -> bool:
    """Whether `driven` gives the type of each id, too."""
    if isinstance(condition, AnyOf):
        return all(is_typed(one) for one in condition.conditions)
    if isinstance(condition, AllOf):
        return is_typed(_lowest(condition))
    if isinstance(condition, Rows):
        return bool(condition.owners)
    return isinstance(condition, Ids) and bool(condition.type)


def is_single(condition: Condition) -> bool:
    """Whether `driven` gives no id twice."""
    if not isinstance(condition, Rows) or condition.negated or len(condition.keys) > 1 or len(condition.any_of) != 1:
        return False
    return [(one.column, one.operator, type(one.value)) for one in condition.any_of[0]] == [("value", "=", str)]


def matching(statement: Statement, resource_type: str, conditions: tuple[Condition, ...]) -> str:
    """A query of the ids of all resources of a type of which the conditions hold."""
    kind = statement.parameter(resource_type, "text")
    first = selective(conditions)
    if first is None:
        tests = all_hold(statement, conditions, Candidate("r.id", kind, "r.updated_at"))
        where = " and ".join([f"r.org_id = {statement.org}", f"r.type = {kind}", "not r.deleted", *tests])
        return f"select r.id from resource r where {where}"
    alias = statement.alias()
    candidate = Candidate(f"{alias}.id", kind)
    found = driven(statement, first)
    tests = all_hold(statement, tuple(one for one in conditions if one is not first), candidate)
    if not is_certain(first):
        tests.append(there(statement, candidate))
    where = f" where {' and '.join(tests)}" if tests else ""
    return f"select {alias}.id from ({found} offset 0) {alias}{where}"


def _rows(statement: Statement, rows: Rows, walk: Walk | None) -> str:
    alias = statement.alias()
    columns, tables = f"{alias}.resource_id as id", f"fhir_{rows.table} {alias}"
    if rows.owners:
        keys = statement.parameter(list(rows.keys), "bigint[]")
        owners = statement.parameter(list(rows.owners), "text[]")
        columns += ", k.type"
        tables = f"unnest({keys}, {owners}) k (key, type) cross join lateral (select * from fhir_{rows.table} h"
        where = f"h.org_id = {statement.org} and h.key = k.key and {fits(statement, rows, 'h')}"
        return f"select {columns} from {tables} where {where} offset 0) {alias}"
    where = f"{alias}.org_id = {statement.org} and {statement.keys(f'{alias}.key', rows.keys)}"
    found = f"select {columns} from {tables} where {where} and {fits(statement, rows, alias)}"
    if walk is None:
        return found
    comparison, direction = ("<", "desc") if walk.descending else (">", "asc")
    behind = f" and {alias}.resource_id {comparison} {statement.parameter(walk.after, 'uuid')}" if walk.after else ""
    return f"{found}{behind} order by {alias}.resource_id {direction}"


def _all(statement: Statement, condition: AllOf) -> str:
    """From the most selective of several conditions, the others looked up; where none says the type, none needs it."""
    first, alias = _lowest(condition), statement.alias()
    others = tuple(one for one in condition.conditions if one is not first)
    typed = is_typed(first)
    tests = all_hold(statement, others, Candidate(f"{alias}.id", f"{alias}.type" if typed else "null"))
    columns = f"{alias}.id, {alias}.type" if typed else f"{alias}.id"
    return f"select {columns} from ({driven(statement, first)} offset 0) {alias} where {' and '.join(tests)}"


def _lowest(condition: AllOf) -> Condition:
    return min(condition.conditions, key=lambda one: one.rank)


def _chain(statement: Statement, chain: Chain) -> str:
    inner, alias = statement.alias(), statement.alias()
    targets = matching(statement, chain.type, chain.conditions)
    keys = statement.keys(f"{alias}.key", chain.keys)
    value = f"{alias}.value = {statement.parameter(f'{chain.type}/', 'text')} || {inner}.id::text"
    rows = f"select {alias}.resource_id as id from fhir_token {alias} where {alias}.org_id = {statement.org}"
    return f"select l.id from ({targets}) {inner} cross join lateral ({rows} and {keys} and {value} offset 0) l"


def _has(statement: Statement, has: Has) -> str:
    inner, alias = statement.alias(), statement.alias()
    sources = matching(statement, has.source, has.conditions)
    keys = statement.keys(f"{alias}.key", has.keys)
    within, target = referred(statement, f"{alias}.value", has.type)
    rows = f"select {target} as id from fhir_token {alias} where {alias}.org_id = {statement.org}"
    where = f"{alias}.resource_id = {inner}.id and {keys} and {within}"
    return f"select l.id from ({sources}) {inner} cross join lateral ({rows} and {where} offset 0) l"
