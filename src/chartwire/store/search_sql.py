"""The one generator of SQL: searches over the record, put together from the fixed fragments below.

A search's text depends on its shape only (parameters, operators, sort); every value is a parameter, so one shape is one
prepared statement. Names of index parameters stand in the text, which lets the planner use the partial index of
0005_pre_search.sql; they come from tables of ours and are checked here. Row-level security applies; the organisation is
a condition besides, for the indexes.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

Operator = Literal["eq", "in", "gt", "gte", "lt", "lte", "prefix"]
Position = tuple[str | None, UUID]
"""Where a page ended: the sort value (None among resources that have none) and the id, which is the tiebreak."""

TOTAL_COUNTED_MAX = 10_000

_COLUMNS = "r.id, r.version, r.updated_at, r.deleted, r.patient_id, r.message_id, r.actor, r.body"
_OPERATORS: dict[Operator, str] = {
    "eq": "{value} = {0}",
    "in": "{value} = any({0}::text[])",
    "gt": "{value} > {0}",
    "gte": "{value} >= {0}",
    "lt": "{value} < {0}",
    "lte": "{value} <= {0}",
    "prefix": "{value} >= {0} and {value} < {1}",
}
_RANGES = frozenset({"gt", "gte", "lt", "lte"})
_INDEXED = (
    "exists (select 1 from search_value f where f.org_id = $1 and f.type = $2 and f.resource_id = r.id"
    " and f.param = {param} and {condition})"
)
_MERGED = "exists (select 1 from merge m where m.org_id = $1 and m.loser_id = r.id and m.undone_at is null)"
_INACTIVE = (
    "exists (select 1 from search_value f where f.org_id = $1 and f.type = $2 and f.resource_id = r.id"
    " and f.param = 'active' and f.value = 'false')"
)
_PATIENT_STATUS = {
    "active": f"(not {_MERGED} and not {_INACTIVE})",
    "inactive": f"(not {_MERGED} and {_INACTIVE})",
    "merged": _MERGED,
}
PATIENT_STATUSES = tuple(_PATIENT_STATUS)
_PARAMETER = re.compile(r"[a-z_]{1,40}")
_LAST_LETTER = "\U0010ffff"

_MESSAGE_CONDITIONS = {
    "before": "m.id < {0}",
    "id_from": "m.id >= {0}",
    "id_to": "m.id <= {0}",
    "received_from": "m.received_at >= {0}",
    "received_before": "m.received_at < {0}",
    "states": "m.state = any({0}::text[])",
    "event": "m.event = {0}",
    "event_from": "m.event >= {0}",
    "event_before": "m.event < {0}",
    "control_id": "m.control_id = {0}",
    "mrn": "m.mrn = {0}",
    "source_id": "m.source_id = {0}",
}
_MESSAGE_COLUMNS = (
    "m.id, m.source_id, s.name as source_name, m.received_at, m.processed_at, m.state, m.event, m.control_id, m.mrn,"
    " m.charset, m.body_bytes, m.mode, m.ack_code, m.parent_id, m.patient_id, m.error_code, m.error_location,"
    " m.error_text"
)


@dataclass(frozen=True, slots=True)
class Term:
    """One condition on the index: some value of `param` is as `operator` says. For `in` the value is a sequence."""

    param: str
    operator: Operator
    value: str | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Search:
    """What to find. All `terms` hold; `sort` names a parameter of one value a resource, or is None for order of id.

    `statuses` of patients (PATIENT_STATUSES); by default all but `merged`. `after` continues behind a position.
    """

    type: str
    terms: tuple[Term, ...] = ()
    sort: str | None = None
    descending: bool = False
    after: Position | None = None
    limit: int = 25
    statuses: tuple[str, ...] = ("active", "inactive")

    @property
    def with_merged(self) -> bool:
        """Whether patients of every status are wanted."""
        return set(self.statuses) == set(PATIENT_STATUSES)

    @property
    def ranges_over_sort(self) -> bool:
        """Whether a condition on the sort parameter leaves out what has no value for it."""
        return any(term.param == self.sort for term in self.terms)

    @property
    def single_equality(self) -> Term | None:
        """The one `eq` term that is all there is to this search, as search_resources of 0004_pre_reads.sql takes it."""
        statuses = self.with_merged or set(self.statuses) == {"active", "inactive"}
        plain = self.sort is None and not self.descending and statuses
        return self.terms[0] if plain and len(self.terms) == 1 and self.terms[0].operator == "eq" else None


class _Statement:
    """Conditions and their parameters; $1 is the organisation, $2 the type."""

    def __init__(self, org: UUID, search: Search) -> None:
        self.args: list[Any] = [org, search.type]
        self.conditions = ["r.org_id = $1", "r.type = $2", "not r.deleted"]
        if search.type == "Patient" and not search.with_merged:
            self.conditions.append(_patient_status(search.statuses))

    def parameter(self, value: Any) -> str:
        """The placeholder of a value."""
        self.args.append(value)
        return f"${len(self.args)}"

    def add_terms(self, terms: Sequence[Term], sort: str | None) -> None:
        """Conditions of an index row each, save those on the sort parameter, whose row is at hand as `s`."""
        ranges: dict[str, list[str]] = {}
        for term in terms:
            if sort is not None and term.param == sort:
                self.conditions.append(self._condition(term, "s.value"))
            elif term.param == "updated" and term.operator in _RANGES:
                # No index leads from a resource to this value: the row itself has it.
                self.conditions.append(_OPERATORS[term.operator].format(self._moment(term), value="r.updated_at"))
            elif term.operator in _RANGES:
                ranges.setdefault(term.param, []).append(self._condition(term, "f.value"))
            else:
                self._add_indexed(term.param, self._condition(term, "f.value"))
        for param, conditions in ranges.items():
            self._add_indexed(param, " and ".join(conditions))

    def _add_indexed(self, param: str, condition: str) -> None:
        self.conditions.append(_INDEXED.format(param=literal(param), condition=condition))

    def _moment(self, term: Term) -> str:
        return self.parameter(datetime.fromisoformat(str(term.value)))

    def _condition(self, term: Term, column: str) -> str:
        if term.operator == "prefix":
            low, high = self.parameter(term.value), self.parameter(f"{term.value}{_LAST_LETTER}")
            return _OPERATORS["prefix"].format(low, high, value=column)
        value = list(term.value) if term.operator == "in" else term.value
        return _OPERATORS[term.operator].format(self.parameter(value), value=column)

    def where(self) -> str:
        """All conditions."""
        return " and ".join(self.conditions)


def by_id(org: UUID, search: Search) -> tuple[str, list[Any]]:
    """SQL and parameters of a search in order of ids."""
    statement = _Statement(org, search)
    statement.add_terms(search.terms, None)
    direction, comparison = ("desc", "<") if search.descending else ("asc", ">")
    if search.after:
        statement.conditions.append(f"r.id {comparison} {statement.parameter(search.after[1])}")
    limit = statement.parameter(search.limit)
    sql = (
        f"select {_COLUMNS}, null::text as sort_value from resource r where {statement.where()}"
        f" order by r.id {direction} limit {limit}"
    )
    return sql, statement.args


def by_value(org: UUID, search: Search) -> tuple[str, list[Any]]:
    """SQL and parameters of a search in order of the sort parameter: the resources that have a value for it."""
    statement = _Statement(org, search)
    param = literal(search.sort or "")
    statement.conditions += ["s.org_id = $1", "s.type = $2", f"s.param = {param}", "s.resource_id = r.id"]
    statement.add_terms(search.terms, search.sort)
    direction, comparison = ("desc", "<") if search.descending else ("asc", ">")
    if search.after:
        value, last = statement.parameter(search.after[0]), statement.parameter(search.after[1])
        statement.conditions.append(f"(s.value, s.resource_id) {comparison} ({value}, {last})")
    limit = statement.parameter(search.limit)
    sql = (
        f"select {_COLUMNS}, s.value as sort_value from search_value s, resource r where {statement.where()}"
        f" order by s.value {direction}, s.resource_id {direction} limit {limit}"
    )
    return sql, statement.args


def without_value(org: UUID, search: Search) -> tuple[str, list[Any]]:
    """SQL and parameters of the end of a sorted search: the resources without a value to sort by, in order of ids."""
    statement = _Statement(org, search)
    param = literal(search.sort or "")
    statement.conditions.append(f"not {_INDEXED.format(param=param, condition='true')}")
    statement.add_terms(search.terms, None)
    if search.after:
        statement.conditions.append(f"r.id > {statement.parameter(search.after[1])}")
    limit = statement.parameter(search.limit)
    sql = (
        f"select {_COLUMNS}, null::text as sort_value from resource r where {statement.where()}"
        f" order by r.id limit {limit}"
    )
    return sql, statement.args


def counting(org: UUID, search: Search) -> tuple[str, list[Any]]:
    """SQL and parameters that count the matches, up to one more than TOTAL_COUNTED_MAX."""
    statement = _Statement(org, search)
    statement.add_terms(search.terms, None)
    sql = (
        f"select count(*) from (select 1 from resource r where {statement.where()}"
        f" limit {TOTAL_COUNTED_MAX + 1}) as counted"
    )
    return sql, statement.args


def messages(org: UUID, conditions: Mapping[str, Any], limit: int) -> tuple[str, list[Any]]:
    """SQL and parameters of a list of messages, newest first, by the conditions named in _MESSAGE_CONDITIONS."""
    args: list[Any] = [org, limit]
    where = ["m.org_id = $1"]
    for name, value in conditions.items():
        args.append(value)
        where.append(_MESSAGE_CONDITIONS[name].format(f"${len(args)}"))
    sql = (
        f"select {_MESSAGE_COLUMNS} from message m left join source s on s.org_id = m.org_id and s.id = m.source_id"
        f" where {' and '.join(where)} order by m.id desc limit $2"
    )
    return sql, args


def literal(param: str) -> str:
    """The name of an index parameter as SQL. Raises ValueError for what cannot be one."""
    if not _PARAMETER.fullmatch(param):
        raise ValueError("not the name of an index parameter")
    return f"'{param}'"


def _patient_status(statuses: Sequence[str]) -> str:
    if set(statuses) == {"active", "inactive"}:
        return f"not {_MERGED}"
    return "(" + " or ".join(_PATIENT_STATUS[status] for status in statuses) + ")"
