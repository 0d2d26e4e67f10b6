"""Plans of the named queries: what grows is reached by an index, whatever the values are, by either serving role."""

import contextlib

import asyncpg
from tests.conftest import Database

from chartwire.store.queries import q

# Who reads a whole table, and why that may be: it is small, or is read once in a while by a person.
READ_WHOLE = {
    "list_routes": {"route"},  # organisations and sources, every few seconds
    "lanes_by_standing": {"lane"},  # the support bundle
    "parked_for": {"credential"},  # the keys of this installation
    "server_load": {"pg_database"},
}


async def scanned(connection: asyncpg.Connection, sql: str) -> set[str]:
    """The tables that a query reads from end to end."""
    await connection.execute(f"prepare asked as {sql}")
    try:
        types = await connection.fetchval(
            "select parameter_types::text[] from pg_prepared_statements where name = 'asked'"
        )
        values = ", ".join(f"null::{name}" for name in types)
        plan = await connection.fetch(f"explain (costs off) execute asked{f'({values})' if types else ''}")
    finally:
        await connection.execute("deallocate asked")
    return {line.partition("Seq Scan on ")[2].split()[0] for (line,) in plan if "Seq Scan on " in line}


async def test_no_query_reads_a_table_that_grows_from_end_to_end(database: Database) -> None:
    found, asked = {}, set()
    for dsn in (database.app_dsn, database.engine_dsn):
        connection = await asyncpg.connect(dsn)
        await connection.execute("set plan_cache_mode = force_generic_plan")
        for name in q.keys() - asked:
            with contextlib.suppress(asyncpg.PostgresSyntaxError, asyncpg.InsufficientPrivilegeError):
                tables = await scanned(connection, q[name])
                asked.add(name)
                found.update({name: tables} if tables else {})
        await connection.close()
    assert found == READ_WHOLE
    assert len(asked) > 0.95 * len(q), "queries of neither serving role, and commands without a plan, are few"
