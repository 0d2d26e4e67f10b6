"""A40: two records become one, reversibly, in order with both lanes (domain-rules.md section 3)."""

import asyncio
import random
import time
from typing import Any
from uuid import UUID

import orjson
import pytest
from tests.integration.feed import Feed, hl7, pid

from chartwire.record import merging, work
from chartwire.store.pool import Pool

ANNA = pid("1001")
TWIN = pid("2002", name="Weber^Anna", f13="555-0200")


def a40(survivor: str, loser: str, at: str = "20260303") -> bytes:
    return hl7("ADT^A40", "EVN|A40|" + at, survivor, f"MRG|{loser}^^^HOSP^MR", at=at)


def visit(number: str) -> str:
    return f"PV1|1|I|W1^101^1^HOSP||||||||||||||||{number}^^^HOSP^VN"


async def by_mrn(feed: Feed, mrn: str) -> dict[str, Any]:
    sql = (
        "select body from resource r join search_value s on s.resource_id = r.id"
        " where s.param = 'mrn' and s.value = $1 and r.type = 'Patient'"
    )
    [row] = await feed.rows(sql, mrn)
    body: dict[str, Any] = orjson.loads(row["body"])
    return body


async def test_the_loser_is_inactive_and_says_who_replaced_it(feed: Feed) -> None:
    await feed.send(hl7("ADT^A04", ANNA), hl7("ADT^A04", TWIN))
    [merge] = await feed.send(a40(ANNA, "2002"))
    assert await feed.states(merge) == [("processed", None)]
    survivor, loser = await by_mrn(feed, "1001"), await by_mrn(feed, "2002")
    assert loser["active"] is False
    assert loser["link"] == [{"other": {"reference": f"Patient/{survivor['id']}"}, "type": "replaced-by"}]
    assert survivor["link"] == [{"other": {"reference": f"Patient/{loser['id']}"}, "type": "replaces"}]
    [event] = await feed.rows("select detail from event where type = 'patient.merged'")
    assert orjson.loads(event["detail"]) == {"survivor_id": survivor["id"], "loser_id": loser["id"]}


async def test_what_belonged_to_the_loser_follows_and_keeps_its_original_subject(feed: Feed) -> None:
    await feed.send(hl7("ADT^A04", ANNA), hl7("ADT^A01", TWIN, visit("V2")))
    loser = await by_mrn(feed, "2002")
    await feed.send(a40(ANNA, "2002"))
    survivor = await by_mrn(feed, "1001")
    assert (await feed.body("Encounter"))["subject"]["reference"] == f"Patient/{survivor['id']}"
    [row] = await feed.rows("select patient_id, original_subject from resource where type = 'Encounter'")
    assert (str(row["patient_id"]), str(row["original_subject"])) == (survivor["id"], loser["id"])


async def test_late_messages_for_the_loser_reach_the_survivor(feed: Feed) -> None:
    await feed.send(hl7("ADT^A04", ANNA), hl7("ADT^A04", TWIN))
    await feed.send(a40(ANNA, "2002"))
    await feed.send(hl7("ADT^A01", TWIN, visit("V9"), at="20260304"))
    survivor = await by_mrn(feed, "1001")
    assert (await feed.body("Encounter"))["subject"]["reference"] == f"Patient/{survivor['id']}"


async def test_an_unknown_loser_leaves_a_tombstone(feed: Feed) -> None:
    await feed.send(hl7("ADT^A04", ANNA))
    await feed.send(a40(ANNA, "3003"))
    await feed.send(hl7("ADT^A01", pid("3003"), visit("V3"), at="20260304"))
    assert len(await feed.bodies("Patient")) == 1
    assert len(await feed.bodies("Encounter")) == 1


async def test_chains_of_merges_end_at_the_last_survivor(feed: Feed) -> None:
    third = pid("3003", name="Weber^Anna")
    await feed.send(hl7("ADT^A04", ANNA), hl7("ADT^A04", TWIN), hl7("ADT^A01", third, visit("V3")))
    await feed.send(a40(TWIN, "3003"))
    await feed.send(a40(ANNA, "2002", "20260304"))
    await feed.send(hl7("ADT^A01", third, visit("V4"), at="20260305"))
    survivor = await by_mrn(feed, "1001")
    subjects = {body["subject"]["reference"] for body in await feed.bodies("Encounter")}
    assert subjects == {f"Patient/{survivor['id']}"}


async def test_the_same_merge_again_changes_nothing(feed: Feed) -> None:
    await feed.send(hl7("ADT^A04", ANNA), hl7("ADT^A04", TWIN))
    await feed.send(a40(ANNA, "2002"))
    before = await feed.rows("select id, version from resource order by id")
    [again] = await feed.send(a40(ANNA, "2002", "20260305"))
    assert await feed.states(again) == [("processed", None)]
    assert await feed.rows("select id, version from resource order by id") == before
    assert (await feed.events()).count("patient.merged") == 1


async def test_a_merge_whose_loser_could_be_two_patients_is_held(feed: Feed) -> None:
    await feed.send(hl7("ADT^A04", ANNA), hl7("ADT^A04", TWIN), hl7("ADT^A04", pid("3003")))
    both = a40(ANNA, "2002").replace(b"MRG|2002^^^HOSP^MR", b"MRG|2002^^^HOSP^MR~3003^^^HOSP^MR")
    [merge] = await feed.send(both)
    assert await feed.states(merge) == [("held", "merge_names_several_patients")]
    assert all(body["active"] for body in await feed.bodies("Patient"))


async def test_a_merge_of_a_patient_with_itself_changes_nothing(feed: Feed) -> None:
    await feed.send(hl7("ADT^A04", ANNA))
    [merge] = await feed.send(a40(ANNA, "1001"))
    assert await feed.states(merge) == [("processed", None)]
    assert "link" not in await feed.body("Patient")


async def test_a_merge_waits_for_what_came_before_it_in_both_lanes_and_bars_what_came_after(feed: Feed) -> None:
    """The model: messages applied in order of arrival. Lanes, merges and two workers must end where it ends."""
    shuffle = random.Random(4)
    mrns = [str(number) for number in range(1, 7)]
    alive = list(mrns)
    owner = {mrn: mrn for mrn in mrns}
    messages, visits = [], {}
    for number in range(60):
        at = f"202603{number // 24 + 1:02}{number % 24:02}0000"
        if number % 9 == 8 and len(alive) > 2:
            survivor, loser = shuffle.sample(alive, 2)
            alive.remove(loser)
            owner = {mrn: survivor if held == loser else held for mrn, held in owner.items()}
            messages.append(a40(pid(survivor), loser, at))
        else:
            mrn = shuffle.choice(mrns)
            visits[f"V{number}"] = mrn
            messages.append(hl7("ADT^A01", pid(mrn), visit(f"V{number}"), at=at))
    await feed.store(*messages)
    other = Feed(feed.pool, feed.engine_pool, feed.org)
    other.sources.update(feed.sources)
    await asyncio.gather(feed.work(), other.work())
    states = await feed.rows("select distinct state from message")
    assert [row["state"] for row in states] == ["processed"]
    where = {body["identifier"][0]["value"]: body["subject"]["reference"] for body in await feed.bodies("Encounter")}
    survivors = {mrn: f"Patient/{(await by_mrn(feed, mrn))['id']}" for mrn in set(owner.values())}
    assert where == {number: survivors[owner[mrn]] for number, mrn in visits.items()}
    assert await feed.rows("select * from job") == []


async def test_a_source_that_may_not_set_patients_may_not_merge_them(feed: Feed) -> None:
    lab = await feed.other_source(may_set=(("Patient", 0),))
    await feed.send(hl7("ADT^A04", ANNA), hl7("ADT^A04", TWIN))
    [merge] = await feed.send(a40(ANNA, "2002"), source=lab)
    assert await feed.states(merge) == [("held", "source_may_not_merge")]
    assert (await by_mrn(feed, "2002"))["active"] is True


async def test_what_was_said_of_the_loser_before_the_merge_does_not_change_the_survivor(feed: Feed) -> None:
    await feed.send(hl7("ADT^A04", pid("1001", f13="555-0100"), at="20260301120000"))
    await feed.send(hl7("ADT^A04", TWIN, at="20260302120000"))
    await feed.send(a40(ANNA, "2002", "20260303120000"))
    await feed.send(hl7("ADT^A08", TWIN, at="20260302120000"))
    assert (await by_mrn(feed, "1001"))["telecom"][0]["value"] == "555-0100"
    await feed.send(hl7("ADT^A08", TWIN, at="20260304120000"))
    assert (await by_mrn(feed, "1001"))["telecom"][0]["value"] == "555-0200"


async def test_what_was_said_of_an_unknown_loser_before_the_merge_does_not_either(feed: Feed) -> None:
    await feed.send(hl7("ADT^A04", pid("1001", f13="555-0100"), at="20260301120000"))
    await feed.send(a40(ANNA, "2002", "20260303120000"))
    await feed.send(hl7("ADT^A08", TWIN, at="20260302120000"))
    assert (await by_mrn(feed, "1001"))["telecom"][0]["value"] == "555-0100"


async def test_groups_of_one_merge_message_share_the_survivor_and_keep_where_each_number_led(feed: Feed) -> None:
    await feed.send(hl7("ADT^A04", TWIN), hl7("ADT^A04", pid("3003")))
    groups = [ANNA, "MRG|2002^^^HOSP^MR", ANNA, "MRG|3003^^^HOSP^MR", pid("4004"), "MRG|1001^^^HOSP^MR"]
    [merge] = await feed.send(hl7("ADT^A40", "EVN|A40|20260303", *groups, at="20260303"))
    assert await feed.states(merge) == [("processed", None)]
    assert sorted(body.get("active", True) for body in await feed.bodies("Patient")) == [False, False, False, True]
    merges = await feed.rows("select loser_id, survivor_id from merge order by id")
    [last] = {
        row["resource_id"] for row in await feed.rows("select resource_id from source_key where type = 'Patient'")
    }
    assert [row["survivor_id"] == last for row in merges] == [False, False, True]
    originals = {row["original_id"] for row in await feed.rows("select original_id from source_key")}
    assert originals == {row["loser_id"] for row in merges} | {last}


async def test_a_loser_with_thousands_of_resources_is_merged_whole(feed: Feed) -> None:
    await feed.send(hl7("ADT^A04", ANNA), hl7("ADT^A04", TWIN))
    results = [f"OBX|{n}|NM|{n}-1^Test {n}^LN||{n}|mg/dL|||||F" for n in range(1, 3001)]
    obr = "OBR|1|PL1^HUB|FL1^LAB|24323-8^CMP^LN|||20260309080000" + "|" * 15 + "20260309120000|||F"
    await feed.send(hl7("ORU^R01", TWIN, "ORC|RE|PL1^HUB|FL1^LAB", obr, *results, at="20260302"))
    [merge] = await feed.send(a40(ANNA, "2002"))
    assert await feed.states(merge) == [("processed", None)]
    survivor = await by_mrn(feed, "1001")
    rows = await feed.rows("select count(*) as n from resource where type = 'Observation' and patient_id = $1::uuid",
                           UUID(survivor["id"]))  # fmt: skip
    assert rows == [{"n": 3000}]


async def test_a_snapshot_of_the_survivor_ends_what_only_the_loser_s_list_held(feed: Feed) -> None:
    penicillin, latex = "AL1|1|DA|70618^Penicillin^RXNORM|SV|Hives", "AL1|2|MA|111088007^Latex^SCT|MO|Rash"
    await feed.send(hl7("ADT^A04", ANNA, penicillin), hl7("ADT^A04", TWIN, latex))
    await feed.send(a40(ANNA, "2002"))
    await feed.send(hl7("ADT^A08", ANNA, penicillin, at="20260304"))
    codes = {body["code"]["coding"][0]["code"]: body["clinicalStatus"]["coding"][0]["code"]
             for body in await feed.bodies("AllergyIntolerance")}  # fmt: skip
    assert codes == {"70618": "active", "111088007": "inactive"}


async def test_a_merge_is_never_too_old(feed: Feed) -> None:
    await feed.send(hl7("ADT^A04", ANNA, at="20260305120000"), hl7("ADT^A04", TWIN, at="20260305120000"))
    await feed.send(a40(ANNA, "2002", "20260301120000"))
    assert (await by_mrn(feed, "2002"))["active"] is False


async def test_an_a34_merges_as_an_a40_does_and_is_a_barrier_for_both_lanes(feed: Feed) -> None:
    await feed.send(hl7("ADT^A04", ANNA), hl7("ADT^A04", TWIN))
    [merge] = await feed.send(a40(ANNA, "2002").replace(b"A40", b"A34"))
    assert await feed.states(merge) == [("processed", None)]
    [row] = await feed.rows("select count(*) as lanes from merge")
    assert row["lanes"] == 1
    assert (await by_mrn(feed, "2002"))["link"][0]["type"] == "replaced-by"


async def test_a_merge_that_computes_for_long_shows_that_it_goes_on(
    feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session that is silent in its transaction is ended; a merge of thousands takes longer than that."""
    honest = merging.with_references

    def slow(body: dict[str, Any], ids: Any) -> dict[str, Any]:
        time.sleep(0.4)
        return honest(body, ids)

    monkeypatch.setattr(merging, "with_references", slow)
    monkeypatch.setattr(work, "_BREATHE_EVERY_S", 0.1)
    visits = [hl7("ADT^A01", TWIN, visit(f"V{number}"), at="20260302") for number in range(6)]
    await feed.send(hl7("ADT^A04", ANNA), *visits)
    lent = Pool.transaction
    monkeypatch.setattr(Pool, "transaction", lambda pool, *args: _Impatient(lent(pool, *args)))
    [merge] = await feed.send(a40(ANNA, "2002"))
    monkeypatch.undo()
    assert await feed.states(merge) == [("processed", None)]


class _Impatient:
    """A transaction whose session the server ends after a second of silence."""

    def __init__(self, lease: Any) -> None:
        self._lease = lease

    async def __aenter__(self) -> Any:
        tx = await self._lease.__aenter__()
        await tx.execute("set local idle_in_transaction_session_timeout = '1s'")
        return tx

    async def __aexit__(self, *exception: object) -> Any:
        return await self._lease.__aexit__(*exception)
