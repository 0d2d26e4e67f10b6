"""Every kind of case, resolved each way; what waited for it goes on in order."""

from typing import Any
from uuid import UUID

import orjson
import pytest
from tests.integration.feed import Feed, hl7, pid

from chartwire.channels import stuck
from chartwire.channels.reviews import Decision, resolve
from chartwire.core.access import Access
from chartwire.core.errors import ConflictError, NotFoundError, ValidationError
from chartwire.store.pool import Pool, Row

STRANGER = {"name": "Okafor^Chidi", "born": "19911130", "sex": "M"}


@pytest.fixture
async def feed(pool: Pool, engine_pool: Pool, org_id: UUID) -> Feed:
    return await Feed(pool, engine_pool, org_id).open()


@pytest.fixture
def access(org_id: UUID) -> Access:
    return Access(org_id, "key:registrar", "HOPERAT", frozenset({"*"}))


async def cases(feed: Feed, kind: str = "identity") -> list[dict[str, Any]]:
    return await feed.rows("select * from review where kind = $1 order by id", kind)


async def decide(feed: Feed, access: Access, choice: str, kind: str = "identity") -> Row:
    [case] = [case for case in await cases(feed, kind) if case["state"] == "open"]
    async with feed.pool.transaction(access.org) as tx:
        decided = await resolve(tx, access, case["id"], Decision(choice, "asked the ward"))
    await feed.work()
    return decided


async def overlaid(feed: Feed) -> UUID:
    await feed.send(hl7("ADT^A04", pid()))
    [held] = await feed.send(hl7("ADT^A08", pid(**STRANGER), at="20260302"))
    assert await feed.states(held) == [("held", "identifier_matches_another_person")]
    return held


async def test_the_same_person_takes_the_message_over_the_guard(feed: Feed, access: Access) -> None:
    held = await overlaid(feed)
    decided = await decide(feed, access, "same_person")
    assert (decided["resolution"], decided["resolved_by"], decided["resolution_reason"]) == (
        "same_person", "key:registrar", "asked the ward")  # fmt: skip
    assert await feed.states(held) == [("processed", None)]
    assert (await feed.body("Patient"))["name"][0]["family"] == "Okafor"


async def test_a_new_patient_gets_the_number_and_leaves_the_other_record_as_it_was(feed: Feed, access: Access) -> None:
    held = await overlaid(feed)
    await decide(feed, access, "new_patient")
    assert await feed.states(held) == [("processed", None)]
    before, new = await feed.bodies("Patient")
    assert (before["name"][0]["family"], new["name"][0]["family"]) == ("Weber", "Okafor")
    await feed.send(hl7("ADT^A08", pid(**STRANGER, f13="555-0100"), at="20260303"))
    assert (await feed.bodies("Patient"))[1]["telecom"][0]["value"] == "555-0100"


async def test_a_scheduled_message_of_a_new_patient_makes_a_provisional_one(feed: Feed, access: Access) -> None:
    await feed.send(hl7("ADT^A04", pid()))
    [held] = await feed.send(hl7("SIU^S12", "SCH|P1|F1|||||||30|min|^^^20260401100000", pid(**STRANGER), at="20260302"))
    await decide(feed, access, "new_patient")
    assert await feed.states(held) == [("processed", None)]
    [_, new] = await feed.bodies("Patient")
    assert new["meta"]["tag"]


async def test_a_discarded_message_is_filtered_with_the_decision(feed: Feed, access: Access) -> None:
    held = await overlaid(feed)
    await decide(feed, access, "discard")
    [row] = await feed.rows("select state, error_code, decision from message where id = $1", held)
    assert (row["state"], row["error_code"]) == ("filtered", "discarded")
    assert orjson.loads(row["decision"])["reason"] == "asked the ward"
    assert (await feed.body("Patient"))["name"][0]["family"] == "Weber"


async def test_a_retry_looks_again_and_the_same_doubt_is_a_new_case(feed: Feed, access: Access) -> None:
    held = await overlaid(feed)
    await decide(feed, access, "retry")
    assert await feed.states(held) == [("held", "identifier_matches_another_person")]
    assert [case["state"] for case in await cases(feed)] == ["resolved", "open"]
    await feed.send(hl7("ADT^A08", pid(name="Okafor^Anna", sex="M"), at="20260301130000"))
    await feed.send(hl7("ADT^A08", pid(name="Okafor^Anna", sex="M", born="19911130"), at="20260301140000"))
    await decide(feed, access, "retry")
    assert await feed.states(held) == [("processed", None)]


async def test_numbers_of_two_patients_go_to_that_of_the_strongest_one(feed: Feed, access: Access) -> None:
    await feed.send(hl7("ADT^A04", pid("1001")), hl7("ADT^A04", pid("2002", name="Koch^Eva", born="19900405")))
    both = pid("1001", f13="555-0100").replace("1001^^^HOSP^MR", "1001^^^HOSP^MR~2002^^^HOSP^MR")
    [held] = await feed.send(hl7("ADT^A08", both, at="20260302"))
    await decide(feed, access, "same_person")
    assert await feed.states(held) == [("processed", None)]
    assert (await feed.body_of("1001"))["telecom"][0]["value"] == "555-0100"
    assert "telecom" not in await feed.body_of("2002")


async def test_a_visit_number_of_another_patient_can_be_a_visit_of_this_one(feed: Feed, access: Access) -> None:
    visit = "PV1|1|I|W1^101^1^HOSP||||||||||||||||V77^^^HOSP^VN"
    await feed.send(hl7("ADT^A01", pid("1001"), visit))
    [held] = await feed.send(hl7("ADT^A01", pid("2002", name="Koch^Eva", born="19900405"), visit))
    with pytest.raises(ValidationError, match="new_patient"):
        await decide(feed, access, "same_person")
    await decide(feed, access, "new_patient")
    assert await feed.states(held) == [("processed", None)]
    subjects = {encounter["subject"]["reference"] for encounter in await feed.bodies("Encounter")}
    assert len(subjects) == 2


async def test_what_waited_for_a_decision_goes_on_behind_the_message_that_it_waited_for(
    feed: Feed, access: Access
) -> None:
    careful = await feed.other_source(hold_following="wait")
    await feed.send(hl7("ADT^A04", pid()), source=careful)
    phones = [hl7("ADT^A08", pid(**STRANGER, f13=f"555-010{n}"), at="20260302") for n in range(4)]
    ids = await feed.send(*phones[:2], source=careful)
    ids += await feed.send(*phones[2:], source=careful)
    assert [state for state, _ in await feed.states(*ids)] == ["held"] * 4
    [case] = await cases(feed)
    [lane] = (await stuck.queue_of(feed.pool, access)).heads
    assert (lane.head_message_id, lane.waiting, lane.reason, lane.held_by_review) == (
        ids[1], 3, "waits_for_review", case["id"])  # fmt: skip
    await decide(feed, access, "same_person")
    assert await feed.states(*ids) == [("processed", None)] * 4
    assert (await feed.body("Patient"))["telecom"][0]["value"] == "555-0103"
    rows = await feed.rows("select message_id from resource_history where type = 'Patient' order by version")
    assert [row["message_id"] for row in rows][1:] == ids[:3]


async def test_a_merge_that_was_held_for_a_case_is_a_barrier_again_in_all_of_its_lanes(
    feed: Feed, access: Access
) -> None:
    await feed.send(hl7("ADT^A04", pid("1001")), hl7("ADT^A04", pid("2002")))
    [held] = await feed.send(hl7("ADT^A40", pid("1001", **STRANGER), "MRG|2002^^^HOSP^MR"))
    assert await feed.states(held) == [("held", "identifier_matches_another_person")]
    [case] = await cases(feed)
    async with feed.pool.transaction(access.org) as tx:
        await resolve(tx, access, case["id"], Decision("same_person", "asked the ward"))
    places = await feed.rows("select lane_id, ticket_lanes from job")
    assert len(places) == 2
    assert {place["lane_id"] for place in places} == set(places[0]["ticket_lanes"])
    await feed.work()
    assert (await feed.events()).count("patient.merged") == 1
    assert await feed.rows("select * from job") == []


async def test_a_merge_waits_for_a_case_of_either_of_its_lanes(feed: Feed, access: Access) -> None:
    careful = await feed.other_source(hold_following="wait")
    await feed.send(hl7("ADT^A04", pid("1001")), hl7("ADT^A04", pid("2002")), source=careful)
    await feed.send(hl7("ADT^A08", pid("2002", **STRANGER), at="20260302"), source=careful)
    [merge] = await feed.send(hl7("ADT^A40", pid("1001"), "MRG|2002^^^HOSP^MR", at="20260303"), source=careful)
    assert await feed.states(merge) == [("held", "waits_for_review")]
    await decide(feed, access, "discard")
    assert await feed.states(merge) == [("processed", None)]


async def test_what_came_behind_a_merge_in_doubt_waits_in_all_of_its_lanes(feed: Feed, access: Access) -> None:
    careful = await feed.other_source(hold_following="wait")
    await feed.send(hl7("ADT^A04", pid("1001")), hl7("ADT^A04", pid("2002")), source=careful)
    merge = hl7("ADT^A40", pid("1001", **STRANGER), "MRG|2002^^^HOSP^MR")
    behind = [hl7("ADT^A08", pid(mrn, f13="555-0100"), at="20260304") for mrn in ("1001", "2002")]
    [_, *ids] = await feed.send(merge, *behind, source=careful)
    assert await feed.states(*ids) == [("held", "waits_for_review")] * 2
    await decide(feed, access, "same_person")
    assert await feed.states(*ids) == [("processed", None)] * 2
    assert {event for event in await feed.events() if event.endswith("merged")} == {"patient.merged"}


async def test_a_decided_message_does_not_wait_for_a_later_case_of_its_lane(feed: Feed, access: Access) -> None:
    first = await overlaid(feed)
    await feed.send(hl7("ADT^A08", pid(), at="20260303"))
    careful = await feed.other_source(hold_following="wait")
    [behind] = await feed.send(hl7("ADT^A08", pid(f13="555-0100"), at="20260304"), source=careful)
    assert await feed.states(behind) == [("held", "waits_for_review")]
    await feed.rows("update lane_hold set review_id = $1", await another_case(feed))
    [case] = await cases(feed)
    async with feed.pool.transaction(access.org) as tx:
        await resolve(tx, access, case["id"], Decision("same_person", "asked the ward"))
    await feed.work()
    assert await feed.states(first, behind) == [("processed", None), ("held", "waits_for_review")]


async def another_case(feed: Feed) -> UUID:
    [row] = await feed.rows(
        "insert into review (org_id, id, kind, lane_id) select org_id, gen_random_uuid(), 'strictness', lane_id"
        " from lane_hold returning id"
    )
    return UUID(str(row["id"]))


async def test_a_held_message_whose_bytes_are_gone_can_still_be_discarded(feed: Feed, access: Access) -> None:
    held = await overlaid(feed)
    await feed.rows("delete from message_body where id = $1", held)
    with pytest.raises(ConflictError, match="bytes"):
        await decide(feed, access, "same_person")
    await decide(feed, access, "discard")
    assert await feed.states(held) == [("filtered", "discarded")]


async def tied(feed: Feed) -> None:
    await feed.send(hl7("ADT^A04", pid(sex="F")))
    await feed.send(hl7("ADT^A08", pid(sex="M")), source=await feed.other_source())


async def test_a_tie_that_is_kept_changes_nothing(feed: Feed, access: Access) -> None:
    await tied(feed)
    await decide(feed, access, "keep", "tie")
    assert (await feed.body("Patient"))["gender"] == "female"


async def test_the_word_that_lost_a_tie_can_be_taken_as_a_write_by_who_decides(feed: Feed, access: Access) -> None:
    await tied(feed)
    await decide(feed, access, "take", "tie")
    assert (await feed.body("Patient"))["gender"] == "male"
    [row] = await feed.rows("select actor, message_id from resource where type = 'Patient'")
    assert (row["actor"], row["message_id"]) == ("key:registrar", None)
    assert (await feed.events())[-1] == "patient.updated"


async def test_a_cleared_element_that_lost_a_tie_can_be_taken(feed: Feed, access: Access) -> None:
    await feed.send(hl7("ADT^A04", pid(sex="F")))
    await feed.send(hl7("ADT^A08", pid(sex='""')), source=await feed.other_source())
    await decide(feed, access, "take", "tie")
    assert "gender" not in await feed.body("Patient")


async def test_a_word_that_was_overtaken_is_not_taken(feed: Feed, access: Access) -> None:
    await tied(feed)
    await feed.send(hl7("ADT^A08", pid(sex="O"), at="20260305"))
    with pytest.raises(ConflictError, match="another word since"):
        await decide(feed, access, "take", "tie")
    assert (await feed.body("Patient"))["gender"] == "other"


async def test_a_decision_is_made_once(feed: Feed, access: Access) -> None:
    await overlaid(feed)
    await decide(feed, access, "discard")
    [case] = await cases(feed)
    async with feed.pool.transaction(access.org) as tx:
        again = await resolve(tx, access, case["id"], Decision("discard", "another reason"))
    assert again["resolution_reason"] == "asked the ward"
    with pytest.raises(ConflictError, match="resolved: discard"):
        async with feed.pool.transaction(access.org) as tx:
            await resolve(tx, access, case["id"], Decision("same_person", "changed my mind"))


async def test_no_one_decides_a_case_of_another_organisation(feed: Feed, other_org_id: UUID) -> None:
    await overlaid(feed)
    [case] = await cases(feed)
    stranger = Access(other_org_id, "key:stranger", "HOPERAT", frozenset({"*"}))
    with pytest.raises(NotFoundError):
        async with feed.pool.transaction(other_org_id) as tx:
            await resolve(tx, stranger, case["id"], Decision("discard", "mischief"))


@pytest.mark.parametrize(("choice", "state"), [("accept", ("processed", None)), ("discard", ("filtered", "discarded"))])
async def test_what_strictness_holds_is_accepted_or_discarded(
    feed: Feed, access: Access, choice: str, state: tuple[str, str | None]
) -> None:
    strict = await feed.other_source(strictness=(("*", "warn"), ("segment_unexpected", "hold")))
    odd = hl7("ADT^A04", "EVN|A04|20260301", pid(), "PV1|1|O", "RXA|1")
    [held] = await feed.send(odd, source=strict)
    assert await feed.states(held) == [("held", "strictness")]
    [case] = await cases(feed, "strictness")
    assert [rule for rule, _ in orjson.loads(case["detail"])["issues"]] == ["segment_unexpected"]
    await decide(feed, access, choice, "strictness")
    assert await feed.states(held) == [state]


@pytest.mark.parametrize("choice", ["accept", "discard"])
async def test_behind_what_strictness_holds_the_key_waits_where_the_source_says_so(
    feed: Feed, access: Access, choice: str
) -> None:
    strict = await feed.other_source(strictness=(("segment_unexpected", "hold"),), hold_following="wait")
    odd = hl7("ADT^A04", "EVN|A04|20260301", pid(f13="555-0100"), "PV1|1|O", "RXA|1")
    good = hl7("ADT^A08", "EVN|A08|20260302", pid(f16="M"), "PV1|1|O", at="20260302")
    other = hl7("ADT^A04", "EVN|A04|20260302", pid("2002"), "PV1|1|O", at="20260302")
    ids = await feed.send(odd, good, odd.replace(b"RXA|1", b"RXA|2"), other, source=strict)
    waits = ("held", "waits_for_review")
    assert await feed.states(*ids) == [("held", "strictness"), waits, waits, ("processed", None)]
    await decide(feed, access, choice, "strictness")
    [first, second, third] = await feed.states(*ids[:3])
    assert (first[0], second, third) == ("processed" if choice == "accept" else "filtered", ("processed", None),
                                         ("held", "strictness"))  # fmt: skip
    assert ("telecom" in await feed.body_of("1001")) is (choice == "accept")


async def test_what_is_warned_of_is_in_the_findings_of_the_message(feed: Feed) -> None:
    strict = await feed.other_source(strictness=(("segment_unexpected", "warn"),))
    [message] = await feed.send(hl7("ADT^A04", "EVN|A04|20260301", pid(), "PV1|1|O", "RXA|1"), source=strict)
    [row] = await feed.rows("select state, outcome from message where id = $1", message)
    assert row["state"] == "processed"
    assert "segment_unexpected" in [finding[0] for finding in orjson.loads(row["outcome"])["findings"]]


async def test_control_ids_that_come_again_are_one_open_case_a_source(feed: Feed, access: Access) -> None:
    await feed.store(*(hl7("ADT^A04", pid(str(number)), control_id="CONSTANT") for number in range(1, 5)))
    await feed.store(hl7("ADT^A04", pid("9"), control_id="CONSTANT"))
    [case] = await cases(feed, "control_id_reused")
    assert case["source_id"] == feed.source.id
    await decide(feed, access, "acknowledge", "control_id_reused")
    await feed.store(hl7("ADT^A04", pid("10"), control_id="CONSTANT"))
    assert [case["state"] for case in await cases(feed, "control_id_reused")] == ["resolved", "open"]
