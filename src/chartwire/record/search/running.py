"""A search on the record: one round trip where it starts from something selective, three where it is planned anew."""

from collections.abc import Mapping
from dataclasses import replace

from chartwire.core.access import Access
from chartwire.record.read import stored_of
from chartwire.record.search.model import Found, Page, Query
from chartwire.store.fhir_search import running
from chartwire.store.fhir_search.conditions import (
    AllOf,
    AnyOf,
    Chain,
    Comparison,
    Condition,
    Has,
    Position,
    Rows,
    Search,
    Updated,
)
from chartwire.store.pool import Connection, Row
from chartwire.trust.credentials import explaining


async def run(connection: Connection, access: Access, query: Query, after: Position | None = None) -> Page:
    """A page of what a query finds, behind `after` where given; with its total where that was asked for.

    `connection` may be in a transaction, whose writes are seen, or in none. The credential of the Access is checked in
    the statement that reads. What refers to a patient who was merged into another is found under the survivor. In
    rising order of `_lastUpdated` a page gives what was changed before every transaction that still runs began:
    nothing appears later behind what was given. Raises AuthError (`credential_invalid`), TransientError.
    """
    with explaining():
        return await _Running(connection, access, query).page(after)


_COLUMNS = 10
"""How many stand before the values that rows are sorted by."""


class _Running:
    """One query on one connection."""

    def __init__(self, connection: Connection, access: Access, query: Query) -> None:
        self.connection = connection
        self.query = query
        self.bound = (connection, access.credential_id, access.org)

    async def page(self, after: Position | None) -> Page:
        """The page behind a position, and the total."""
        wanted = self.query.count
        if wanted == 0:
            total, exact = await self._total(self.query.search)
            return Page((), None, total, exact)
        search, rows = await self._rows(after)
        found = [_found(row) for row in rows if row["id"] is not None]
        kept = tuple(found[:wanted])
        page = Page(kept, kept[-1].position if len(found) > wanted else None)
        if self.query.total == "none":
            return page
        total, exact = await self._total(search)
        return replace(page, total=total, exact=exact)

    async def _rows(self, after: Position | None) -> tuple[Search, list[Row]]:
        """Rows of the page and one more, and the search as it was made at last."""
        search = replace(self.query.search, after=after, limit=self.query.count + 1)
        if search.sorts and search.sorts[0].by == "updated" and not search.sorts[0].descending:
            until = await running.settled_until(self.connection)
            search = replace(search, conditions=(*search.conditions, Updated(((("<", until),),))))
        rows = await running.found(*self.bound, search)
        if rows[0]["merged"]:
            search = await self._following(search)
            rows = await running.found(*self.bound, search)
        return search, rows

    async def _total(self, search: Search) -> tuple[int, bool]:
        most = running.COUNTED_MAX if self.query.total == "estimate" else None
        number, merged = await running.counted(*self.bound, search, most)
        if merged:
            number, _ = await running.counted(*self.bound, await self._following(search), most)
        return number, number != most

    async def _following(self, search: Search) -> Search:
        """The search with the survivor beside each patient who was merged away."""
        led = await running.survivors(*self.bound, search.people)
        names = {f"Patient/{loser}": f"Patient/{survivor}" for loser, survivor in led.items()}
        return replace(search, conditions=tuple(_renamed(one, names) for one in search.conditions), people=())


def _renamed(condition: Condition, names: Mapping[str, str]) -> Condition:
    """The condition with further names beside those of patients who were merged away."""
    if isinstance(condition, AnyOf | AllOf | Chain | Has):
        return replace(condition, conditions=tuple(_renamed(one, names) for one in condition.conditions))
    if not isinstance(condition, Rows) or condition.table != "token":
        return condition
    any_of = tuple(tuple(_led(one, names) for one in alternative) for alternative in condition.any_of)
    return replace(condition, any_of=any_of)


def _led(comparison: Comparison, names: Mapping[str, str]) -> Comparison:
    value = comparison.value
    told = value if isinstance(value, tuple) else (value,)
    led = tuple(names[one] for one in told if isinstance(one, str) and one in names)
    return replace(comparison, value=(*map(str, told), *led)) if led else comparison


def _found(row: Row) -> Found:
    return Found(row["type"], stored_of(row, row["id"]), tuple(row[_COLUMNS:]))
