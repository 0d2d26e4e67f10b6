"""What is done now and then."""

import asyncio
from uuid import UUID

from tests.integration.feed import Feed, hl7, pid

from chartwire.channels.maintenance import keep_in_order
from chartwire.store.pool import Pool


async def test_resend_keys_are_forgotten_after_their_window_and_not_before(
    pool: Pool, engine_pool: Pool, org_id: UUID
) -> None:
    feed = await Feed(pool, engine_pool, org_id).open()
    old, young = await feed.store(hl7("ADT^A04", pid("1001")), hl7("ADT^A04", pid("1002")))
    await feed.rows(
        "update intake_key set received_at = now() - interval '31 days' where message_id = $1 returning 1", old
    )
    stop = asyncio.Event()
    rounds = asyncio.create_task(keep_in_order(pool, engine_pool, stop, every_s=0.01))
    async with asyncio.timeout(10):
        while len(rows := await feed.rows("select message_id from intake_key")) > 1:
            await asyncio.sleep(0.01)
    stop.set()
    await rounds
    assert [row["message_id"] for row in rows] == [young]


async def test_answers_kept_for_a_retry_go_when_their_time_is_over(pool: Pool, engine_pool: Pool, org_id: UUID) -> None:
    feed = await Feed(pool, engine_pool, org_id).open()
    for name, hours in ((b"old", -1), (b"young", 1)):
        await feed.rows(
            "insert into idempotency_key (org_id, scope_hash, fingerprint, answer, expires_at)"
            " values ($1, $2, '', '', now() + make_interval(hours => $3)) returning 1", org_id, name, hours,
        )  # fmt: skip
    stop = asyncio.Event()
    rounds = asyncio.create_task(keep_in_order(pool, engine_pool, stop, every_s=0.01))
    async with asyncio.timeout(10):
        while len(rows := await feed.rows("select scope_hash from idempotency_key")) > 1:
            await asyncio.sleep(0.01)
    stop.set()
    await rounds
    assert [row["scope_hash"] for row in rows] == [b"young"]
