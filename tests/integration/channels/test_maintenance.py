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
