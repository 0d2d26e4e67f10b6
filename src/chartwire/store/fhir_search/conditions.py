"""What a FHIR search asks of a resource, as data: the search language makes it, the generator turns it into SQL.

A condition is about one resource, the candidate. All of a search's conditions hold. `rank` says how selective a
condition is, the lower the more: the generator starts from the lowest and looks the others up for what it finds.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import Literal
from uuid import UUID

Table = Literal["token", "string", "date", "number"]
Column = Literal["value", "low", "high", "code", "unit"]
Operator = Literal["=", "<", "<=", ">", ">=", "contains"]
Scalar = str | float | datetime


class Rank(IntEnum):
    """How many resources a condition leaves: expected, not measured. What is above SELECTIVE is no place to start."""

    ID = 0
    IDENTIFIER = 1
    ADDRESS = 2
    REFERENCE = 3
    DAY = 4
    NAME = 5
    SELECTIVE = 6
    CODE = 7
    RANGE = 8
    EVERYTHING = 9


@dataclass(frozen=True, slots=True)
class Comparison:
    """One column of an index row against a value; a tuple with `=` is any of them, `contains` is of text anywhere."""

    column: Column
    operator: Operator
    value: Scalar | tuple[str, ...]


Alternative = tuple[Comparison, ...]
"""Comparisons that all hold of one row."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Some row of the candidate under one of `keys` fits one of the alternatives; `negated`: none does.

    In a search of several types `owners` names the type of each key.
    """

    table: Table
    keys: tuple[int, ...]
    any_of: tuple[Alternative, ...]
    negated: bool = False
    rank: Rank = Rank.CODE
    owners: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ids:
    """The candidate is one of these; in a search of several types only one of `type`, where given."""

    ids: tuple[UUID, ...]
    type: str = ""
    rank: Rank = Rank.ID


@dataclass(frozen=True, slots=True)
class Updated:
    """The candidate's last change fits one of the alternatives: each is (operator, moment) pairs that all hold."""

    any_of: tuple[tuple[tuple[Operator, datetime], ...], ...]
    rank: Rank = Rank.RANGE


@dataclass(frozen=True, slots=True)
class Chain:
    """The candidate refers, under one of `keys`, to a resource of `type` of which all `conditions` hold."""

    keys: tuple[int, ...]
    type: str
    conditions: tuple["Condition", ...]
    rank: Rank = Rank.CODE


@dataclass(frozen=True, slots=True)
class Has:
    """A resource of `source`, of which all `conditions` hold, refers under one of `keys` to the candidate of `type`."""

    source: str
    keys: tuple[int, ...]
    type: str
    conditions: tuple["Condition", ...]
    rank: Rank = Rank.CODE


@dataclass(frozen=True, slots=True)
class Words:
    """The candidate's text (its narrative only, or all of it) holds every one of `words`, whatever their case."""

    words: tuple[str, ...]
    narrative: bool
    rank: Rank = Rank.EVERYTHING


@dataclass(frozen=True, slots=True)
class Near:
    """The candidate's position (degrees, in its body) is at most `metres` away, along the earth's surface."""

    latitude: float
    longitude: float
    metres: float
    rank: Rank = Rank.EVERYTHING


@dataclass(frozen=True, slots=True)
class AnyOf:
    """One of the conditions holds; none of none does."""

    conditions: tuple["Condition", ...]
    rank: Rank = Rank.CODE


@dataclass(frozen=True, slots=True)
class AllOf:
    """All conditions hold."""

    conditions: tuple["Condition", ...]
    rank: Rank = Rank.CODE


Condition = Rows | Ids | Updated | Chain | Has | Words | Near | AnyOf | AllOf

Position = tuple[str | None, ...]
"""Where a page ended: a sort value as text for each sort (None for a resource without), the id, and the type."""


@dataclass(frozen=True, slots=True)
class Sort:
    """One key of the order. `by` is `id`, `updated`, or the index table whose smallest (largest) value counts."""

    by: Literal["id", "updated"] | Table
    keys: tuple[int, ...] = ()
    descending: bool = False
    owners: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Search:
    """What to find: resources of one of `types` of which all conditions hold.

    In order of `sorts`, those without a value last, and then of id and type. `after` continues behind a position;
    `with_merged`: patients that were merged into another count too, as they do where a record is asked for by its
    number; `people` are the patients that conditions refer to.
    """

    types: tuple[str, ...]
    conditions: tuple[Condition, ...] = ()
    sorts: tuple[Sort, ...] = ()
    limit: int = 20
    after: Position | None = None
    with_merged: bool = False
    people: tuple[UUID, ...] = field(default=())
