"""A search as it was understood, and what it found."""

from dataclasses import dataclass, field
from typing import Literal

from chartwire.core.limits import FHIR_PAGE_SIZE_DEFAULT
from chartwire.record.read import Stored
from chartwire.store.fhir_search.conditions import Position, Search

Total = Literal["none", "estimate", "accurate"]
Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Warned:
    """A parameter that was ignored, and why; never with its value."""

    parameter: str
    text: str


@dataclass(frozen=True, slots=True)
class Query:
    """A search in full. `count` is `_count` (0: only the total is wanted); `after` continues behind a page's end.

    `pairs` are the parameters that were understood, as they were given and in their order, and `warnings` those that
    were not. Two searches with equal `pairs`, types and place find the same.
    """

    search: Search
    count: int = FHIR_PAGE_SIZE_DEFAULT
    total: Total = "none"
    pairs: Pairs = ()
    warnings: tuple[Warned, ...] = field(default=())

    @property
    def types(self) -> tuple[str, ...]:
        """The resource types that are searched."""
        return self.search.types


@dataclass(frozen=True, slots=True)
class Found:
    """A resource that matches, its type, and the values by which it is sorted, as text."""

    type: str
    stored: Stored
    values: tuple[str | None, ...] = ()

    @property
    def position(self) -> Position:
        """Its place in the order."""
        return (*self.values, str(self.stored.id), self.type)


@dataclass(frozen=True, slots=True)
class Page:
    """At most `count` resources in order; `after` is where the next page begins, None at the end.

    `total` is the number of all matches where it was asked for; `exact` is False for an estimate.
    """

    found: tuple[Found, ...]
    after: Position | None = None
    total: int | None = None
    exact: bool = True
