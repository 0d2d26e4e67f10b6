"""Retention removes what is over its term and nothing else, says so, and never makes intake wait."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest

from chartwire.app import retention
from chartwire.app.daily import once_a_day
from chartwire.app.knobs import Settings
from chartwire.app.services import DatabaseAddress
from chartwire.channels.sources import Organisation
from chartwire.core.clock import now
from chartwire.core.errors import ConflictError
from chartwire.core.ids import uuid7_floor
from chartwire.store import disk
from chartwire.store.lint import problems_of
from chartwire.store.partitions import ensure_partitions
from chartwire.store.queries import q
from chartwire.store.retention import Removal, expired_at

NOW = datetime(2026, 11, 20, tzinfo=UTC)
OLD, RECENT = datetime(2026, 2, 10, tzinfo=UTC), datetime(2026, 10, 10, tzinfo=UTC)
TERMS = {"messages": 200, "dead_letters": 200, "raw": 200}
MESSAGE = """
insert into message (org_id, id, source_id, received_at, state, event, control_id, charset, body_bytes, mode)
values ($1, $2, $1, $3, $4, 'ADT^A01', 'C', 'utf-8', 9, 'live')
"""
BODY = "insert into message_body (org_id, id, class, raw) values ($1, $2, $3, 'some body')"


@pytest.fixture
async def months(database):
    """Partitions of the months that matter."""
    for month in (2, 10):
        await ensure_partitions(database.admin_dsn, datetime(2026, month, 1, tzinfo=UTC))


@pytest.fixture
def clinics(org_id, other_org_id):
    return [Organisation(org_id, "Lindenhof clinic", "live"), Organisation(other_org_id, "Harbour practice", "live")]


def id_at(moment: datetime, number: int = 0) -> UUID:
    return UUID(int=uuid7_floor(int(moment.timestamp() * 1000)).int + number)


async def put(pool, org, moment, *, count=1, state="processed", body="raw"):
    async with pool.transaction(org) as tx:
        for number in range(count):
            await tx.execute(MESSAGE, org, id_at(moment, number), moment, state)
            await tx.execute(BODY, org, id_at(moment, number), body)


async def held(pool, org, table="message_body"):
    """When what is left was made."""
    async with pool.transaction(org) as tx:
        rows = await tx.fetch(f"select id from {table} order by id")
    return [datetime.fromtimestamp((row["id"].int >> 80) / 1000, UTC) for row in rows]


async def partitions(database, parent):
    connection = await asyncpg.connect(database.admin_dsn)
    try:
        rows = await connection.fetch(
            "select inhrelid::regclass::text as n from pg_inherits where inhparent = $1::regclass", parent
        )
    finally:
        await connection.close()
    return {row["n"] for row in rows}


async def run(database, pool, clinics, terms=None, **options):
    return await retention.run(pool, database.admin_dsn, clinics, terms or TERMS, NOW, **options)


async def test_a_month_that_nobody_needs_goes_whole_and_each_organisation_is_told_what_it_held(
    database, pool, clinics, months
):
    first, second = (clinic.id for clinic in clinics)
    await put(pool, first, OLD, count=3)
    await put(pool, second, OLD)
    await put(pool, first, RECENT)
    report = await run(database, pool, clinics)
    assert {(one.org, one.data_class, one.rows) for one in report.removed if one.how == "partition"} == {
        (first, "raw", 3), (second, "raw", 1), (first, "messages", 3), (second, "messages", 1),
    }  # fmt: skip
    assert (await held(pool, first), await held(pool, second)) == ([RECENT], [])
    assert "message_body_raw_2026_02" not in await partitions(database, "message_body_raw")
    assert "message_2026_10" in await partitions(database, "message")
    assert await problems_of(database.admin_dsn) == []


def summary(removal):
    return removal.org, removal.data_class, removal.how, removal.rows


async def test_a_dry_run_tells_the_same_and_removes_nothing(database, pool, clinics, months):
    org = clinics[0].id
    await put(pool, org, OLD, count=2)
    await put(pool, org, RECENT)
    terms = TERMS | {"raw": 200}
    await retention.set_own_terms(pool, org, {"raw": 20})
    told = await run(database, pool, clinics, terms, dry_run=True)
    assert await held(pool, org) == [OLD, OLD, RECENT]
    done = await run(database, pool, clinics, terms)
    assert [summary(one) for one in told.removed] == [summary(one) for one in done.removed]
    assert (org, "raw", "rows", 1) in [summary(one) for one in done.removed]
    assert await held(pool, org) == []


async def test_an_organisation_with_a_shorter_term_loses_its_bodies_and_no_other_does(database, pool, clinics, months):
    first, second = (clinic.id for clinic in clinics)
    for org in (first, second):
        await put(pool, org, RECENT, count=2)
    await retention.set_own_terms(pool, first, {"raw": 20})
    report = await run(database, pool, clinics)
    assert report.removed == [Removal(first, "raw", "rows", NOW - timedelta(days=20), 2, 18)]
    assert (await held(pool, first), len(await held(pool, second))) == ([], 2)
    assert len(await held(pool, first, "message")) == 2


@pytest.mark.parametrize(("state", "body"), [("received", "raw"), ("held", "raw"), ("dead", "hold")])
async def test_what_waits_or_is_on_legal_hold_stays_and_keeps_its_month(database, pool, clinics, months, state, body):
    org = clinics[0].id
    await put(pool, org, OLD, state=state, body=body)
    await retention.set_own_terms(pool, org, {"raw": 1, "dead_letters": 1})
    report = await run(database, pool, clinics)
    assert report.removed == []
    assert {one.why for one in report.kept} == {
        "a legal hold is on it" if body == "hold" else "messages in it still wait"
    }
    assert (await held(pool, org), await held(pool, org, "message")) == ([OLD], [OLD])


async def test_dead_letters_are_kept_longer_than_other_bodies(database, pool, clinics, months):
    org = clinics[0].id
    await put(pool, org, OLD, state="dead", body="dead")
    await put(pool, org, OLD + timedelta(hours=1))
    await run(database, pool, clinics, {"raw": 100, "dead_letters": 365})
    assert await held(pool, org) == [OLD]


async def test_a_link_to_what_is_gone_can_say_since_when(database, pool, clinics, months):
    org = clinics[0].id
    await put(pool, org, OLD)
    await run(database, pool, clinics)
    gone = await expired_at(pool, org, "raw", OLD)
    assert gone is not None
    assert await expired_at(pool, org, "raw", RECENT) is None
    assert await expired_at(pool, org, "audit", OLD) is None


async def test_a_table_that_is_busy_is_left_for_the_next_run_and_writers_do_not_wait(database, pool, clinics, months):
    org = clinics[0].id
    await put(pool, org, OLD)
    async with pool.transaction(org) as reading:
        await reading.fetch("select 1 from message_body")
        running = asyncio.create_task(run(database, pool, clinics))
        written = 0
        while not running.done():
            await put(pool, org, RECENT + timedelta(seconds=written))
            written += 1
        report = await running
    assert {(one.month, one.why) for one in report.kept} >= {("message_body_raw_2026_02", "the table was in use")}
    assert written > 0
    assert OLD in await held(pool, org)
    await run(database, pool, clinics)
    assert OLD not in await held(pool, org)


async def test_the_removal_is_in_the_audit_of_the_organisation(database, pool, clinics, months):
    org = clinics[0].id
    await put(pool, org, OLD, count=2)
    await run(database, pool, clinics)
    async with pool.transaction(org) as tx:
        rows = await tx.fetch("select actor, action, row_count from audit")
    assert [tuple(row) for row in rows] == [("cli:retention", "expire", 4)]


async def test_a_held_month_keeps_what_is_held_and_nothing_else(database, pool, clinics, months):
    first, second = (clinic.id for clinic in clinics)
    await put(pool, first, OLD, state="dead", body="hold")
    for org in (first, second):
        await put(pool, org, OLD + timedelta(hours=1), state="dead", body="dead")
    report = await run(database, pool, clinics)
    assert [(one.month, one.why) for one in report.kept if "body" in one.month] == [
        ("message_body_dead_2026_02", "a legal hold is on it")
    ]
    assert (await held(pool, first), await held(pool, second)) == ([OLD], [])


async def test_a_dead_letter_that_is_retried_keeps_its_bytes_until_it_is_settled(database, pool, clinics, months):
    org = clinics[0].id
    await put(pool, org, OLD, state="received", body="dead")
    assert (await run(database, pool, clinics)).removed == []
    assert await held(pool, org) == [OLD]


async def test_what_comes_under_a_hold_while_its_month_is_about_to_go_keeps_it(database, pool, clinics, months):
    """The hold commits between the look at the month and the lock on it."""
    org = clinics[0].id
    await put(pool, org, OLD, state="dead", body="dead")
    async with pool.transaction(org) as tx:
        await tx.execute("update message_body set class = 'hold' where class = 'dead'")
        running = asyncio.create_task(run(database, pool, clinics))
        while not await tx.fetch("select 1 from pg_locks where not granted") and not running.done():
            await asyncio.sleep(0.01)
    report = await running
    assert await held(pool, org) == [OLD]
    assert [one for one in report.removed if one.data_class == "dead_letters"] == []


async def test_a_second_run_leaves_the_months_to_the_first(database, pool, clinics, months):
    connection = await asyncpg.connect(database.admin_dsn)
    try:
        assert await connection.fetchval(q.lock_months)
        with pytest.raises(ConflictError) as refused:
            await run(database, pool, clinics)
    finally:
        await connection.close()
    assert refused.value.code == "retention_running"
    await run(database, pool, clinics)


async def test_after_a_long_gap_retention_waits_a_day_since_the_clock_may_have_jumped(database, pool, clinics):
    org, today = clinics[0].id, now().date()
    await put(pool, org, now() - timedelta(days=200))
    address = DatabaseAddress(database.app_dsn, database.engine_dsn, database.admin_dsn)
    await sampled(pool, today - timedelta(days=30))
    await once_a_day(Settings(), address)
    assert len(await held(pool, org)) == 1
    await sampled(pool, today - timedelta(days=1))
    await once_a_day(Settings(), address)
    assert await held(pool, org) == []


async def sampled(pool, day):
    """As if the daily work was last done on this day."""
    async with pool.transaction(disk.INSTALLATION) as tx:
        await tx.execute("update disk_sample set day = $1 where day = (select max(day) from disk_sample)", day)
        await tx.execute(q.keep_sample, disk.INSTALLATION, day, "database", 0, 1)
