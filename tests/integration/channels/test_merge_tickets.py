"""Merges and the directory, where two workers or two transactions meet."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

import pytest
from tests.integration.feed import Feed, hl7, pid

from chartwire.channels.one_by_one import OneByOne
from chartwire.channels.path import Path
from chartwire.channels.reading import Job, Reading
from chartwire.channels.replay import replay
from chartwire.core.access import Access
from chartwire.events.lanes import Lanes
from chartwire.store.pool import Pool
from chartwire.store.queries import q


@pytest.fixture
async def feed(pool: Pool, engine_pool: Pool, org_id: UUID) -> Feed:
    return await Feed(pool, engine_pool, org_id).open()


@dataclass(slots=True)
class _PathThatWaits(Path):
    """Stands still between loading a job and carrying it."""

    loaded: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def read(self, org: UUID, jobs: Iterable[Job]) -> list[Reading]:
        self.loaded.set()
        await self.go_on.wait()
        return await Path.read(self, org, jobs)


async def test_a_lane_whose_merge_was_carried_by_its_partner_is_given_back_at_once(feed: Feed) -> None:
    await feed.send(hl7("ADT^A04", pid("1001")), hl7("ADT^A04", pid("2002")))
    await feed.store(hl7("ADT^A40", pid("1001"), "MRG|2002^^^HOSP^MR"), hl7("ADT^A31", pid("2002", f13="555-0100")))
    lanes = Lanes(feed.engine_pool, "intake")
    first, second = await lanes.claim()
    path = _PathThatWaits(feed.pool, feed.path.mapper, feed.path.sources, "worker:slow")
    slow = asyncio.create_task(OneByOne(path, lanes).work(first))
    await path.loaded.wait()
    await OneByOne(feed.path, lanes).work(second)
    path.go_on.set()
    await slow
    rows = await feed.rows("select owner from lane where kind = 'intake'")
    assert [row["owner"] for row in rows] == [None, None]
    await feed.work()
    assert await feed.rows("select * from job") == []
    assert (await feed.events()).count("patient.merged") == 1


async def test_who_had_loaded_what_came_behind_a_merge_in_doubt_loses_it(feed: Feed) -> None:
    feed.change(hold_following="wait")
    await feed.send(hl7("ADT^A04", pid("1001")), hl7("ADT^A04", pid("2002")))
    doubtful = hl7("ADT^A40", pid("1001", name="Okafor^Chidi", born="19911130", sex="M"), "MRG|2002^^^HOSP^MR")
    behind = [hl7("ADT^A31", pid(number, f13="555-0100"), at="20260304") for number in ("1001", "2002")]
    [merge, *ids] = await feed.store(doubtful, *behind)
    lanes = Lanes(feed.engine_pool, "intake")
    first, second = await lanes.claim()
    path = _PathThatWaits(feed.pool, feed.path.mapper, feed.path.sources, "worker:slow")
    slow = asyncio.create_task(OneByOne(path, lanes).work(first))
    await path.loaded.wait()
    await OneByOne(feed.path, lanes).work(second)
    path.go_on.set()
    await slow
    assert await feed.states(merge) == [("held", "identifier_matches_another_person")]
    assert "processed" not in {state for state, _ in await feed.states(*ids)}


async def test_a_replayed_merge_waits_at_the_head_of_both_of_its_lanes_too(feed: Feed, org_id: UUID) -> None:
    await feed.send(hl7("ADT^A04", pid("1001")), hl7("ADT^A04", pid("2002")))
    [merge] = await feed.send(hl7("ADT^A40", pid("1001"), "MRG|2002^^^HOSP^MR"))
    child = await replay(feed.pool, Access(org_id, "key:test", "HOPERAT", frozenset({"*"})), merge)
    places = await feed.rows("select lane_id, ticket_lanes from job where message_id = $1", child)
    assert {place["lane_id"] for place in places} == set(places[0]["ticket_lanes"])
    assert len(places) == 2
    await feed.work()
    assert await feed.states(child) == [("processed", None)]
    assert (await feed.events()).count("patient.merged") == 1


async def test_every_live_event_of_the_directory_has_its_delivery(feed: Feed) -> None:
    [destination] = await feed.rows("select gen_random_uuid() as id")
    async with feed.pool.transaction(feed.org) as tx:
        await tx.execute(
            q.insert_destination, feed.org, destination["id"], "webhook", "all", "http://127.0.0.1:9/", ["*"], b"", "1"
        )
    await feed.send(hl7("ADT^A01", pid(), "PV1|1|I|W1^101^1^HOSP||||D7^Bauer^Eva||||||||||||V1^^^HOSP^VN"))
    assert {"location.created", "provider.created"} <= set(await feed.events())
    assert await feed.rows("select id from event where id not in (select event_id from delivery)") == []
    [lane] = await feed.rows("select ready_at < 'infinity' as ready from lane where lane_id = $1", destination["id"])
    assert lane["ready"]
