"""Wake-ups: coalesced, outside the data's transaction, back after a break."""

import asyncio

import asyncpg
import pytest

from chartwire.store.wakeup import Listener, Notifier


@pytest.fixture
async def heard(database):
    """A listener on `work` and an event that it sets, first for its connect."""
    event = asyncio.Event()
    listener = Listener(database.app_dsn, "work", event.set)
    listener.start()
    await asyncio.wait_for(event.wait(), 5)
    event.clear()
    yield event
    await listener.close()


@pytest.fixture
async def notifier(database):
    fresh = Notifier(database.app_dsn)
    fresh.start()
    yield fresh
    await fresh.close()


async def end_sessions(database):
    admin = await asyncpg.connect(database.admin_dsn)
    await admin.fetch(
        "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'chartwire_app' and datname = $1",
        database.name,
    )
    await admin.close()


async def test_a_listener_is_woken_by_a_notifier(heard, notifier):
    notifier.notify("work")
    await asyncio.wait_for(heard.wait(), 5)


async def test_a_listener_does_not_wake_for_another_channel(heard, notifier):
    notifier.notify("other")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(heard.wait(), 0.3)


async def test_many_requests_become_few_wake_ups_and_the_last_is_never_lost(database, notifier):
    calls = []
    listener = Listener(database.app_dsn, "work", lambda: calls.append(1))
    listener.start()
    while not calls:
        await asyncio.sleep(0.01)
    for _ in range(50):
        for _ in range(20):
            notifier.notify("work")
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.3)
    assert 2 <= len(calls) <= 60
    before = len(calls)
    notifier.notify("work")
    await asyncio.sleep(0.3)
    assert len(calls) == before + 1
    await listener.close()


async def test_wake_ups_come_again_after_the_server_dropped_both_connections(database, heard, notifier):
    await end_sessions(database)
    await asyncio.wait_for(heard.wait(), 5)
    heard.clear()
    notifier.notify("work")
    await asyncio.wait_for(heard.wait(), 5)
