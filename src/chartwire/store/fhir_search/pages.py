"""The statements of a search: a page of resources, and their number."""

from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from chartwire.store.fhir_search.conditions import Condition, Rows, Search, Sort
from chartwire.store.fhir_search.drivers import Walk, first_of
from chartwire.store.fhir_search.ordering import NO_VALUE, behind, ids_descend, not_before, order_by, value_of, valued
from chartwire.store.fhir_search.sources import Source, driven_source, driven_types_source, walked, without_value
from chartwire.store.fhir_search.statement import Statement

Part = Literal["all", "with value", "without value"]
"""Of the results of a search: all, those that have a value for its first sort, those that have none."""

_COLUMNS = "r.version, r.updated_at, r.deleted, r.patient_id, r.message_id, r.actor, r.body"


@dataclass(frozen=True, slots=True)
class Asked:
    """A statement as it is sent; `planned`: in a transaction that plans each statement for its values."""

    sql: str
    args: list[Any]
    planned: bool


def parts(search: Search) -> tuple[Part, ...]:
    """In how many statements a page is asked for.

    Where nothing selective is asked, the index rows of the first sort are walked in their order, as long as it takes;
    behind them comes what has no such row.
    """
    sorts = valued(search.sorts)
    if first_of(search) is not None or not sorts or sorts[0].by == "updated" or len(search.types) > 1:
        return ("all",)
    if any(_has_value(one, sorts[0]) for one in search.conditions):
        return ("with value",)
    if search.after is not None and search.after[0] is None:
        return ("without value",)
    return ("with value", "without value")


def _has_value(condition: Condition, sort: Sort) -> bool:
    """Whether what the condition holds of has an index row that the sort goes by."""
    if not isinstance(condition, Rows) or condition.negated or condition.table != sort.by:
        return False
    return set(condition.keys) <= set(sort.keys)


def page(org: UUID, credential: UUID | None, search: Search, part: Part = "all") -> Asked:
    """At least one row: `merged` says whether one of `people` was merged into another. Then, null where nothing is
    found, `id`, `type`, what is stored, and the sort values as text: `sort0`, `sort1`, ..."""
    asked = _Asking(org, credential, search, part)
    return asked.asked(asked.page())


def counting(org: UUID, credential: UUID | None, search: Search, most: int | None) -> Asked:
    """One row: `merged`, and `number` of matches, counted up to `most`."""
    asked = _Asking(org, credential, search, "all")
    return asked.asked(asked.number(most))


class _Asking:
    """One search on its way to SQL."""

    def __init__(self, org: UUID, credential: UUID | None, search: Search, part: Part) -> None:
        self.search = search
        self.part = part
        self.first = first_of(search)
        self.statement = Statement(credential, org, planned=self.first is None)
        self.typed = len(search.types) == 1
        self.sorts = valued(search.sorts)

    def asked(self, found: str) -> Asked:
        """The whole statement around the query of what is found."""
        sql = self.statement.opened(f"{self._merged()} left join lateral ({found}) x on true")
        return Asked(sql, self.statement.args, self.statement.planned)

    def page(self) -> str:
        """A page of resources."""
        values = "".join(f", p.s{number}::text as sort{number}" for number in range(len(self.sorts)))
        return (
            f"select p.id, p.type, {_COLUMNS}{values} from ({self._ids()}) p"
            f" cross join lateral (select * from resource r where r.org_id = {self.statement.org}"
            " and r.type = p.type and r.id = p.id limit 1) r"
            f" order by {order_by(self.search.sorts, 'p', typed=self.typed)}"
        )

    def number(self, most: int | None) -> str:
        """The number of matches."""
        source = self._source(None)
        limit = f" limit {self.statement.parameter(most, 'integer')}" if most is not None else ""
        return f"select count(*) as number from (select 1 from {source.tables}{source.where()}{limit}) counted"

    def _ids(self) -> str:
        """The ids, types and sort values of a page."""
        statement, search = self.statement, self.search
        source = self._source(self._walk())
        values = [
            f"{value_of(statement, sort, source.candidate)} as s{number}" for number, sort in enumerate(self.sorts)
        ]
        if self.sorts and (source.sorted_by or self.part == "without value"):
            values[0] = f"{source.sorted_by or NO_VALUE[self.sorts[0].by]} as s0"
        columns = ", ".join([f"{source.candidate.id} as id", f"{source.candidate.type} as type", *values])
        walked = source.sorted_by is not None
        tests = []
        if search.after is not None:
            if walked and search.after[0] is not None:
                tests.append(not_before(statement, self.sorts[0], search.after[0], "q"))
            tests.append(behind(statement, search.sorts, search.after, "q", typed=self.typed))
        beyond = f" where {' and '.join(tests)}" if tests else ""
        order = order_by(search.sorts, "q", typed=self.typed, walked=walked)
        limit = statement.parameter(search.limit, "integer")
        return (
            f"select q.* from (select {columns} from {source.tables}{source.where()}) q{beyond}"
            f" order by {order} limit {limit}"
        )

    def _walk(self) -> Walk | None:
        """The walk of a page in order of ids, None for one in another order."""
        if self.sorts:
            return None
        after = self.search.after
        return Walk(ids_descend(self.search.sorts), UUID(after[-2]) if after else None)

    def _source(self, walk: Walk | None) -> Source:
        if self.part == "with value":
            return walked(self.statement, self.search, self.sorts[0])
        if self.part == "without value":
            return without_value(self.statement, self.search, self.sorts[0])
        if self.first is None:
            return walked(self.statement, self.search, self.sorts[0] if self.sorts else None)
        if self.typed:
            return driven_source(self.statement, self.search, self.first, walk)
        return driven_types_source(self.statement, self.search, self.first)

    def _merged(self) -> str:
        """Whether a patient that the search names was merged into another."""
        people = self.search.people
        if not people:
            return "cross join (select false as merged) m"
        return (
            f"cross join lateral (select exists (select from merge g where g.org_id = {self.statement.org} and"
            f" g.loser_id = any({self.statement.parameter(list(people), 'uuid[]')}) and g.undone_at is null) as merged"
            " offset 0) m"
        )
