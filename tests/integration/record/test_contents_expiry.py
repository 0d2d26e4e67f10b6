"""Contents that nothing shows any more go; one that a message is about to show again stays or comes back."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from tests.integration.feed import Feed, hl7, pid
from tests.integration.record.test_documents import PDF, contents, ed, txa

from chartwire.core.clock import now
from chartwire.store.queries import q
from chartwire.store.retention import remove_rows

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
async def forgotten(feed: Feed) -> Feed:
    """A content that was stored long ago and that nothing shows."""
    await feed.send(hl7("MDM^T02", pid(), txa("D1"), ed()))
    await feed.rows("update content set created_at = $1", LONG_AGO)
    await feed.rows("delete from content_link")
    return feed


async def expire(feed: Feed) -> int:
    removal = await remove_rows(feed.pool, feed.org, "contents", now() - timedelta(days=30), dry_run=False)
    return removal.rows


async def dangling(feed: Feed) -> list[dict[str, object]]:
    """Links to contents that are not there."""
    return await feed.rows("select content_id from content_link where content_id not in (select id from content)")


async def test_a_content_that_nothing_shows_goes_and_one_that_is_shown_stays(forgotten: Feed) -> None:
    await forgotten.send(hl7("MDM^T02", pid(), txa("D2"), ed(PDF + b"other")))
    await forgotten.rows("update content set created_at = $1", LONG_AGO)
    assert await expire(forgotten) == 1
    assert [one["data"] for one in await contents(forgotten)] == [PDF + b"other"]
    assert await expire(forgotten) == 0


async def test_a_content_that_came_today_stays_until_its_term(forgotten: Feed) -> None:
    await forgotten.rows("update content set created_at = now()")
    assert await expire(forgotten) == 0


async def test_a_message_that_is_about_to_show_a_content_keeps_it(forgotten: Feed) -> None:
    async with forgotten.pool.transaction(forgotten.org) as tx:
        [content] = await tx.fetch(q.known_contents, forgotten.org, [(await contents(forgotten))[0]["id"]])
        assert await expire(forgotten) == 0
        await tx.execute(q.insert_content_links, forgotten.org, [content["id"]], ["DocumentReference"], [content["id"]])
    assert await expire(forgotten) == 0
    assert await dangling(forgotten) == []


async def test_a_message_that_comes_while_its_content_goes_stores_it_anew(forgotten: Feed) -> None:
    async with forgotten.pool.transaction(forgotten.org) as tx:
        gone = await tx.fetchrow(q.expire_contents, forgotten.org, now(), 10)
        sending = asyncio.create_task(forgotten.send(hl7("MDM^T02", pid(), txa("D2"), ed())))
        await until_somebody_waits(forgotten)
    await sending
    assert gone["rows"] == 1
    assert [one["data"] for one in await contents(forgotten)] == [PDF]
    assert await dangling(forgotten) == []


async def until_somebody_waits(feed: Feed) -> None:
    async with asyncio.timeout(20):
        while not await feed.rows("select 1 from pg_locks where not granted"):
            await asyncio.sleep(0.02)
