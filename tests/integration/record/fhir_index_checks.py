"""What the FHIR index holds, against what the rules say of every current body."""

from collections import defaultdict
from typing import Any
from uuid import UUID

from chartwire.record.bodies import read_json
from chartwire.record.fhir_index import RULES, index_rows
from chartwire.store.pool import Pool

TABLES = {
    "tokens": "select resource_id, key, value from fhir_token",
    "strings": "select resource_id, key, value from fhir_string",
    "dates": "select resource_id, key, low, high, code from fhir_date",
    "numbers": "select resource_id, key, low, high, unit, code from fhir_number",
}
Rows = dict[str, dict[UUID, set[tuple[Any, ...]]]]


async def stored_rows(pool: Pool, org: UUID) -> Rows:
    """All rows of an organisation's index, by table and resource."""
    found: Rows = {}
    async with pool.transaction(org) as tx:
        for table, select in TABLES.items():
            found[table] = defaultdict(set)
            for resource_id, *row in await tx.fetch(select):
                found[table][resource_id].add(tuple(row))
    return found


async def expected_rows(pool: Pool, org: UUID) -> Rows:
    """The rows of all current bodies by the rules."""
    found: Rows = {table: defaultdict(set) for table in TABLES}
    async with pool.transaction(org) as tx:
        for row in await tx.fetch("select type, id, body from resource where not deleted"):
            told = index_rows(row["type"], read_json(row["body"]))
            for table in TABLES:
                if rows := getattr(told, table):
                    found[table][row["id"]] |= rows
    return found


async def assert_index_is_right(pool: Pool, org: UUID) -> None:
    """Every row that there should be, none besides, and nothing left to do."""
    stored, expected = await stored_rows(pool, org), await expected_rows(pool, org)
    for table in TABLES:
        assert stored[table] == expected[table]
    async with pool.transaction(org) as tx:
        assert {row["indexed"] for row in await tx.fetch("select indexed from resource")} <= {RULES}
