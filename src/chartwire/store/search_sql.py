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
    "received_from": "m.received_at >= {0}",
    "received_before": "m.received_at < {0}",
    "event": "m.event = {0}",
    "event_from": "m.event >= {0}",
    "event_before": "m.event < {0}",
    "control_id": "m.control_id = {0}",
    "source_id": "m.source_id = {0}",
    "patient_id": "m.patient_id = {0}",
    "error_code": "m.error_code = {0}",
}
_MESSAGE_BOUNDS = {"before": "{id} < {0}", "id_from": "{id} >= {0}", "id_to": "{id} <= {0}"}
_MESSAGE_COLUMNS = (
    "m.id, m.source_id, m.received_at, m.processed_at, m.state, m.event, m.control_id, m.mrn, m.charset, m.body_bytes,"
    " m.mode, m.ack_code, m.parent_id, m.patient_id, m.error_code, m.error_location, m.error_text"
)
MESSAGE_STATES = ("received", "processed", "filtered", "held", "dead")
_USUAL_STATE = "processed"
_EQUALITIES = frozenset({"control_id", "error_code", "patient_id"})


@dataclass(frozen=True, slots=True)
class Number:
    """A number that a message carries (`message_key`): its kind, its value, and its authority where that counts."""

    kind: str
    value: str
    authority: str | None = None


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
    """SQL and parameters of a list of messages, newest first.

    `conditions` are those of _MESSAGE_CONDITIONS and _MESSAGE_BOUNDS by name, `states` (of MESSAGE_STATES), `numbers`
    (of Number; all of them) and `mrn`, which a message has in its column or among its numbers. Each way to the rows
    comes by an index that gives them in order of ids and stops after `limit`; the ways are put together afterwards.
    """
    statement = _Messages(org, limit)
    rest = [
        _MESSAGE_CONDITIONS[name].format(statement.parameter(value))
        for name, value in conditions.items()
        if name in _MESSAGE_CONDITIONS
    ]
    bounds = [
        (_MESSAGE_BOUNDS[name], statement.parameter(value))
        for name, value in conditions.items()
        if name in _MESSAGE_BOUNDS
    ]
    numbers = [statement.number(number) for number in conditions.get("numbers", ())]
    ways = statement.ways(conditions, numbers, rest, bounds)
    found = ways[0] if len(ways) == 1 else f"{' union '.join(f'({way})' for way in ways)} order by id desc limit $2"
    sql = (
        f"select m.*, s.name as source_name from ({found}) m"
        " left join source s on s.org_id = $1 and s.id = m.source_id order by m.id desc"
    )
    return sql, statement.args


class _Messages:
    """The ways to a list of messages and their parameters; $1 is the organisation, $2 the limit."""

    def __init__(self, org: UUID, limit: int) -> None:
        self.args: list[Any] = [org, limit]

    def parameter(self, value: Any) -> str:
        """The placeholder of a value."""
        self.args.append(value)
        return f"${len(self.args)}"

    def number(self, number: Number) -> str:
        """The condition on message_key, as `k`, that a number asks for."""
        condition = f"k.org_id = $1 and k.kind = {literal(number.kind)} and k.value = {self.parameter(number.value)}"
        if number.authority is not None:
            condition += f" and k.authority = {self.parameter(number.authority)}"
        return condition

    def ways(
        self, conditions: Mapping[str, Any], numbers: list[str], rest: list[str], bounds: list[tuple[str, str]]
    ) -> list[str]:
        """One SELECT for each way, all with the same conditions."""
        states = conditions.get("states", ())
        if states:
            rest = [*rest, f"m.state in ({', '.join(map(literal, states))})"]
        mrn = conditions.get("mrn")
        if mrn is not None:
            column = [f"m.mrn = {self.parameter(mrn.value)}"] if mrn.authority is None else []
            by_key = self._by_number([self.number(mrn), *numbers], rest, bounds)
            return [by_key, *(self._by_column([one, *rest], numbers, bounds) for one in column)]
        if numbers:
            return [self._by_number(numbers, rest, bounds)]
        if len(states) > 1 and _USUAL_STATE not in states and not _EQUALITIES & conditions.keys():
            return [self._by_column([*rest, f"m.state = {literal(state)}"], [], bounds) for state in states]
        return [self._by_column(rest, [], bounds)]

    def _by_column(self, conditions: list[str], numbers: list[str], bounds: list[tuple[str, str]]) -> str:
        carried = [f"exists (select 1 from message_key k where {one} and k.message_id = m.id)" for one in numbers]
        within = [form.format(value, id="m.id") for form, value in bounds]
        where = " and ".join(["m.org_id = $1", *conditions, *carried, *within])
        return f"select {_MESSAGE_COLUMNS} from message m where {where} order by m.id desc limit $2"

    def _by_number(self, numbers: list[str], conditions: list[str], bounds: list[tuple[str, str]]) -> str:
        first, *others = numbers
        carried = [f"exists (select 1 from message_key k where {one} and k.message_id = m.id)" for one in others]
        within = [form.format(value, id="k.message_id") for form, value in bounds]
        where = " and ".join([first, *within, *conditions, *carried])
        return (
            f"select distinct on (k.message_id) {_MESSAGE_COLUMNS} from message_key k"
            f" join message m on m.org_id = $1 and m.id = k.message_id where {where}"
            " order by k.message_id desc limit $2"
        )


def literal(param: str) -> str:
    """The name of an index parameter as SQL. Raises ValueError for what cannot be one."""
    if not _PARAMETER.fullmatch(param):
        raise ValueError("not the name of an index parameter")
    return f"'{param}'"


def _patient_status(statuses: Sequence[str]) -> str:
    if set(statuses) == {"active", "inactive"}:
        return f"not {_MERGED}"
    return "(" + " or ".join(_PATIENT_STATUS[status] for status in statuses) + ")"
