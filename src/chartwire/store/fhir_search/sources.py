"""Where the candidates of a search come from: out of what its most selective condition leaves, or in an order."""

from dataclasses import dataclass

from chartwire.store.fhir_search.candidate import Candidate
from chartwire.store.fhir_search.conditions import Condition, Search, Sort
from chartwire.store.fhir_search.drivers import Walk, driven, is_single, is_typed
from chartwire.store.fhir_search.filters import all_hold, is_certain, not_merged, there
from chartwire.store.fhir_search.ordering import is_first, rows_of
from chartwire.store.fhir_search.statement import Statement


@dataclass(frozen=True, slots=True)
class Source:
    """Tables, a candidate in them, and what has to hold of it. `sorted_by` is the value of the first sort where no
    candidate is without one."""

    tables: str
    candidate: Candidate
    tests: list[str]
    sorted_by: str | None = None

    def where(self) -> str:
        """All that has to hold."""
        return f" where {' and '.join(self.tests)}" if self.tests else ""


def driven_source(statement: Statement, search: Search, first: Condition, walk: Walk | None) -> Source:
    """Resources of one type that a condition leaves, in the order of a walk where its index rows have that."""
    found = driven(statement, first, walk)
    if not is_single(first):
        found = f"select distinct d.id from ({found}) d"
    candidate = Candidate("c.id", statement.parameter(search.types[0], "text"))
    tests = [] if is_certain(first) else [there(statement, candidate)]
    return _source(statement, search, f"({found} offset 0) c", candidate, tests, first)


def driven_types_source(statement: Statement, search: Search, first: Condition) -> Source:
    """Resources of several types that a selective condition leaves."""
    found, candidate = driven(statement, first), Candidate("c.id", "c.type")
    if not is_typed(first):
        found = (
            f"select d.id, e.type from ({found}) d cross join lateral (select e.type from resource e where"
            f" e.org_id = {statement.org} and {_types(statement, search, 'e.type')} and e.id = d.id and not e.deleted"
            " offset 0) e"
        )
    tests = [_types(statement, search, "c.type")]
    if is_typed(first) and not is_certain(first):
        tests.append(there(statement, candidate))
    tables = f"(select distinct d.id, d.type from ({found}) d offset 0) c"
    return _source(statement, search, tables, candidate, tests, first)


def walked(statement: Statement, search: Search, sort: Sort | None) -> Source:
    """Resources in the order of a sort: of the index rows that it names, of the time of change, or of ids (None).

    In order of ids they are walked by the index rows of a condition, if there is one whose rows have that order.
    """
    if sort is not None and sort.by not in ("id", "updated"):
        table, value, where = rows_of(statement, sort, "s")
        candidate = Candidate("s.resource_id", statement.parameter(search.types[0], "text"))
        return _source(statement, search, table, candidate, [where, is_first(statement, sort, "s")], None, value)
    along = next((one for one in search.conditions if is_single(one)), None) if sort is None else None
    if along is not None and len(search.types) == 1:
        tables = f"({driven(statement, along)}) c"
        candidate = Candidate("c.id", statement.parameter(search.types[0], "text"))
        return _source(statement, search, tables, candidate, [], along)
    candidate = Candidate("c.id", "c.type", "c.updated_at")
    updated = None if sort is None else candidate.updated
    return _source(statement, search, "resource c", candidate, _present(statement, search), None, updated)


def without_value(statement: Statement, search: Search, sort: Sort) -> Source:
    """Resources without an index row that a sort could go by."""
    candidate = Candidate("c.id", "c.type", "c.updated_at")
    table, _, where = rows_of(statement, sort, "s")
    valueless = f"not exists (select from {table} where {where} and s.resource_id = {candidate.id} offset 0)"
    return _source(statement, search, "resource c", candidate, [*_present(statement, search), valueless], None)


def _source(
    statement: Statement,
    search: Search,
    tables: str,
    candidate: Candidate,
    tests: list[str],
    first: Condition | None,
    sorted_by: str | None = None,
) -> Source:
    rest = tuple(one for one in search.conditions if one is not first)
    held = [*tests, *all_hold(statement, rest, candidate)]
    if "Patient" in search.types and not search.with_merged:
        held.append(not_merged(statement, candidate.id))
    return Source(tables, candidate, held, sorted_by)


def _present(statement: Statement, search: Search) -> list[str]:
    return [f"c.org_id = {statement.org}", _types(statement, search, "c.type"), "not c.deleted"]


def _types(statement: Statement, search: Search, column: str) -> str:
    if len(search.types) == 1:
        return f"{column} = {statement.parameter(search.types[0], 'text')}"
    return f"{column} = any({statement.parameter(list(search.types), 'text[]')})"
