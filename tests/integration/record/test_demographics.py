"""Who may set what, element by element, through the whole path (domain-rules.md section 2)."""

from tests.integration.feed import Feed, hl7, pid


async def test_an_admission_makes_one_patient_with_a_visit(feed: Feed) -> None:
    [message_id] = await feed.send(
        hl7("ADT^A01", "EVN|A01|20260301115900", pid(), "PV1|1|I|W1^101^1^HOSP||||||||||||||||V77^^^HOSP^VN")
    )
    assert await feed.states(message_id) == [("processed", None)]
    patient = await feed.body("Patient")
    assert patient["name"][0]["family"] == "Weber"
    assert patient["birthDate"] == "1980-01-02"
    assert patient["meta"]["versionId"] == "1"
    visit = await feed.body("Encounter")
    assert visit["subject"]["reference"] == f"Patient/{patient['id']}"
    assert visit["status"] == "in-progress"
    assert {"patient.created", "encounter.created"} <= set(await feed.events())


async def test_the_same_demographics_again_make_no_new_version(feed: Feed) -> None:
    await feed.send(hl7("ADT^A04", pid()), hl7("ADT^A08", pid(), at="20260301130000"))
    assert (await feed.body("Patient"))["meta"]["versionId"] == "1"
    assert (await feed.events()).count("patient.updated") == 0


async def test_empty_leaves_and_two_quotes_clear(feed: Feed) -> None:
    await feed.send(hl7("ADT^A04", pid(f13="555-0100", f11="1 Main St^^Town")))
    await feed.send(hl7("ADT^A08", pid(sex="", f13='""'), at="20260301130000"))
    patient = await feed.body("Patient")
    assert patient["gender"] == "female"
    assert "telecom" not in patient
    assert patient["address"][0]["city"] == "Town"


async def test_a_repeating_field_that_is_sent_replaces_its_repetitions(feed: Feed) -> None:
    await feed.send(hl7("ADT^A04", pid(f13="555-0100~555-0101", f14="555-0200")))
    await feed.send(hl7("ADT^A08", pid(f13="555-0102"), at="20260301130000"))
    numbers = [item["value"] for item in (await feed.body("Patient"))["telecom"]]
    assert numbers == ["555-0102", "555-0200"]


async def test_a_message_that_comes_late_sets_only_what_nobody_said_since(feed: Feed) -> None:
    await feed.send(hl7("ADT^A04", pid(), at="20260301100000"))
    await feed.send(hl7("ADT^A08", pid(name="Weber-Koch^Anna", f13="555-0103"), at="20260301140000"))
    await feed.send(hl7("ADT^A08", pid(name="Weber^Ana", f13="555-0102", f11="9 Late St^^Town"), at="20260301120000"))
    patient = await feed.body("Patient")
    assert patient["name"][0]["family"] == "Weber-Koch"
    assert patient["telecom"][0]["value"] == "555-0103"
    assert patient["address"][0]["line"] == ["9 Late St"]


async def test_a_late_message_cannot_undo_what_a_later_one_only_repeated(feed: Feed) -> None:
    await feed.send(hl7("ADT^A04", pid(sex="F"), at="20260301100000"))
    await feed.send(hl7("ADT^A08", pid(sex="F"), at="20260301140000"))
    await feed.send(hl7("ADT^A08", pid(sex="M"), at="20260301120000"))
    assert (await feed.body("Patient"))["gender"] == "female"


async def test_two_sources_of_equal_rank_and_time_that_differ_make_a_review_and_change_nothing(feed: Feed) -> None:
    other = await feed.other_source()
    await feed.send(hl7("ADT^A04", pid(sex="F")))
    await feed.send(hl7("ADT^A08", pid(sex="M")), source=other)
    assert (await feed.body("Patient"))["gender"] == "female"
    assert [(review["kind"], review["detail"]) for review in await feed.reviews()] == [
        ("tie", {"elements": ["gender"]})
    ]


async def test_a_source_of_higher_rank_is_not_overruled_by_a_later_one_of_lower_rank(feed: Feed) -> None:
    registry = await feed.other_source(rank=20)
    await feed.send(hl7("ADT^A04", pid(sex="F"), at="20260301100000"), source=registry)
    await feed.send(hl7("ADT^A08", pid(sex="M"), at="20260301120000"))
    assert (await feed.body("Patient"))["gender"] == "female"
    assert await feed.reviews() == []


async def test_every_element_says_which_field_of_which_message_set_it(feed: Feed) -> None:
    [first] = await feed.send(hl7("ADT^A04", pid(f13="555-0100"), at="20260301100000"))
    [second] = await feed.send(hl7("ADT^A08", pid(f13="555-0199"), at="20260301120000"))
    [row] = await feed.rows("select lineage from resource where type = 'Patient'")
    from chartwire.record.lineage import Lineage

    told = Lineage.read(row["lineage"]).describe()
    assert told["birthDate"][0] | {"recorded_at": None} == {
        "source_id": str(feed.source.id), "message_id": str(first), "recorded_at": None, "rank": 10, "field": "PID-7",
    }  # fmt: skip
    assert (told["telecom"][0]["message_id"], told["telecom"][0]["field"]) == (str(second), "PID-13")
    [old] = await feed.rows("select version, message_id from resource_history where type = 'Patient'")
    assert (old["version"], old["message_id"]) == (1, first)


async def test_a_late_message_cannot_undo_a_clearing_of_what_was_not_there(feed: Feed) -> None:
    other = await feed.other_source()
    await feed.send(hl7("ADT^A04", pid(f13="555-0100"), at="20260301100000"))
    await feed.send(hl7("ADT^A08", pid(f13='""'), at="20260301140000"), source=other)
    await feed.send(hl7("ADT^A08", pid(f13="555-0199"), at="20260301120000"), source=other)
    assert [item["value"] for item in (await feed.body("Patient"))["telecom"]] == ["555-0100"]


async def test_times_that_a_message_only_refreshed_stand_when_its_batch_also_made_a_version(feed: Feed) -> None:
    await feed.send(hl7("ADT^A04", pid(sex="F"), at="20260301100000"), hl7("ADT^A08", pid(), at="20260301140000"))
    await feed.send(hl7("ADT^A08", pid(sex="M"), at="20260301120000"))
    assert (await feed.body("Patient"))["gender"] == "female"


async def test_what_another_source_confirmed_later_is_not_undone_by_the_first_one_s_late_word(feed: Feed) -> None:
    other = await feed.other_source()
    await feed.send(hl7("ADT^A04", pid(sex="F"), at="20260301100000"))
    await feed.send(hl7("ADT^A08", pid(sex="F"), at="20260301140000"), source=other)
    await feed.send(hl7("ADT^A08", pid(sex="M"), at="20260301120000"))
    assert (await feed.body("Patient"))["gender"] == "female"


async def test_a_version_says_which_feed_made_it(feed: Feed) -> None:
    await feed.send(hl7("ADT^A04", pid()))
    [row] = await feed.rows("select actor from resource where type = 'Patient'")
    assert row["actor"] == f"feed:{feed.source.name}"


async def test_the_first_message_s_clearing_of_one_of_several_fields_counts(feed: Feed) -> None:
    await feed.send(hl7("ADT^A04", pid(f13='""', f14="555-0200"), at="20260301140000"))
    await feed.send(hl7("ADT^A08", pid(f13="555-0199"), at="20260301120000"))
    assert [item["value"] for item in (await feed.body("Patient"))["telecom"]] == ["555-0200"]


async def test_a_deleted_person_becomes_inactive_and_keeps_everything(feed: Feed) -> None:
    await feed.send(hl7("ADT^A04", pid(f13="555-1234"), at="20260301100000"))
    [message_id] = await feed.send(hl7("ADT^A29", pid(name="Weber^Anna Maria", f13="555-9999"), at="20260302100000"))
    patient = await feed.body("Patient")
    assert patient["active"] is False
    assert (patient["name"][0]["given"], patient["telecom"][0]["value"]) == (["Anna"], "555-1234")
    [row] = await feed.rows("select message_id, deleted from resource where type = 'Patient'")
    assert (row["message_id"], row["deleted"]) == (message_id, False)
    assert (await feed.events())[-1] == "patient.deactivated"
    await feed.send(hl7("ADT^A08", pid(), at="20260302090000"))
    assert (await feed.body("Patient"))["active"] is False
    await feed.send(hl7("ADT^A28", pid(), at="20260303090000"))
    assert (await feed.body("Patient"))["active"] is True
