"""Hold and release: kept, in order, and going on by itself; under several workers."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from tests.integration.feed import Feed, hl7, pid

from chartwire.channels import halts, skipping, stuck
from chartwire.channels.replay import replay
from chartwire.channels.windows import HaltMode
from chartwire.core import clock
from chartwire.core.access import Access
from chartwire.core.errors import ConflictError, NotFoundError
from chartwire.core.ids import uuid7
from chartwire.events.lanes import Lanes
from chartwire.store.pool import Pool
from chartwire.store.queries import q


@pytest.fixture
async def feed(pool: Pool, engine_pool: Pool, org_id: UUID) -> Feed:
    return await Feed(pool, engine_pool, org_id).open()


@pytest.fixture
def access(org_id: UUID) -> Access:
    return Access(org_id, "key:operator", "HOPERAT", frozenset({"*"}))


async def begin(feed: Feed, access: Access, source_id: UUID | None = None, mode: HaltMode = "hold") -> None:
    async with feed.pool.transaction(access.org) as tx:
        await halts.begin(tx, access, source_id or feed.source.id, mode, "the laboratory changes its system")


async def release(feed: Feed, access: Access, source_id: UUID | None = None) -> None:
    async with feed.pool.transaction(access.org) as tx:
        await halts.end(tx, access, source_id or feed.source.id, "hold")
    await halts.keep_due_holds(feed.pool, feed.engine_pool)


def phone(number: int, mrn: str = "1001", at: str = "20260301120000") -> bytes:
    return hl7("ADT^A08", pid(mrn, f13=f"555-{number:04}"), at=at)


async def test_what_comes_during_a_hold_is_kept_shown_as_held_and_goes_on_in_order(feed: Feed, access: Access) -> None:
    await begin(feed, access)
    first = await feed.send(*(phone(number) for number in range(3)))
    later = await feed.send(*(phone(number) for number in range(3, 6)))
    assert await feed.states(*first, *later) == [("held", "source_on_hold")] * 6
    assert await feed.bodies("Patient") == []
    await release(feed, access)
    assert await feed.states(*first, *later) == [("received", None)] * 6
    await feed.work()
    assert await feed.states(*first, *later) == [("processed", None)] * 6
    assert (await feed.body("Patient"))["telecom"][0]["value"] == "555-0005"
    assert await feed.rows("select * from lane_hold") == []


async def test_a_long_lane_is_marked_in_steps_and_parked_at_the_end(feed: Feed, access: Access) -> None:
    await begin(feed, access)
    ids = await feed.send(*(phone(number) for number in range(1005)))
    assert set(await feed.states(*ids)) == {("held", "source_on_hold")}
    await release(feed, access)
    assert set(await feed.states(*ids)) == {("received", None)}


async def test_a_held_message_keeps_the_same_patient_s_messages_of_other_sources_behind_it(
    feed: Feed, access: Access
) -> None:
    free = await feed.other_source()
    await begin(feed, access)
    [held] = await feed.send(phone(1))
    [behind] = await feed.send(phone(2, at="20260302120000"), source=free)
    [beside] = await feed.send(phone(3, "2002"), source=free)
    assert await feed.states(held, behind, beside) == [
        ("held", "source_on_hold"), ("received", None), ("processed", None)]  # fmt: skip
    await release(feed, access)
    await feed.work()
    assert (await feed.body_of("1001"))["telecom"][0]["value"] == "555-0002"


async def test_a_hold_that_has_committed_lets_nothing_through_that_a_worker_has_loaded(
    feed: Feed, access: Access
) -> None:
    ids = await feed.store(phone(1), phone(2))
    lanes = Lanes(feed.engine_pool, "intake")
    [claim] = await lanes.claim()
    readings = await feed.path.read(feed.org, await feed.path.load(feed.org, [claim.lane_id], 10))
    await begin(feed, access)
    await feed.path.carry(feed.org, readings, [claim])
    assert await feed.bodies("Patient") == []
    await feed.work()
    assert await feed.states(*ids) == [("held", "source_on_hold")] * 2


async def test_holds_and_releases_at_any_moment_under_several_workers_lose_and_reorder_nothing(
    feed: Feed, access: Access
) -> None:
    dice = random.Random(20261120)
    other = await feed.other_source()
    second = Feed(feed.pool, feed.engine_pool, feed.org)
    second.sources = feed.sources
    second.path.sources = feed.path.sources
    sources = [feed.source, other]
    stop = asyncio.Event()
    workers = [asyncio.create_task(one.worker.run(stop)) for one in (feed, second)]
    order: dict[str, list[UUID]] = {}
    for _ in range(12):
        for source in sources:
            if dice.random() < 0.5:
                await begin(feed, access, source.id)
            else:
                await release(feed, access, source.id)
        for _ in range(4):
            mrns = [str(100 + dice.randrange(4)) for _ in range(5)]
            ids = await feed.store(*(phone(n, mrn) for n, mrn in enumerate(mrns)), source=dice.choice(sources))
            for mrn, message_id in zip(mrns, ids, strict=True):
                order.setdefault(mrn, []).append(message_id)
        await asyncio.sleep(dice.random() / 20)
    for source in sources:
        await release(feed, access, source.id)
    async with asyncio.timeout(60):
        while await feed.rows("select 1 from job"):
            await halts.keep_due_holds(feed.pool, feed.engine_pool)
            await asyncio.sleep(0.02)
    stop.set()
    await asyncio.gather(*workers)
    everything = [message_id for ids in order.values() for message_id in ids]
    assert await feed.states(*everything) == [("processed", None)] * len(everything)
    told = await feed.rows(
        "select message_id from (select id, version, message_id from resource_history where type = 'Patient'"
        " union all select id, version, message_id from resource where type = 'Patient') v order by id, version"
    )
    place = {message_id: number for ids in order.values() for number, message_id in enumerate(ids)}
    lane = {message_id: mrn for mrn, ids in order.items() for message_id in ids}
    by_lane: dict[str, list[int]] = {}
    for row in told:
        by_lane.setdefault(lane[row["message_id"]], []).append(place[row["message_id"]])
    assert all(places == sorted(places) for places in by_lane.values())


async def test_a_merge_behind_a_hold_runs_when_both_of_its_lanes_come_to_it(feed: Feed, access: Access) -> None:
    free = await feed.other_source()
    await feed.send(phone(1, "1001"), phone(1, "2002"))
    await begin(feed, access)
    await feed.send(phone(2, "2002"))
    await feed.send(hl7("ADT^A40", pid("1001"), "MRG|2002^^^HOSP^MR"), phone(3, "1001"), source=free)
    assert "patient.merged" not in await feed.events()
    await release(feed, access)
    await feed.work()
    assert (await feed.events()).count("patient.merged") == 1
    assert await feed.rows("select * from job") == []


async def test_a_merge_of_a_source_on_hold_waits_in_both_lanes(feed: Feed, access: Access) -> None:
    await feed.send(phone(1, "1001"), phone(1, "2002"))
    await begin(feed, access)
    await feed.send(hl7("ADT^A40", pid("1001"), "MRG|2002^^^HOSP^MR"))
    assert "patient.merged" not in await feed.events()
    await release(feed, access)
    await feed.work()
    assert (await feed.events()).count("patient.merged") == 1


async def test_a_released_source_goes_on_though_the_process_that_released_it_died(feed: Feed, access: Access) -> None:
    await begin(feed, access)
    [held] = await feed.send(phone(1))
    async with feed.pool.transaction(access.org) as tx:
        await halts.end(tx, access, feed.source.id, "hold")
    stop = asyncio.Event()
    rounds = asyncio.create_task(halts.keep_holds(feed.pool, feed.engine_pool, stop, every_s=0.01))
    async with asyncio.timeout(10):
        while await feed.states(held) == [("held", "source_on_hold")]:
            await asyncio.sleep(0.01)
    stop.set()
    await rounds
    await feed.work()
    assert await feed.states(held) == [("processed", None)]


async def test_a_source_of_another_organisation_cannot_be_held(feed: Feed, access: Access, other_org_id: UUID) -> None:
    stranger = Access(other_org_id, "key:stranger", "HOPERAT", frozenset({"*"}))
    with pytest.raises(NotFoundError):
        async with feed.pool.transaction(other_org_id) as tx:
            await halts.begin(tx, stranger, feed.source.id, "hold", "mischief")


async def test_the_head_of_a_stuck_lane_can_be_skipped_and_the_lane_goes_on(feed: Feed, access: Access) -> None:
    await begin(feed, access)
    [bad, good] = await feed.send(phone(1), phone(2))
    with pytest.raises(ConflictError, match="another message stands before it"):
        async with feed.pool.transaction(access.org) as tx:
            await skipping.skip(tx, access, good, "wrong one")
    async with feed.pool.transaction(access.org) as tx:
        await skipping.skip(tx, access, bad, "sent by mistake")
    [row] = await feed.rows("select state, error_code, error_text, decision from message where id = $1", bad)
    assert (row["state"], row["error_code"], row["error_text"]) == ("filtered", "skipped", "sent by mistake")
    assert "key:operator" in row["decision"]
    await release(feed, access)
    await feed.work()
    assert await feed.states(good) == [("processed", None)]


async def test_a_lane_that_moves_is_not_skipped(feed: Feed, access: Access) -> None:
    [waiting, done] = [*await feed.store(phone(1)), *await feed.store(phone(2, "2002"))]
    with pytest.raises(ConflictError, match="not stuck"):
        async with feed.pool.transaction(access.org) as tx:
            await skipping.skip(tx, access, waiting, "impatient")
    await feed.work()
    with pytest.raises(ConflictError, match="nothing to skip"):
        async with feed.pool.transaction(access.org) as tx:
            await skipping.skip(tx, access, done, "late")


async def test_a_skipped_merge_leaves_both_lanes(feed: Feed, access: Access) -> None:
    await feed.send(phone(1, "1001"), phone(1, "2002"))
    await begin(feed, access)
    [merge] = await feed.send(hl7("ADT^A40", pid("1001"), "MRG|2002^^^HOSP^MR"))
    later = await feed.send(phone(2, "1001"), phone(2, "2002"))
    async with feed.pool.transaction(access.org) as tx:
        await skipping.skip(tx, access, merge, "the wrong patients")
    await release(feed, access)
    await feed.work()
    assert await feed.states(merge, *later) == [("filtered", "skipped"), ("processed", None), ("processed", None)]


async def test_what_waits_is_told_with_its_reason(feed: Feed, access: Access) -> None:
    await begin(feed, access)
    [held] = await feed.send(phone(1))
    [due] = await feed.store(phone(2, "2002"), source=await feed.other_source())
    [retrying] = await feed.store(phone(3, "3003"), source=await feed.other_source())
    lanes = Lanes(feed.engine_pool, "intake")
    for claim in await lanes.claim():
        [job] = await feed.path.load(feed.org, [claim.lane_id], 1)
        await (lanes.back_off(claim) if job.message_id == retrying else lanes.give_back([claim]))
    queue = await stuck.queue_of(feed.pool, access)
    assert (queue.messages, queue.lanes) == (3, 3)
    reasons = {lane.head_message_id: lane.reason for lane in queue.heads}
    assert reasons == {held: "source_on_hold", due: "due", retrying: "retrying"}
    own = await stuck.queue_of(feed.pool, access, feed.source.id)
    assert [(lane.head_message_id, lane.held_by_source) for lane in own.heads] == [(held, feed.source.id)]


async def test_a_window_holds_its_source_and_lets_it_go_by_itself(
    feed: Feed, access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = datetime(2026, 11, 22, 1, 30, tzinfo=UTC)
    monkeypatch.setattr(clock, "now", lambda: at)
    async with feed.pool.transaction(access.org) as tx:
        span = (at + timedelta(minutes=30), at + timedelta(minutes=90))
        await tx.execute(q.write_window, access.org, uuid7(), None, "hold", *span, None, "update", "key:1", at)
        await halts.look_at(tx, access.org)
    states = []
    for minutes in (0, 45, 100):
        monkeypatch.setattr(clock, "now", lambda minutes=minutes: at + timedelta(minutes=minutes))
        await halts.keep_due_holds(feed.pool, feed.engine_pool)
        [sent] = await feed.send(phone(minutes))
        states += await feed.states(sent)
    assert states == [("processed", None), ("held", "source_on_hold"), ("processed", None)]
    assert (await feed.body("Patient"))["telecom"][0]["value"] == "555-0100"


async def test_the_end_of_a_window_ends_no_person_s_hold(
    feed: Feed, access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = clock.now()
    await begin(feed, access)
    async with feed.pool.transaction(access.org) as tx:
        await tx.execute(
            q.write_window, access.org, uuid7(), feed.source.id, "hold", at, at + timedelta(hours=1), None, "", "", at
        )
        await halts.look_at(tx, access.org)
    await halts.keep_due_holds(feed.pool, feed.engine_pool)
    async with feed.pool.transaction(access.org) as tx:
        assert len((await halts.standing_of(tx, access.org, feed.source.id)).halts) == 2
    monkeypatch.setattr(clock, "now", lambda: at + timedelta(hours=2))
    await halts.keep_due_holds(feed.pool, feed.engine_pool)
    [sent] = await feed.send(phone(1))
    assert await feed.states(sent) == [("held", "source_on_hold")]


async def test_a_replay_into_a_lane_on_hold_waits_in_it(feed: Feed, access: Access) -> None:
    [original] = await feed.send(phone(1))
    await begin(feed, access)
    child = await replay(feed.pool, access, original)
    await feed.work()
    assert await feed.states(child) == [("held", "source_on_hold")]
