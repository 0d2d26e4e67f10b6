"""Connections and transactions: bound to one organisation, clean after every way out, back after the server died."""

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
from pathlib import Path
from uuid import UUID

import asyncpg
import orjson
import pytest

from chartwire.app.embedded import EmbeddedPostgres
from chartwire.core.errors import AuthError, ConflictError, TransientError, ValidationError
from chartwire.core.ids import uuid7
from chartwire.store.errors import StoreError
from chartwire.store.pool import Pool
from chartwire.store.queries import q

INSERT_SOURCE = "insert into source (org_id, id, name, settings) values ($1, $2, $3, '{}')"


async def drop_sessions_of_the_app(database):
    """End every session of chartwire_app in this database, as a restart of the server does."""
    admin = await asyncpg.connect(database.admin_dsn)
    await admin.fetch(
        "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'chartwire_app' and datname = $1",
        database.name,
    )
    await admin.close()


async def test_a_transaction_sees_its_own_organisation_and_no_other(pool, org_id, other_org_id):
    async with pool.transaction(org_id) as tx:
        rows = await tx.fetch("select org_id from organisation")
    assert [row["org_id"] for row in rows] == [org_id]


async def test_the_organisation_ends_with_the_transaction_on_the_same_connection(database, org_id):
    pool = Pool(database.app_dsn, size=1)
    async with pool.transaction(org_id) as tx:
        first = await tx.fetchval("select pg_backend_pid()")
    async with pool.connection() as connection:
        assert await connection.fetchval("select pg_backend_pid()") == first
        assert await connection.fetchval("select count(*) from organisation") == 0
    async with pool.transaction(None) as tx:
        assert await tx.fetchval("select count(*) from organisation") == 0
    await pool.close()


async def test_a_block_that_raises_leaves_no_rows(pool, org_id):
    with pytest.raises(RuntimeError, match="told"):
        async with pool.transaction(org_id) as tx:
            await tx.execute(INSERT_SOURCE, org_id, uuid7(), "feed")
            raise RuntimeError("told")
    async with pool.transaction(org_id) as tx:
        assert await tx.fetchval("select count(*) from source") == 0


async def test_a_cancelled_statement_gives_its_connection_back_clean(database, org_id):
    pool = Pool(database.app_dsn, size=1)

    async def wait_in_the_database():
        async with pool.transaction(org_id) as tx:
            await tx.execute(INSERT_SOURCE, org_id, uuid7(), "feed")
            await tx.execute("select pg_sleep(30)")

    task = asyncio.create_task(wait_in_the_database())
    await asyncio.sleep(0.2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(5), pool.transaction(org_id) as tx:
        assert await tx.fetchval("select count(*) from source") == 0
    assert pool.lent == 0
    await pool.close()


@pytest.mark.parametrize("awaits", range(1, 9))
async def test_cancelling_at_any_await_keeps_every_connection_usable(database, org_id, awaits):
    pool = Pool(database.app_dsn, size=1)

    async def use():
        async with pool.transaction(org_id) as tx:
            await tx.fetchval("select 1")
            await tx.fetchval("select 2")

    task = asyncio.create_task(use())
    for _ in range(awaits):
        await asyncio.sleep(0)
    await asyncio.sleep(0.0005 * awaits)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    async with asyncio.timeout(5), pool.transaction(org_id) as tx:
        assert await tx.fetchval("select 3") == 3
    assert pool.lent == 0
    await pool.close()


async def test_the_connection_returned_last_is_lent_first(database):
    pool = Pool(database.app_dsn, size=3)
    async with pool.connection() as one, pool.connection() as two:
        pids = [await one.fetchval("select pg_backend_pid()"), await two.fetchval("select pg_backend_pid()")]
    async with pool.connection() as again:
        assert await again.fetchval("select pg_backend_pid()") == pids[0]
    await pool.close()


async def test_waiters_are_served_in_the_order_they_came(database):
    pool = Pool(database.app_dsn, size=1)
    served = []

    async def borrow(number):
        async with pool.connection() as connection:
            await connection.fetchval("select 1")
            served.append(number)

    async with pool.connection():
        tasks = []
        for number in range(10):
            tasks.append(asyncio.create_task(borrow(number)))
            await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    assert served == list(range(10))
    await pool.close()


async def test_no_more_than_its_size_is_ever_connected(database):
    pool = Pool(database.app_dsn, size=3)
    seen = set()

    async def borrow():
        async with pool.connection() as connection:
            seen.add(await connection.fetchval("select pg_backend_pid()"))

    await asyncio.gather(*(borrow() for _ in range(40)))
    assert len(seen) <= 3
    await pool.close()


async def test_a_full_pool_tells_so_after_its_timeout_and_serves_again(database):
    pool = Pool(database.app_dsn, size=1, acquire_timeout_s=0.1)
    async with pool.connection():
        with pytest.raises(TransientError) as refusal:
            async with pool.connection():
                pass
    assert refusal.value.code == "pool_exhausted"
    async with pool.connection() as connection:
        assert await connection.fetchval("select 1") == 1
    await pool.close()


async def test_borrowing_works_again_after_the_server_dropped_every_connection(database):
    pool = Pool(database.app_dsn, size=2)
    async with pool.connection() as connection:
        await connection.fetchval("select 1")
    await drop_sessions_of_the_app(database)
    await asyncio.sleep(0.1)
    async with pool.connection() as connection:
        assert await connection.fetchval("select 1") == 1
    await pool.close()


async def test_a_connection_lost_in_a_transaction_is_a_transient_error(database, org_id):
    pool = Pool(database.app_dsn, size=1)
    with pytest.raises(TransientError):
        async with pool.transaction(org_id) as tx:
            await tx.fetchval("select 1")
            await drop_sessions_of_the_app(database)
            await tx.fetchval("select 1")
    async with pool.transaction(org_id) as tx:
        assert await tx.fetchval("select 1") == 1
    await pool.close()


async def test_a_connection_lost_at_commit_is_an_unknown_outcome(database, org_id):
    pool = Pool(database.app_dsn, size=1)
    with pytest.raises(TransientError) as failure:
        async with pool.transaction(org_id) as tx:
            await tx.execute(INSERT_SOURCE, org_id, uuid7(), "feed")
            await drop_sessions_of_the_app(database)
    assert failure.value.code == "commit_unknown"
    await pool.close()


async def test_a_swallowed_error_does_not_pass_for_a_commit(pool, org_id):
    with pytest.raises(TransientError) as failure:
        async with pool.transaction(org_id) as tx:
            await tx.execute(INSERT_SOURCE, org_id, uuid7(), "feed")
            with pytest.raises(StoreError):
                await tx.execute("select no_such_column")
    assert failure.value.code == "transaction_aborted"


async def test_a_server_that_is_away_is_a_transient_error_at_once(tmp_path):
    pool = Pool(f"postgresql://chartwire_app:x@/none?host={tmp_path}", size=1)
    for _ in range(3):
        with pytest.raises(TransientError) as failure:
            async with pool.connection():
                pass
        assert failure.value.code == "database_unreachable"
    assert pool.lent == 0
    await pool.close()


@pytest.fixture
def own_server():
    """A server of this test alone, which it may kill."""
    directory = Path(tempfile.mkdtemp(prefix="cw-"))
    directory.chmod(0o711)
    server = EmbeddedPostgres(directory / "pg")
    server.start()
    yield server
    server.remove()
    shutil.rmtree(directory)


async def answer_or_none(pool):
    """What the pool reads now; None while the server is away."""
    await asyncio.sleep(0.02)
    with contextlib.suppress(TransientError):
        async with pool.connection() as connection:
            return await connection.fetchval("select n from kept")


async def test_a_pool_outlives_the_death_of_its_server(own_server):
    pool = Pool(own_server.dsn(), size=2)
    async with pool.connection() as connection:
        await connection.execute("create table kept as select 42 as n")
    async with asyncio.timeout(60):
        os.kill(own_server.pid, signal.SIGKILL)
        while await answer_or_none(pool) is not None:
            pass
        own_server.stop()
        own_server.start()
        while await answer_or_none(pool) is None:
            pass
    assert await answer_or_none(pool) == 42
    assert pool.lent == 0
    await pool.close()


async def test_errors_say_what_to_do_and_never_carry_a_value(pool, org_id):
    canary = "CANARY-4711"
    source = uuid7()
    statements = [
        (ConflictError, INSERT_SOURCE, (org_id, source, canary)),
        (ValidationError, "select $1::text::uuid", (canary,)),
        (ValidationError, "select $1::integer", (canary,)),
        (ValidationError, "select $1::text", (f"{canary}\0",)),
        (AuthError, INSERT_SOURCE, (uuid7(), uuid7(), canary)),
    ]
    async with pool.transaction(org_id) as tx:
        await tx.execute(INSERT_SOURCE, org_id, source, canary)
    for kind, sql, args in statements:
        with pytest.raises(kind) as failure:
            async with pool.transaction(org_id) as tx:
                await tx.execute(sql, *args)
        assert canary not in str(failure.value)
        assert failure.value.__suppress_context__


async def test_values_come_back_as_the_standard_types(pool):
    key = uuid7()
    async with pool.connection() as connection:
        row = await connection.fetchrow(
            "select $1::uuid as one, $2::uuid[] as many, $3::bytea as raw, $4::json as doc, $5::jsonb as docb, "
            "null::uuid as none",
            key,
            [key, None],
            b"\x00\xff",
            '{"a": 1.10}',
            '{"a": 1}',
        )
    assert (type(row["one"]), row["one"], row["many"]) == (UUID, key, [key, None])
    assert (row["raw"], row["doc"], row["docb"], row["none"]) == (b"\x00\xff", '{"a": 1.10}', '{"a": 1}', None)
    assert orjson.dumps(row["one"]) == orjson.dumps(key)


async def test_a_query_is_called_by_its_name(pool, org_id):
    async with pool.transaction(org_id) as tx:
        assert await tx.fetch("enabled_destinations", org_id) == []


async def test_a_wrong_password_is_an_auth_error(database):
    pool = Pool(database.app_dsn.replace("app-of-the-tests", "wrong"), size=1)
    with pytest.raises(AuthError):
        await pool.open()
    await pool.close()


async def test_a_closed_pool_lends_nothing_and_frees_its_waiters(database):
    pool = Pool(database.app_dsn, size=1)
    async with pool.connection():
        waiting = asyncio.create_task(pool.open())
        await asyncio.sleep(0)
        await pool.close()
        with pytest.raises(TransientError) as failure:
            await waiting
    assert failure.value.code == "pool_closed"
    with pytest.raises(TransientError):
        await pool.open()
    assert pool.lent == 0


async def test_serving_roles_bound_every_statement_and_idle_transaction(pool, engine_pool):
    for each in (pool, engine_pool):
        async with each.connection() as connection:
            for setting in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
                assert await connection.fetchval("select current_setting($1)", setting) not in ("0", "")


async def test_a_client_that_stands_still_in_the_middle_of_a_statement_loses_its_row_locks(database, pool, org_id):
    """The driver flushes after Parse: to the server that session is active, and none of its timeouts ends it."""
    standing = Pool(database.app_dsn, size=1)
    source = uuid7()
    async with pool.transaction(org_id) as tx:
        await tx.execute(INSERT_SOURCE, org_id, source, "feed")
    async with standing.connection() as holder, pool.connection() as watcher:
        await holder.execute(f"begin; set local chartwire.org_id = '{org_id}'")
        await holder.fetch("select 1 from source where id = $1 for update", source)
        await holder.raw.prepare("select 'stands still'")
        assert await watcher.fetchval(q.end_standing_sessions, 60.0) == 0
        assert await watcher.fetchval(q.end_standing_sessions, 0.0) == 1
    async with pool.transaction(org_id) as tx:
        await tx.fetch("select 1 from source where id = $1 for update", source)
    await standing.close()
