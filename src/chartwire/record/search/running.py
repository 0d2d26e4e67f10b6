"""A search on the record: one round trip where it starts from something selective, three where it is planned anew."""

from dataclasses import replace
from uuid import UUID

from chartwire.core.access import Access
from chartwire.record.read import stored_of
from chartwire.record.search.model import Found, Page, Query
from chartwire.store.fhir_search import pages
from chartwire.store.fhir_search.conditions import Position
from chartwire.store.fhir_search.running import fetch
from chartwire.store.pool import Connection, Row
from chartwire.trust.credentials import explaining


async def run(connection: Connection, access: Access, query: Query, after: Position | None = None) -> Page:
    """A page of what a query finds, behind `after` where given; with its total where that was asked for.

    `connection` may be in a transaction, whose writes are seen, or in none. The credential of the Access is checked in
    the statement that reads. Raises AuthError (`credential_invalid`), TransientError.
    """
    search = replace(query.search, after=after, limit=query.count + 1)
    with explaining():
        total, exact = await _total(connection, access, query)
        if query.count == 0:
            return Page((), None, total, exact)
        asked = pages.page(access.org, access.credential_id, search)
        rows = await fetch(connection, access.credential_id, access.org, asked)
    found = [_found(row, len(search.sorts)) for row in rows if row["id"] is not None]
    more = len(found) > query.count
    kept = tuple(found[: query.count])
    return Page(kept, kept[-1].position if more else None, total, exact)


async def _total(connection: Connection, access: Access, query: Query) -> tuple[int | None, bool]:
    if query.total == "none" and query.count:
        return None, True
    most = pages.COUNTED_MAX if query.total == "estimate" else None
    asked = pages.counting(access.org, access.credential_id, query.search, most)
    [row] = await fetch(connection, access.credential_id, access.org, asked)
    return row["number"], row["number"] != most


def _found(row: Row, sorts: int) -> Found:
    resource_id: UUID = row["id"]
    values = [row[f"sort{number}"] for number in range(sorts)]
    return Found(row["type"], stored_of(row, resource_id), (*values, str(resource_id), row["type"]))
