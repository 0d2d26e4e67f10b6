"""Resources that releases or rules before the present ones indexed, or none at all, are brought into the FHIR index.

In batches, while writers write: what one holds is left for the next batch, and what it writes is indexed by it. Several
may do so at once, and stop anywhere.
"""

from uuid import UUID

from chartwire.record.bodies import read_json
from chartwire.record.fhir_index import RULES, IndexChanges
from chartwire.store.pool import Pool
from chartwire.store.queries import q

RESOURCES_PER_BATCH = 200
COUNTED_MAX = 1_000_000


async def index_batch(pool: Pool, org: UUID) -> int:
    """Index some resources of one organisation, in a transaction of its own; how many. 0 where none is left, or all
    that are left are being written now."""
    async with pool.transaction(org) as tx:
        rows = await tx.fetch(q.take_unindexed, org, RESOURCES_PER_BATCH)
        if rows:
            changes = IndexChanges()
            for row in rows:
                changes.replace(row["type"], row["id"], None if row["deleted"] else read_json(row["body"]))
            await tx.execute(q.write_fhir_index, *changes.columns())
            types, ids = [row["type"] for row in rows], [row["id"] for row in rows]
            await tx.execute(q.mark_indexed, org, types, ids, RULES)
    return len(rows)


async def to_index(pool: Pool, org: UUID) -> int:
    """How many resources of an organisation are still to be indexed; counted up to COUNTED_MAX."""
    async with pool.transaction(org) as tx:
        found: int = await tx.fetchval(q.count_unindexed, org, COUNTED_MAX)
    return found
