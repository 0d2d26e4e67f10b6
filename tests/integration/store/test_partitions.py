"""Partitions are there before their month, once, and take in what fell into the default before."""

from datetime import UTC, datetime

import asyncpg
import pytest

from chartwire.core.ids import uuid7_floor
from chartwire.store.lint import problems_of
from chartwire.store.partitions import MONTHS_AHEAD, ensure_partitions

INSERT_MESSAGE = (
    "insert into message (org_id, id, source_id, received_at, state, event, control_id, charset, body_bytes, mode)"
    " values ($1, $2, $2, now(), 'received', 'ADT^A01', 'C1', 'UTF-8', 1, 'live')"
)
PARENTS = {
    "message",
    "message_body_raw",
    "message_body_dead",
    "event",
    "delivery",
    "delivery_attempt",
    "audit",
}
FAR = datetime(2031, 12, 15, tzinfo=UTC)


@pytest.fixture
async def admin(database):
    connection = await asyncpg.connect(database.admin_dsn)
    yield connection
    await connection.close()


async def partition_of(admin, message):
    return await admin.fetchval("select tableoid::regclass::text from message where id = $1", message)


def message_of(moment):
    return uuid7_floor(int(moment.timestamp() * 1000))


async def test_a_migrated_database_has_partitions_for_now_and_the_next_months(database, admin):
    assert await ensure_partitions(database.admin_dsn, datetime.now(UTC)) == []


async def test_every_range_partitioned_table_gets_every_month_once(database):
    made = await ensure_partitions(database.admin_dsn, FAR)
    expected = {f"{parent}_{month}" for parent in PARENTS for month in ("2031_12", "2032_01", "2032_02")}
    assert set(made) >= expected
    assert len(made) == len(set(made))
    assert await ensure_partitions(database.admin_dsn, FAR) == []
    assert len(expected) == len(PARENTS) * (MONTHS_AHEAD + 1)


async def test_a_row_without_a_month_waits_in_the_default_and_moves_when_its_month_is_made(
    database, admin, pool, org_id
):
    message = message_of(FAR)
    async with pool.transaction(org_id) as tx:
        await tx.execute(INSERT_MESSAGE, org_id, message)
    assert await partition_of(admin, message) == "message_default"
    await ensure_partitions(database.admin_dsn, FAR)
    assert await partition_of(admin, message) == "message_2031_12"
    async with pool.transaction(org_id) as tx:
        assert await tx.fetchval("select id from message where id = $1", message) == message


async def test_new_partitions_take_rows_keep_the_keys_and_pass_the_lint(database, admin, pool, org_id):
    await ensure_partitions(database.admin_dsn, FAR)
    for moment in (FAR, datetime(2032, 1, 1, tzinfo=UTC), datetime(2032, 2, 29, 23, 59, tzinfo=UTC)):
        async with pool.transaction(org_id) as tx:
            await tx.execute(INSERT_MESSAGE, org_id, message_of(moment))
        assert await partition_of(admin, message_of(moment)) == f"message_{moment:%Y_%m}"
    indexes = "select count(*) from pg_index where indrelid = $1::regclass"
    assert await admin.fetchval(indexes, "message_2031_12") == await admin.fetchval(indexes, "message")
    assert await admin.fetchval("select relowner::regrole::text from pg_class where relname = 'message_2031_12'") == (
        "chartwire_owner"
    )
    assert await problems_of(database.admin_dsn) == []
