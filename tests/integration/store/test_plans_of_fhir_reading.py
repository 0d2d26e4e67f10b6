"""Histories, inclusions and all that belongs to a patient are read by indexes, among many resources."""

import hashlib
from datetime import UTC, datetime
from uuid import UUID

from tests.conftest import Database
from tests.integration.store.many_resources import PATIENTS_OF, fill

from chartwire.core.access import Access
from chartwire.formats.fhir.definitions import served_types
from chartwire.record import everything, linked
from chartwire.store.pool import Connection, Pool
from chartwire.store.queries import q

PATIENT = UUID(hashlib.md5(b"p78").hexdigest())
_READ = """
select coalesce(sum(seq_scan) filter (where relname <> 'credential'), 0), coalesce(sum(idx_tup_fetch), 0)
  from pg_stat_xact_user_tables
 where relname in ('resource', 'resource_history', 'fhir_token', 'fhir_date', 'merge')
"""


async def read_by(pool: Pool, org: UUID, work) -> tuple[int, tuple[int, int]]:
    """How many rows `work` answers, and (scans from end to end, rows fetched by indexes) that it took."""

    async def counted(tx: Connection) -> tuple[int, int]:
        row = await tx.fetchrow(_READ)
        return int(row[0]), int(row[1])

    async with pool.transaction(org) as tx:
        before = await counted(tx)
        found = await work(tx)
        after = await counted(tx)
    return len(found), (after[0] - before[0], after[1] - before[1])


async def test_what_is_linked_and_what_came_before_is_read_by_indexes(
    database: Database, pool: Pool, org_id: UUID
) -> None:
    await fill(database.admin_dsn, org_id, 1_000)
    access = Access(org_id, "worker:test", "TREAT", frozenset({"*"}))
    late = datetime(2027, 1, 1, tzinfo=UTC)
    start = (late, "", UUID(int=0), 0)

    async def back(tx: Connection) -> list[object]:
        rule = linked.Rule("Observation", "subject", reverse=True)
        return (await linked.linked(tx, access, [("Patient", PATIENT)], [rule], 100))[0]

    async def forth(tx: Connection) -> list[object]:
        named = [("Observation", UUID(hashlib.md5(b"o%d" % number).hexdigest())) for number in range(1, 21)]
        return (await linked.linked(tx, access, named, [linked.Rule("Observation", "subject")], 100))[0]

    async def all_of_one(tx: Connection) -> list[object]:
        return await everything.belonging(tx, access, PATIENT, everything.Wanted(), everything.Reached(), 100)

    async def history(tx: Connection, types: list[str]) -> list[object]:
        return await tx.fetch(q.history_of_types, org_id, types, datetime(1, 1, 1, tzinfo=UTC), *start, 20)

    for name, work, found, most in (
        ("back", back, PATIENTS_OF, 4 * PATIENTS_OF),
        ("forth", forth, 20, 80),
        ("everything", all_of_one, PATIENTS_OF + 1, 6 * PATIENTS_OF),
        ("history of a type", lambda tx: history(tx, ["Observation"]), 20, 80),
        ("history of all", lambda tx: history(tx, list(served_types())), 20, 120),
    ):
        count, (scans, rows) = await read_by(pool, org_id, work)
        assert (count, scans) == (found, 0), name
        assert rows <= most, (name, rows)
