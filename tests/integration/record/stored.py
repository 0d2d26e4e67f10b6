"""Resources for tests of searching: written by the FHIR writer, found by parse and run."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from chartwire.core.access import Access
from chartwire.record.fhir_writing import FhirWriter, Write
from chartwire.record.search import Context, Page, Position, parse, run
from chartwire.store.pool import Pool


class Shelf:
    """What one organisation holds."""

    def __init__(self, pool: Pool, org: UUID) -> None:
        self.pool = pool
        self.access = Access(org, "test", "HOPERAT", frozenset({"*"}))

    async def put(self, *resources: dict[str, Any]) -> None:
        """Write resources under their own ids, in one transaction."""
        await self._apply(Write("update", one["resourceType"], one["id"], one) for one in resources)

    async def delete(self, resource_type: str, fhir_id: str) -> None:
        await self._apply([Write("delete", resource_type, fhir_id)])

    async def _apply(self, writes: Iterable[Write]) -> None:
        wanted = list(writes)
        async with self.pool.transaction(self.access.org) as tx:
            writer = FhirWriter(self.access, tx)
            await writer.read(wanted)
            for write in wanted:
                await writer.apply(write)
            await writer.finish()

    async def page(
        self, resource_type: str | None, text: str = "", after: Position | None = None, **options: Any
    ) -> Page:
        """One page of a search that is asked for as in a query string, not escaped; `strict` unless said otherwise."""
        pairs = [(name, value) for name, _, value in (part.partition("=") for part in text.split("&") if part)]
        query = parse(resource_type, pairs, **{"strict": True, "context": Context(), **options})
        async with self.pool.connection() as connection:
            return await run(connection, self.access, query, after)

    async def find(self, resource_type: str | None, text: str = "", **options: Any) -> list[str]:
        """The ids that a search finds in the order in which it gives them."""
        page = await self.page(resource_type, text, **options)
        return [_id(one.stored.body) for one in page.found]


def _id(body: str) -> str:
    return body.partition('"id":"')[2].partition('"')[0]
