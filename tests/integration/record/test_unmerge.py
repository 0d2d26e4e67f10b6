"""Unmerge by a person or by A37: both records stand again, and what came since is sorted (domain-rules.md section 3)."""

from typing import Any
from uuid import UUID

import orjson
import pytest
from tests.integration.feed import Feed, hl7, pid
from tests.integration.record.test_merges import ANNA, TWIN, a40, by_mrn, visit

from chartwire.channels.unmerge import Unmerged, unmerge
from chartwire.core.access import Access
from chartwire.core.errors import ConflictError


def a37(one: str, other: str, at: str = "20260310") -> bytes:
    return hl7("ADT^A37", "EVN|A37|" + at, one, other, at=at)


async def part(feed: Feed, mrn: str) -> Unmerged:
    """Unmerge the patient of a number, as the API does."""
    access = Access(feed.org, "key:test", "HOPERAT", frozenset({"*"}))
    patient = UUID((await by_mrn(feed, mrn))["id"])
    async with feed.pool.transaction(feed.org) as tx:
        return await unmerge(feed.path, tx, access, patient, "two people")


async def subjects(feed: Feed) -> dict[str, str]:
    """Visit number -> the patient that it belongs to."""
    return {body["identifier"][0]["value"]: body["subject"]["reference"] for body in await feed.bodies("Encounter")}


def named(patient: dict[str, Any]) -> str:
    return f"Patient/{patient['id']}"


async def test_both_records_stand_again_as_they_were(feed: Feed) -> None:
    await feed.send(hl7("ADT^A04", ANNA), hl7("ADT^A01", TWIN, visit("V2")))
    before = await by_mrn(feed, "1001"), await by_mrn(feed, "2002")
    await feed.send(a40(ANNA, "2002"))
    await part(feed, "2002")
    after = await by_mrn(feed, "1001"), await by_mrn(feed, "2002")
    for one, other in zip(before, after, strict=True):
        assert one | {"meta": None} == other | {"meta": None}
    assert await subjects(feed) == {"V2": named(after[1])}
    assert after[1]["active"] is True


async def test_both_patients_say_that_they_were_parted_and_name_both(feed: Feed) -> None:
    await feed.send(hl7("ADT^A04", ANNA), hl7("ADT^A04", TWIN))
    await feed.send(a40(ANNA, "2002"))
    await part(feed, "2002")
    anna, twin = await by_mrn(feed, "1001"), await by_mrn(feed, "2002")
    rows = await feed.rows("select resource_id, mode, detail from event where type = 'patient.unmerged' order by id")
    assert {str(row["resource_id"]) for row in rows} == {anna["id"], twin["id"]}
    for row in rows:
        assert row["mode"] == "live"
        assert orjson.loads(row["detail"]) == {"patient_id": twin["id"], "survivor_id": anna["id"]}


async def test_what_came_since_the_merge_goes_to_the_number_that_it_came_under(feed: Feed) -> None:
    await feed.send(hl7("ADT^A04", ANNA), hl7("ADT^A04", TWIN))
    await feed.send(a40(ANNA, "2002"))
    await feed.send(hl7("ADT^A01", pid("2002", name="Weber^Anna", f13="555-0299"), visit("V9"), at="20260304"))
    await feed.send(hl7("ADT^A01", ANNA, visit("V8"), at="20260305"))
    assert (await by_mrn(feed, "1001"))["telecom"][0]["value"] == "555-0299"
    await part(feed, "2002")
    anna, twin = await by_mrn(feed, "1001"), await by_mrn(feed, "2002")
    assert await subjects(feed) == {"V9": named(twin), "V8": named(anna)}
    assert "telecom" not in anna
    assert twin["telecom"][0]["value"] == "555-0299"
    rows = await feed.rows("select patient_id, named_id from message where event = 'ADT^A01' order by id")
    assert [(str(row["patient_id"]), row["named_id"]) for row in rows] == [(twin["id"], None), (anna["id"], None)]


async def test_a_word_that_the_other_number_had_overruled_counts_again(feed: Feed) -> None:
    await feed.send(hl7("ADT^A04", ANNA), hl7("ADT^A04", TWIN))
    await feed.send(a40(ANNA, "2002"))
    await feed.send(hl7("ADT^A08", pid("2002", name="Weber^Anna", f16="S"), at="20260306120000"))
    await feed.send(hl7("ADT^A08", pid("1001", f16="M"), at="20260305120000"))
    assert (await by_mrn(feed, "1001"))["maritalStatus"]["coding"][0]["code"] == "S"
    await part(feed, "2002")
    assert (await by_mrn(feed, "1001"))["maritalStatus"]["coding"][0]["code"] == "M"
    assert (await by_mrn(feed, "2002"))["maritalStatus"]["coding"][0]["code"] == "S"


async def test_a_message_that_fits_neither_patient_is_a_case_for_a_person(feed: Feed) -> None:
    await feed.send(hl7("ADT^A04", ANNA), hl7("ADT^A01", TWIN, visit("V2")))
    await feed.send(a40(ANNA, "2002"))
    [message] = await feed.send(hl7("ADT^A08", ANNA, visit("V2").replace("W1", "W7"), at="20260305"))
    unmerged = await part(feed, "2002")
    assert unmerged.reviews == 1
    [case] = await feed.rows("select kind, message_id, detail from review where state = 'open'")
    assert (case["kind"], case["message_id"]) == ("unmerge", message)
    assert orjson.loads(case["detail"]) == {"code": "belongs_to_another_patient"}
    assert await subjects(feed) == {"V2": named(await by_mrn(feed, "2002"))}


async def test_a_later_message_under_the_number_reaches_its_own_patient_again(feed: Feed) -> None:
    await feed.send(hl7("ADT^A04", ANNA), hl7("ADT^A04", TWIN))
    await feed.send(a40(ANNA, "2002"))
    await part(feed, "2002")
    await feed.send(hl7("ADT^A01", TWIN, visit("V5"), at="20260306"))
    assert await subjects(feed) == {"V5": named(await by_mrn(feed, "2002"))}


async def test_who_was_not_merged_cannot_be_parted(feed: Feed) -> None:
    await feed.send(hl7("ADT^A04", ANNA), hl7("ADT^A04", TWIN))
    with pytest.raises(ConflictError, match="not merged"):
        await part(feed, "2002")
    await feed.send(a40(ANNA, "2002"))
    await part(feed, "2002")
    with pytest.raises(ConflictError, match="not merged"):
        await part(feed, "2002")


async def test_a_chain_is_parted_at_the_link_that_is_named(feed: Feed) -> None:
    third = pid("3003", name="Weber^Anna")
    await feed.send(hl7("ADT^A04", ANNA), hl7("ADT^A01", TWIN, visit("V2")), hl7("ADT^A01", third, visit("V3")))
    await feed.send(a40(TWIN, "3003"))
    await feed.send(a40(ANNA, "2002", "20260304"))
    await part(feed, "2002")
    twin = await by_mrn(feed, "2002")
    assert await subjects(feed) == {"V2": named(twin), "V3": named(twin)}
    assert (await by_mrn(feed, "3003"))["active"] is False
    rows = await feed.rows("select resource_id from event where type = 'patient.unmerged'")
    assert {str(row["resource_id"]) for row in rows} == {twin["id"], (await by_mrn(feed, "1001"))["id"]}
    await part(feed, "3003")
    assert await subjects(feed) == {"V2": named(twin), "V3": named(await by_mrn(feed, "3003"))}


async def test_a37_parts_what_a40_merged(feed: Feed) -> None:
    await feed.send(hl7("ADT^A04", ANNA), hl7("ADT^A01", TWIN, visit("V2")))
    await feed.send(a40(ANNA, "2002"))
    await feed.send(hl7("ADT^A01", TWIN, visit("V9"), at="20260304"))
    [message] = await feed.send(a37(ANNA, TWIN))
    assert await feed.states(message) == [("processed", None)]
    twin = await by_mrn(feed, "2002")
    assert await subjects(feed) == {"V2": named(twin), "V9": named(twin)}
    assert twin["active"] is True


async def test_a24_links_two_records_and_a37_unlinks_them(feed: Feed) -> None:
    await feed.send(hl7("ADT^A04", ANNA), hl7("ADT^A04", TWIN))
    await feed.send(hl7("ADT^A24", "EVN|A24|20260303", ANNA, TWIN))
    anna, twin = await by_mrn(feed, "1001"), await by_mrn(feed, "2002")
    assert anna["link"] == [{"other": {"reference": named(twin)}, "type": "seealso"}]
    assert twin["link"] == [{"other": {"reference": named(anna)}, "type": "seealso"}]
    assert twin["active"] is True
    await feed.send(a37(ANNA, TWIN))
    assert "link" not in await by_mrn(feed, "1001")
    assert "link" not in await by_mrn(feed, "2002")


async def test_a37_of_one_patient_who_was_never_merged_is_held(feed: Feed) -> None:
    await feed.send(hl7("ADT^A04", ANNA))
    [message] = await feed.send(a37(ANNA, ANNA))
    assert await feed.states(message) == [("held", "nothing_to_unlink")]


async def test_a_preview_of_a37_parts_nobody(feed: Feed) -> None:
    await feed.send(hl7("ADT^A04", ANNA), hl7("ADT^A04", TWIN))
    await feed.send(a40(ANNA, "2002"))
    await feed.send(a37(ANNA, TWIN), mode="preview")
    assert (await by_mrn(feed, "2002"))["active"] is False
