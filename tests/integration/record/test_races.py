"""Two transactions that meet at one patient: the record ends as if one had come after the other."""

import asyncio

from tests.integration.feed import Feed, hl7, pid

from chartwire.core.source import IdentifierRule
from chartwire.events.lanes import Lanes

BOTH = pid("2002").replace("2002^^^HOSP^MR", "2002^^^HOSP^MR~P-9^^^HOSP^PI")
VISIT = "PV1|1|I|W1^101^1^HOSP||||||||||||||||V9^^^HOSP^VN"


async def waiting_for_a_lock(feed: Feed) -> None:
    async with asyncio.timeout(10):
        while not await feed.rows(
            "select 1 from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
        ):
            await asyncio.sleep(0.01)


async def test_a_message_that_waited_for_a_merge_reaches_the_survivor(feed: Feed) -> None:
    await feed.send(hl7("ADT^A04", pid("1001")), hl7("ADT^A04", BOTH))
    await feed.store(hl7("ADT^A40", pid("1001"), "MRG|2002^^^HOSP^MR", at="20260303"))
    lanes = Lanes(feed.engine_pool, "intake")
    claim = (await lanes.claim(1))[0]
    [reading] = await feed.path.read(feed.org, await feed.path.load(feed.org, [claim.lane_id], 1))
    async with feed.pool.transaction(feed.org) as tx:
        await feed.path.apply(tx, feed.org, [reading])
        by_other_number = pid("P-9").replace("^MR", "^PI")
        await feed.store(hl7("ADT^A01", by_other_number, VISIT, at="20260304"))
        work = asyncio.create_task(feed.work())
        await waiting_for_a_lock(feed)
    await lanes.give_back([claim])
    await work
    [visit] = await feed.rows("select patient_id from resource where type = 'Encounter'")
    [merge] = await feed.rows("select survivor_id from merge")
    assert visit["patient_id"] == merge["survivor_id"]
    assert (await feed.body("Encounter"))["subject"]["reference"] == f"Patient/{merge['survivor_id']}"


async def test_two_sources_that_know_one_new_patient_by_different_numbers_make_one_record(feed: Feed) -> None:
    by_number = [
        hl7("ADT^A04", pid(f"{n}").replace(f"{n}^^^HOSP^MR", f"{n}^^^HOSP^MR~P-{n}^^^HOSP^PI"), at="20260301")
        for n in range(20)
    ]
    by_other = [
        hl7("ADT^A08", pid(f"P-{n}", f13="555-0100").replace("^MR", f"^PI~{n}^^^HOSP^MR"), at="20260302")
        for n in range(20)
    ]
    reverse = await feed.other_source(identifiers=(IdentifierRule("", "PI"), IdentifierRule("", "MR")))
    await asyncio.gather(feed.store(*by_number), feed.store(*by_other, source=reverse))
    second = Feed(feed.pool, feed.engine_pool, feed.org)
    second.sources.update(feed.sources)
    await asyncio.gather(feed.work(), second.work())
    patients = await feed.bodies("Patient")
    assert len(patients) == 20
    assert {body["telecom"][0]["value"] for body in patients} == {"555-0100"}
    assert await feed.rows("select distinct state from message") == [{"state": "processed"}]


async def test_two_lanes_of_one_patient_lose_no_update(feed: Feed) -> None:
    await feed.send(hl7("ADT^A04", BOTH))
    one = [hl7("ADT^A08", pid("2002", f13=f"555-{n:04}"), at=f"202603030000{n:02}") for n in range(15)]
    two = [
        hl7("ADT^A08", pid("P-9", f14=f"556-{n:04}").replace("^MR", "^PI"), at=f"202603030000{n:02}") for n in range(15)
    ]
    await feed.store(*(message for pair in zip(one, two, strict=True) for message in pair))
    second = Feed(feed.pool, feed.engine_pool, feed.org)
    second.sources.update(feed.sources)
    await asyncio.gather(feed.work(), second.work())
    numbers = [item["value"] for item in (await feed.body("Patient"))["telecom"]]
    assert sorted(numbers) == ["555-0014", "556-0014"]
    history = await feed.rows("select version from resource_history where type = 'Patient' order by version")
    assert [row["version"] for row in history] == list(range(1, 31))
