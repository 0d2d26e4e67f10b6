"""The statements of a search: a page of resources, and their number."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from chartwire.store.fhir_search.conditions import Condition, Search
from chartwire.store.fhir_search.drivers import driven, first_of, is_certain, is_single, is_typed, there
from chartwire.store.fhir_search.filters import Candidate, all_hold, not_merged
from chartwire.store.fhir_search.ordering import behind, ids_descend, order_by, value_of, valued
from chartwire.store.fhir_search.statement import Statement

COUNTED_MAX = 10_000
"""How far matches are counted where an estimate is enough."""

_COLUMNS = "r.version, r.updated_at, r.deleted, r.patient_id, r.message_id, r.actor, r.body"


@dataclass(frozen=True, slots=True)
class Asked:
    """A statement as it is sent; `planned`: in a transaction that plans each statement for its values."""

    sql: str
    args: list[Any]
    planned: bool


def page(org: UUID, credential: UUID | None, search: Search) -> Asked:
    """At least one row: `merged` says whether one of `people` was merged into another. Then, null where nothing is
    found, `id`, `type`, what is stored, and the sort values as text: `sort0`, `sort1`, ..."""
    asked = _Asking(org, credential, search)
    return asked.asked(asked.page())


def counting(org: UUID, credential: UUID | None, search: Search, most: int | None) -> Asked:
    """One row: `merged`, and `number` of matches, counted up to `most`."""
    asked = _Asking(org, credential, search)
    return asked.asked(asked.number(most))


class _Asking:
    """One search on its way to SQL."""

    def __init__(self, org: UUID, credential: UUID | None, search: Search) -> None:
        self.search = search
        self.first = first_of(search.conditions)
        self.statement = Statement(credential, org, planned=self.first is None)
        self.typed = len(search.types) == 1
        self.sorts = valued(search.sorts)

    def asked(self, found: str) -> Asked:
        """The whole statement around the query of what is found."""
        sql = self.statement.opened(f"{self._merged()} left join lateral ({found}) x on true")
        return Asked(sql, self.statement.args, self.statement.planned)

    def page(self) -> str:
        """A page of resources."""
        values = ", ".join(f"p.s{number}::text as sort{number}" for number in range(len(self.sorts)))
        return (
            f"select p.id, p.type, {_COLUMNS}{', ' if values else ''}{values} from ({self._ids()}) p"
            f" cross join lateral (select * from resource r where r.org_id = {self.statement.org}"
            " and r.type = p.type and r.id = p.id limit 1) r"
            f" order by {order_by(self.search.sorts, 'p', typed=self.typed)}"
        )

    def number(self, most: int | None) -> str:
        """The number of matches."""
        source, _, tests = self._candidates(None)
        limit = f" limit {self.statement.parameter(most, 'integer')}" if most is not None else ""
        return f"select count(*) as number from (select 1 from {source}{_where(tests)}{limit}) counted"

    def _ids(self) -> str:
        """The ids, types and sort values of a page."""
        search, statement = self.search, self.statement
        by_id = search.after is not None and not self.sorts and not ids_descend(search.sorts) and self.typed
        source, candidate, tests = self._candidates(UUID(search.after[-2]) if by_id and search.after else None)
        values = [f"{value_of(statement, sort, candidate)} as s{number}" for number, sort in enumerate(self.sorts)]
        columns = ", ".join([f"{candidate.id} as id", f"{candidate.type} as type", *values])
        found = f"select {columns} from {source}{_where(tests)}"
        beyond = ""
        if search.after is not None:
            beyond = f" where {behind(statement, search.sorts, search.after, 'q', typed=self.typed)}"
        order = order_by(search.sorts, "q", typed=self.typed)
        limit = statement.parameter(search.limit, "integer")
        return f"select q.* from ({found}) q{beyond} order by {order} limit {limit}"

    def _candidates(self, after: UUID | None) -> tuple[str, Candidate, list[str]]:
        """Where candidates come from, one of them as expressions, and what has to hold of it."""
        statement = self.statement
        rest = tuple(one for one in self.search.conditions if one is not self.first)
        if self.first is None:
            source, candidate, tests = self._walk()
        elif self.typed:
            source, candidate, tests = self._driven(self.first, after)
        else:
            source, candidate, tests = self._driven_types(self.first)
        tests += all_hold(statement, rest, candidate)
        if "Patient" in self.search.types and not self.search.with_merged:
            tests.append(not_merged(statement, candidate.id))
        return source, candidate, tests

    def _walk(self) -> tuple[str, Candidate, list[str]]:
        types = self._types("c.type")
        return (
            "resource c",
            Candidate("c.id", "c.type", "c.updated_at"),
            [
                f"c.org_id = {self.statement.org}",
                types,
                "not c.deleted",
            ],
        )

    def _driven(self, first: Condition, after: UUID | None) -> tuple[str, Candidate, list[str]]:
        found = driven(self.statement, first, after)
        if not is_single(first):
            found = f"select distinct d.id from ({found}) d"
        candidate = Candidate("c.id", self.statement.parameter(self.search.types[0], "text"))
        tests = [] if is_certain(first) else [there(self.statement, candidate)]
        return f"({found} offset 0) c", candidate, tests

    def _driven_types(self, first: Condition) -> tuple[str, Candidate, list[str]]:
        found = driven(self.statement, first)
        if not is_typed(first):
            found = (
                f"select d.id, e.type from ({found}) d cross join lateral (select e.type from resource e where"
                f" e.org_id = {self.statement.org} and {self._types('e.type')} and e.id = d.id and not e.deleted"
                " offset 0) e"
            )
        candidate = Candidate("c.id", "c.type")
        tests = [self._types("c.type")]
        if is_typed(first) and not is_certain(first):
            tests.append(there(self.statement, candidate))
        return f"(select distinct d.id, d.type from ({found}) d offset 0) c", candidate, tests

    def _types(self, column: str) -> str:
        if self.typed:
            return f"{column} = {self.statement.parameter(self.search.types[0], 'text')}"
        return f"{column} = any({self.statement.parameter(list(self.search.types), 'text[]')})"

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


def _where(tests: list[str]) -> str:
    return f" where {' and '.join(tests)}" if tests else ""
