"""Plans of the named queries, as a support bundle shows them."""

from typing import Any

from chartwire.store.plans import generic_plans
from chartwire.store.pool import Pool
from chartwire.store.queries import q


async def test_queries_have_their_plans_and_none_is_run(database: Any, pool: Pool) -> None:
    plans = await generic_plans(database.app_dsn)
    assert len(plans) > len(q) * 0.9
    assert any("$1" in line for line in plans["read_delivery"])
    assert "insert_source" in plans
    async with pool.connection() as connection:
        assert await connection.fetchval("select count(*) from route") == 0
