"""Every named query against the migrated schema."""

import asyncpg

from chartwire.store.queries import q


async def test_every_query_is_prepared_against_the_migrated_schema(database):
    connection = await asyncpg.connect(database.app_dsn)
    refused = {}
    for name, sql in q.items():
        try:
            await connection.prepare(sql)
        except asyncpg.PostgresError as error:
            refused[name] = str(error)
    await connection.close()
    assert refused == {}
    assert len(q) > 0
