"""Identity safety through the whole path (domain-rules.md section 3)."""

from tests.integration.feed import Feed, hl7, pid


async def test_the_identifier_of_another_person_holds_the_message_and_changes_nothing(feed: Feed) -> None:
    await feed.send(hl7("ADT^A04", pid(name="Weber^Anna", born="19800102")))
    [overlay] = await feed.send(hl7("ADT^A08", pid(name="Okafor^Chidi", born="19911130", sex="M"), at="20260302"))
    assert await feed.states(overlay) == [("held", "identifier_matches_another_person")]
    assert (await feed.body("Patient"))["name"][0]["family"] == "Weber"
    [review] = await feed.reviews()
    assert (review["kind"], review["resource_type"]) == ("identity", "Patient")


async def test_after_an_overlay_the_right_person_goes_on_by_default(feed: Feed) -> None:
    await feed.send(hl7("ADT^A04", pid()))
    await feed.send(hl7("ADT^A08", pid(name="Okafor^Chidi", born="19911130"), at="20260302"))
    [later] = await feed.send(hl7("ADT^A08", pid(f13="555-0100"), at="20260303"))
    assert await feed.states(later) == [("processed", None)]


async def test_later_messages_of_the_key_wait_where_the_source_says_so(feed: Feed) -> None:
    careful = await feed.other_source(hold_following="wait")
    await feed.send(hl7("ADT^A04", pid()), source=careful)
    await feed.send(hl7("ADT^A08", pid(name="Okafor^Chidi", born="19911130"), at="20260302"), source=careful)
    [later] = await feed.send(hl7("ADT^A08", pid(f13="555-0100"), at="20260303"), source=careful)
    assert await feed.states(later) == [("held", "waits_for_review")]


async def test_identifiers_that_name_two_patients_hold_the_message(feed: Feed) -> None:
    await feed.send(hl7("ADT^A04", pid("1001")), hl7("ADT^A04", pid("2002", name="Koch^Eva", born="19900405")))
    both = pid("1001").replace("1001^^^HOSP^MR", "1001^^^HOSP^MR~2002^^^HOSP^MR")
    [doubt] = await feed.send(hl7("ADT^A08", both, at="20260302"))
    assert await feed.states(doubt) == [("held", "identifiers_name_different_patients")]


async def test_the_same_number_of_another_authority_is_another_patient(feed: Feed) -> None:
    wide = await feed.other_source(authority="NORTH")
    await feed.send(hl7("ADT^A04", pid("1001")))
    await feed.send(hl7("ADT^A04", pid("1001").replace("HOSP", "NORTH")), source=wide)
    assert len(await feed.bodies("Patient")) == 2


async def test_an_empty_authority_takes_the_source_s_own(feed: Feed) -> None:
    await feed.send(hl7("ADT^A04", pid("1001")))
    await feed.send(hl7("ADT^A08", pid("1001", f13="555-0100").replace("^^^HOSP^MR", "^^^^MR"), at="20260302"))
    assert (await feed.body("Patient"))["telecom"][0]["value"] == "555-0100"


async def test_a_second_identifier_leads_to_the_same_patient_from_then_on(feed: Feed) -> None:
    pi = await feed.other_source(authority="HOSP")
    await feed.send(hl7("ADT^A04", pid("1001").replace("^MR", "^MR~P-9^^^HOSP^PI", 1)))
    await feed.send(hl7("ADT^A08", pid("P-9", f13="555-0100").replace("^MR", "^PI"), at="20260302"), source=pi)
    assert (await feed.body("Patient"))["telecom"][0]["value"] == "555-0100"


async def test_a_visit_number_of_another_patient_holds_the_message(feed: Feed) -> None:
    visit = "PV1|1|I|W1^101^1^HOSP||||||||||||||||V77^^^HOSP^VN"
    await feed.send(hl7("ADT^A01", pid("1001"), visit))
    [doubt] = await feed.send(hl7("ADT^A01", pid("2002", name="Koch^Eva", born="19900405"), visit))
    assert await feed.states(doubt) == [("held", "belongs_to_another_patient")]
    assert len(await feed.bodies("Patient")) == 1


async def test_a_message_without_any_identifier_is_a_dead_letter_with_place_and_reason(feed: Feed) -> None:
    [dead] = await feed.send(hl7("ADT^A04", "PID|||||Weber^Anna||19800102|F"))
    assert await feed.states(dead) == [("dead", "patient_identifier_missing")]
    [row] = await feed.rows("select error_location, class from message join message_body using (org_id, id)")
    assert (row["error_location"], row["class"]) == ("PID-3", "dead")


async def test_a_message_in_the_same_batch_as_the_doubt_waits_too(feed: Feed) -> None:
    careful = await feed.other_source(hold_following="wait")
    await feed.send(hl7("ADT^A04", pid()), source=careful)
    overlay = hl7("ADT^A08", pid(name="Okafor^Chidi", born="19911130"), at="20260302")
    ids = await feed.send(overlay, hl7("ADT^A08", pid(f13="555-0100"), at="20260303"), source=careful)
    assert await feed.states(*ids) == [("held", "identifier_matches_another_person"), ("held", "waits_for_review")]


async def test_the_same_tie_again_is_the_same_open_case(feed: Feed) -> None:
    other = await feed.other_source()
    await feed.send(hl7("ADT^A04", pid(sex="F")))
    await feed.send(*(hl7("ADT^A08", pid(sex="M")) for _ in range(3)), source=other)
    assert [review["kind"] for review in await feed.reviews()] == ["tie"]
