"""Resources that releases or rules before the present ones indexed, or none at all, are brought into the FHIR index.

In batches, while writers write: what one holds is left for the next batch, and what it writes is indexed by it. Several
may do so at once, and stop anywhere.
"""

from uuid import UUID

import structlog

from chartwire.record.bodies import read_json
from chartwire.record.fhir_index import RULES, IndexChanges
from chartwire.store.pool import Pool, Row
from chartwire.store.queries import q

RESOURCES_PER_BATCH = 200
COUNTED_MAX = 1_000_000
_log = structlog.get_logger(__name__)


async def index_batch(pool: Pool, org: UUID) -> int:
    """Index some resources of one organisation, in a transaction of its own; how many. 0 where none is left, or all
    that are left are being written now or cannot be indexed."""
    async with pool.transaction(org) as tx:
        changes = IndexChanges()
        done = [row for row in await tx.fetch(q.take_unindexed, org, RESOURCES_PER_BATCH) if _indexed(changes, row)]
        if done:
            await tx.execute(q.write_fhir_index, *changes.columns())
            await tx.execute(q.mark_indexed, org, [row["type"] for row in done], [row["id"] for row in done], RULES)
    return len(done)


def _indexed(changes: IndexChanges, row: Row) -> bool:
    """Add what a resource changes; whether that was possible."""
    try:
        changes.replace(row["type"], row["id"], None if row["deleted"] else read_json(row["body"]))
    except Exception as error:  # whatever it is, the others go on; doctor tells that something is left
        told = {"resource_type": row["type"], "resource_id": str(row["id"]), "error": type(error).__name__}
        _log.error("fhir_index_fault", **told)
        return False
    return True


async def to_index(pool: Pool, org: UUID) -> int:
    """How many resources of an organisation are still to be indexed; counted up to COUNTED_MAX."""
    async with pool.transaction(org) as tx:
        found: int = await tx.fetchval(q.count_unindexed, org, COUNTED_MAX)
    return found
