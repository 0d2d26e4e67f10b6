"""Who takes how much of the disk, and when it is full."""

from datetime import UTC, date, datetime, timedelta

import pytest
from tests.integration.api.fhir.bundles import a_patient
from tests.integration.api.hub import new_client, services_of
from tests.integration.store.test_retention import id_at

from chartwire.api.asgi import make_app
from chartwire.store import disk

TODAY = date(2026, 11, 20)
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
MESSAGE = """
insert into message (org_id, id, source_id, received_at, state, event, control_id, charset, body_bytes, mode)
select $1, i, $1, $3, 'processed', 'ADT^A01', 'C', 'utf-8', 100, 'live' from unnest($2::uuid[]) as i
"""


async def put(pool, org, count, *, moment=NOON):
    async with pool.transaction(org) as tx:
        await tx.execute(MESSAGE, org, [id_at(moment, number) for number in range(count)], moment)


async def grow(pool, sizes):
    """Days and their database sizes, as they would have been sampled."""
    async with pool.transaction(disk.INSTALLATION) as tx:
        for days_ago, size in sizes:
            day = TODAY - timedelta(days=days_ago)
            await tx.execute("insert into disk_sample values ($1, $2, 'database', 0, $3)", disk.INSTALLATION, day, size)


async def test_an_organisation_is_told_its_share_by_what_came_in(pool, org_id, other_org_id):
    await put(pool, org_id, 30)
    await put(pool, other_org_id, 10)
    await put(pool, org_id, 500, moment=NOON - timedelta(days=40))
    await disk.sample(pool, [org_id, other_org_id], TODAY)
    found = await disk.forecast(pool, [org_id, other_org_id], TODAY, None)
    mine, theirs = (found.by_organisation[org]["messages"] for org in (org_id, other_org_id))
    assert theirs > 0
    assert abs(mine - 3 * theirs) <= 3
    assert abs(mine + theirs - found.by_class["messages"]) <= 1
    assert found.total > sum(found.by_class.values()) > 0


async def test_who_writes_through_fhir_alone_is_told_what_record_and_index_take(pool, org_id, other_org_id):
    services = services_of(pool, None)
    client = await new_client(services, make_app(services), other_org_id)
    for number in range(3):
        assert (await client.post("/fhir/R4/Patient", a_patient(f"M-{number}"))).status == 201
    await put(pool, org_id, 30)
    today = datetime.now(UTC).date()
    await disk.sample(pool, [org_id, other_org_id], today)
    found = await disk.forecast(pool, [org_id, other_org_id], today, None)
    theirs = found.by_organisation[other_org_id]
    assert (theirs["record"], theirs["index"]) == (found.by_class["record"], found.by_class["index"])
    assert theirs["terminology"] == theirs["messages"] == 0
    assert found.by_class["terminology"] > 0


async def test_days_left_follow_from_growth_and_free_space(pool, org_id):
    await grow(pool, [(10, 1_000_000), (5, 3_000_000), (0, 6_000_000)])
    found = await disk.forecast(pool, [org_id], TODAY, 5_000_000)
    assert (found.growth, found.days_left) == (500_000.0, 10.0)


@pytest.mark.parametrize(
    ("sizes", "growth"), [([(0, 5_000_000)], None), ([(7, 5_000_000), (0, 4_300_000)], -100_000.0)]
)
async def test_without_growth_nothing_is_foretold(pool, org_id, sizes, growth):
    await grow(pool, sizes)
    found = await disk.forecast(pool, [org_id], TODAY, 5_000_000)
    assert (found.growth, found.days_left) == (growth, None)


async def test_a_sample_that_is_taken_again_replaces_the_first(pool, org_id):
    await put(pool, org_id, 3)
    for _ in range(2):
        await disk.sample(pool, [org_id], TODAY)
        await disk.sample_size(pool, TODAY)
    async with pool.transaction(org_id) as tx:
        rows = await tx.fetch("select class, rows, bytes from disk_sample")
    assert [tuple(row) for row in rows] == [("messages", 3, 300)]
    assert await disk.was_sampled(pool, TODAY)
