"""Lanes, dead letters, redo and replay through the real worker."""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from tests.integration.feed import Feed, hl7, pid

from chartwire.channels.one_by_one import OneByOne
from chartwire.channels.path import Path
from chartwire.channels.reading import Job
from chartwire.channels.replay import replay
from chartwire.channels.worker import IntakeWorker
from chartwire.core.access import Access
from chartwire.core.errors import NotFoundError
from chartwire.core.ids import uuid7
from chartwire.core.limits import LANE_ATTEMPTS_MAX
from chartwire.events.lanes import Claim, Lanes, StaleLeaseError, release
from chartwire.store.pool import Pool


@pytest.fixture
async def feed(pool: Pool, engine_pool: Pool, org_id: UUID) -> Feed:
    return await Feed(pool, engine_pool, org_id).open()


async def lanes_of(feed: Feed) -> Lanes:
    return Lanes(feed.engine_pool, "intake")


async def test_a_bad_message_becomes_a_dead_letter_and_its_lane_goes_on(feed: Feed) -> None:
    bad = hl7("ADT^A04", pid(), control_id="BAD").replace(b"PID|", b"Pi|", 1)
    ids = await feed.send(hl7("ADT^A04", pid()), bad, hl7("ADT^A08", pid(f13="555-0100"), at="20260302"))
    states = await feed.states(*ids)
    assert [state for state, _ in states] == ["processed", "dead", "processed"]
    assert (await feed.body("Patient"))["telecom"][0]["value"] == "555-0100"


async def test_one_message_that_breaks_a_batch_is_found_and_the_others_are_carried(
    feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    from chartwire.channels import path

    honest = path.save

    async def breaks_on_one(work, conversion, context, directory):
        if conversion.control_id == "BREAKS":
            raise RuntimeError("a fault in Chartwire")
        return await honest(work, conversion, context, directory)

    monkeypatch.setattr(path, "save", breaks_on_one)
    messages = [hl7("ADT^A04", pid(str(100 + number)), control_id=f"M{number}") for number in range(8)]
    messages[3] = hl7("ADT^A04", pid("103"), control_id="BREAKS")
    ids = await feed.send(*messages)
    states = await feed.states(*ids)
    assert states.pop(3) == ("dead", "internal_error")
    assert states == [("processed", None)] * 7


async def test_lanes_keep_the_order_of_arrival(feed: Feed) -> None:
    messages = [hl7("ADT^A08", pid(f13=f"555-{number:04}")) for number in range(45)]
    await feed.send(*messages)
    assert (await feed.body("Patient"))["telecom"][0]["value"] == "555-0044"
    rows = await feed.rows("select version from resource_history where type = 'Patient' order by version")
    assert [row["version"] for row in rows] == list(range(1, 45))


async def test_a_worker_that_lost_its_lane_writes_nothing(feed: Feed) -> None:
    await feed.store(hl7("ADT^A04", pid()))
    first, second = await lanes_of(feed), await lanes_of(feed)
    [stale] = await first.claim()
    async with feed.engine_pool.connection() as connection:
        await connection.execute("update lane set lease_until = now() - interval '1 s'")
    assert (await second.claim_suspect()) is not None
    with pytest.raises(StaleLeaseError):
        async with feed.pool.transaction(feed.org) as tx:
            await release(tx, [stale])
    readings = await feed.path.read(feed.org, await feed.path.load(feed.org, [stale.lane_id], 10))
    with pytest.raises(StaleLeaseError):
        await feed.path.carry(feed.org, readings, [stale])
    assert await feed.bodies("Patient") == []


async def test_the_lanes_of_a_dead_owner_are_freed_without_waiting_for_the_lease(feed: Feed) -> None:
    await feed.store(hl7("ADT^A04", pid()))
    dead = await lanes_of(feed)
    assert len(await dead.claim()) == 1
    alive = await lanes_of(feed)
    assert await alive.claim_suspect() is None
    assert await alive.free_lanes_of_the_dead() == 1
    assert await alive.claim_suspect() is not None


async def test_the_lanes_of_a_living_owner_are_left_to_it(feed: Feed) -> None:
    await feed.store(hl7("ADT^A04", pid()))
    owner, other = await lanes_of(feed), await lanes_of(feed)
    async with owner.alive():
        await owner.claim()
        assert await other.free_lanes_of_the_dead() == 0


async def test_a_message_that_kills_its_worker_each_time_ends_as_a_dead_letter(feed: Feed) -> None:
    [deadly, good] = await feed.store(hl7("ADT^A04", pid()), hl7("ADT^A08", pid(f13="555-0100"), at="20260302"))
    for _ in range(LANE_ATTEMPTS_MAX):
        worker = await lanes_of(feed)
        assert await worker.claim() or await worker.claim_suspect()
        await (await lanes_of(feed)).free_lanes_of_the_dead()
    await feed.work()
    assert await feed.states(deadly, good) == [("dead", "attempts_exhausted"), ("processed", None)]


async def test_a_message_that_comes_while_its_lane_is_worked_is_not_forgotten(feed: Feed) -> None:
    await feed.store(hl7("ADT^A04", pid()))
    lanes = await lanes_of(feed)
    [claim] = await lanes.claim()
    readings = await feed.path.read(feed.org, await feed.path.load(feed.org, [claim.lane_id], 10))
    [late] = await feed.store(hl7("ADT^A08", pid(f13="555-0100"), at="20260302"))
    await feed.path.carry(feed.org, readings, [claim])
    await feed.work()
    assert await feed.states(late) == [("processed", None)]


async def test_a_transient_failure_holds_only_its_own_lane(feed: Feed) -> None:
    ids = await feed.store(hl7("ADT^A04", pid("1")), hl7("ADT^A04", pid("2")))
    lanes = await lanes_of(feed)
    claims = await lanes.claim()
    held: Claim = claims[0]
    await lanes.back_off(held)
    await lanes.give_back(claims[1:])
    await feed.work()
    states = [state for state, _ in await feed.states(*ids)]
    assert sorted(states) == ["processed", "received"]


async def test_a_replay_is_a_child_that_tells_nobody(feed: Feed) -> None:
    [original] = await feed.send(hl7("ADT^A04", pid()))
    await feed.rows("delete from search_value returning 1")
    access = Access(feed.org, "key:test", "HOPERAT", frozenset({"*"}))
    child = await replay(feed.pool, access, original)
    await feed.work()
    assert await feed.states(child) == [("processed", None)]
    [row] = await feed.rows("select parent_id, mode from message where id = $1", child)
    assert (row["parent_id"], row["mode"]) == (original, "record-only")
    assert (await feed.body("Patient"))["meta"]["versionId"] == "1"
    with pytest.raises(NotFoundError):
        await replay(feed.pool, access, uuid7())


async def test_two_workers_do_each_message_once(feed: Feed) -> None:
    messages = [hl7("ADT^A08", pid(str(100 + number % 20), f13=f"555-{number:04}")) for number in range(200)]
    await feed.store(*messages)
    other = Feed(feed.pool, feed.engine_pool, feed.org)
    other.sources.update(feed.sources)
    await asyncio.gather(feed.work(), other.work())
    rows = await feed.rows("select version from resource where type = 'Patient'")
    assert sorted(row["version"] for row in rows) == [10] * 20


async def test_one_by_one_work_carries_a_lane_to_its_end(feed: Feed) -> None:
    await feed.store(*(hl7("ADT^A08", pid(f13=f"555-{number:04}")) for number in range(6)))
    lanes = await lanes_of(feed)
    await OneByOne(feed.path, lanes).work_all(await lanes.claim())
    assert (await feed.body("Patient"))["meta"]["versionId"] == "6"
    assert await feed.rows("select * from job") == []


class _PathThatCounts(Path):
    """Tells how many lanes were in work one by one at the same time."""

    at_once = 0
    most = 0

    async def load(self, org: UUID, lane_ids: Sequence[UUID], jobs_per_lane: int) -> list[Job]:
        cls = _PathThatCounts
        cls.at_once += 1
        cls.most = max(cls.most, cls.at_once)
        await asyncio.sleep(0.05)
        cls.at_once -= 1
        return await Path.load(self, org, lane_ids, jobs_per_lane)


async def test_suspects_are_worked_one_at_a_time_so_that_a_deadly_one_takes_no_other_along(feed: Feed) -> None:
    ids = await feed.store(*(hl7("ADT^A04", pid(str(number))) for number in range(1, 5)))
    await (await lanes_of(feed)).claim()
    await (await lanes_of(feed)).free_lanes_of_the_dead()
    path = _PathThatCounts(feed.pool, feed.path.mapper, feed.path.sources, "worker:counts")
    feed.worker = IntakeWorker(path, feed.engine_pool, turns=3)
    await feed.work()
    assert _PathThatCounts.most == 1
    assert await feed.states(*ids) == [("processed", None)] * 4


async def test_a_worker_whose_session_is_lost_is_not_taken_for_dead_for_long(feed: Feed, database: Any) -> None:
    stop = asyncio.Event()
    task = asyncio.create_task(feed.worker.run(stop))
    holder = "select pid from pg_locks where locktype = 'advisory' and granted"
    try:
        async with asyncio.timeout(20), feed.engine_pool.connection() as connection:
            while not (first := await connection.fetchval(holder)):
                await asyncio.sleep(0.05)
            admin = await asyncpg.connect(database.admin_dsn)
            await admin.execute("select pg_terminate_backend($1)", first)
            await admin.close()
            while (await connection.fetchval(holder)) in (None, first):
                await asyncio.sleep(0.05)
    finally:
        stop.set()
        await task


async def test_a_job_whose_bytes_are_gone_ends_as_a_dead_letter_and_its_lane_goes_on(feed: Feed) -> None:
    [gone, good] = await feed.store(hl7("ADT^A04", pid()), hl7("ADT^A08", pid(f13="555-0100"), at="20260302"))
    await feed.rows("delete from message_body where id = $1 returning 1", gone)
    await feed.work()
    assert [state for state, _ in await feed.states(gone, good)] == ["dead", "processed"]
    assert await feed.rows("select * from job") == []


async def test_a_message_of_a_source_that_this_worker_has_not_read_yet_waits_for_it(feed: Feed) -> None:
    known = dict(feed.sources)
    feed.sources.clear()
    [early] = await feed.send(hl7("ADT^A04", pid()))
    assert await feed.states(early) == [("received", None)]
    feed.sources.update(known)
    async with feed.engine_pool.connection() as connection:
        await connection.execute("update lane set not_before = '-infinity'")
    await feed.work()
    assert await feed.states(early) == [("processed", None)]


@pytest.mark.parametrize("text", ["a\x00b", "\ud800", "\U0001f600" * 1500, "Ä" * 5000, "x" * 200_000])
async def test_text_that_postgresql_cannot_hold_or_index_stops_no_lane(feed: Feed, text: str) -> None:
    person = pid(name=f"{text}^Anna").encode("utf-8", "surrogatepass")
    odd = hl7("ADT^A04", "PID|").replace(b"PID|", person).replace(b"|P|2.5.1", b"|P|2.5.1||||||UNICODE UTF-8")
    ids = await feed.send(odd, hl7("ADT^A08", pid("2002")))
    assert await feed.states(*ids) == [("processed", None)] * 2
    assert await feed.rows("select * from job") == []


async def test_a_patient_with_hundreds_of_numbers_is_found_by_the_last_of_them(feed: Feed) -> None:
    numbers = [f"{number}^^^HOSP^MR" for number in range(1, 900)]
    await feed.send(hl7("ADT^A04", pid().replace("1001^^^HOSP^MR", "~".join(numbers))))
    await feed.send(hl7("ADT^A08", pid("899", f13="555-0100"), at="20260302"))
    assert (await feed.body("Patient"))["telecom"][0]["value"] == "555-0100"


async def test_a_replay_undoes_nothing_that_came_after_its_message_even_where_times_are_unknown(feed: Feed) -> None:
    timeless = await feed.other_source(timezone=None)
    [first, _] = await feed.send(
        hl7("ADT^A04", pid(sex="M", f13="555-0100")), hl7("ADT^A08", pid(sex="F", f13="555-0199")), source=timeless
    )
    await replay(feed.pool, Access(feed.org, "key:test", "HOPERAT", frozenset({"*"})), first)
    await feed.work()
    patient = await feed.body("Patient")
    assert (patient["gender"], patient["telecom"][0]["value"]) == ("female", "555-0199")


async def test_a_batch_holds_no_more_bytes_than_it_may_and_every_large_message_gets_its_turn(
    feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    from chartwire.channels import path

    monkeypatch.setattr(path, "BATCH_BYTES_MAX", 1_000)
    held: list[int] = []
    honest = Path.load

    async def measured(self: Path, org: UUID, lane_ids: Sequence[UUID], jobs_per_lane: int) -> list[Job]:
        jobs = await honest(self, org, lane_ids, jobs_per_lane)
        held.append(sum(len(job.raw) for job in jobs))
        return jobs

    monkeypatch.setattr(Path, "load", measured)
    notes = "NTE|1||" + "x" * 700
    ids = await feed.send(*(hl7("ADT^A04", pid(str(number)), notes) for number in range(1, 7)))
    assert await feed.states(*ids) == [("processed", None)] * 6
    assert max(held) < 2 * 1_000
