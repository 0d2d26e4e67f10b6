"""Appointments through the whole path (domain-rules.md section 6)."""

from tests.integration.feed import Feed, hl7, pid

from chartwire.record.localtime import zone_name
from chartwire.record.status import practice_status, source_status


def siu(
    trigger: str,
    *,
    start: str = "20260310090000",
    filler: str = "F1",
    placer: str = "P1",
    status: str = "",
    at: str = "20260301120000",
    person: str | None = None,
) -> bytes:
    sch = f"SCH|{placer}^HUB|{filler}^HOSP|||||ROUTINE|CHECKUP|30|min|^^30^{start}" + "|" * 14 + status
    return hl7(f"SIU^{trigger}", sch, person or pid(), "RGS|1", "AIP|1||77^Hoffmann^Eva^^^^^^HOSP", at=at)


async def test_scheduling_works_before_any_admission_and_the_first_adt_completes_the_patient(feed: Feed) -> None:
    await feed.send(siu("S12"))
    provisional = await feed.body("Patient")
    assert provisional["meta"]["tag"][0]["code"] == "provisional"
    await feed.send(hl7("ADT^A04", pid(f13="555-0100"), at="20260228120000"))
    completed = await feed.body("Patient")
    assert "tag" not in completed["meta"]
    assert completed["telecom"][0]["value"] == "555-0100"
    assert completed["id"] == provisional["id"]


async def test_scheduling_only_finds_a_known_patient(feed: Feed) -> None:
    await feed.send(hl7("ADT^A04", pid()))
    await feed.send(siu("S12", person=pid(f13="555-0666"), at="20260302"))
    assert "telecom" not in await feed.body("Patient")
    assert (await feed.body("Appointment"))["participant"][0]["actor"]["reference"].startswith("Patient/")


async def test_a_changed_start_is_a_reschedule_of_the_same_appointment(feed: Feed) -> None:
    await feed.send(siu("S12"))
    await feed.send(siu("S13", start="20260311100000", at="20260302"))
    appointment = await feed.body("Appointment")
    assert appointment["start"].startswith("2026-03-11T09:00:00")
    assert [event for event in await feed.events() if event.startswith("appointment.")] == [
        "appointment.booked", "appointment.rescheduled",
    ]  # fmt: skip


async def test_a_cancellation_and_a_no_show_have_their_own_events(feed: Feed) -> None:
    await feed.send(siu("S12", filler="F1"), siu("S12", filler="F2", placer="P2"))
    await feed.send(siu("S15", filler="F1", at="20260302"), siu("S26", filler="F2", placer="P2", at="20260303"))
    assert sorted(practice_status(body) for body in await feed.bodies("Appointment")) == ["cancelled", "no_show"]
    assert {"appointment.cancelled", "appointment.no_show"} <= set(await feed.events())


async def test_the_filler_status_wins_over_the_trigger_and_the_source_s_word_is_kept(feed: Feed) -> None:
    await feed.send(siu("S14", status="Confirmed"))
    appointment = await feed.body("Appointment")
    assert appointment["status"] == "booked"
    assert practice_status(appointment) == "confirmed"
    assert source_status(appointment) == "Confirmed"
    assert await feed.rows("select 1 from search_value where param = 'status' and value = 'confirmed'")


async def test_a_change_or_cancellation_of_an_unknown_appointment_creates_it(feed: Feed) -> None:
    await feed.send(siu("S13", filler="F7"), siu("S15", filler="F8", placer="P8"))
    assert sorted(practice_status(body) for body in await feed.bodies("Appointment")) == ["booked", "cancelled"]


async def test_a_message_by_the_placer_number_alone_reaches_the_same_appointment(feed: Feed) -> None:
    await feed.send(siu("S12", placer="P1", filler="F1"))
    await feed.send(siu("S15", placer="P1", filler="", at="20260302").replace(b"|^HOSP|", b"||"))
    assert practice_status(await feed.body("Appointment")) == "cancelled"


async def test_a_provider_is_shared_by_all_patients_and_saved_once(feed: Feed) -> None:
    await feed.send(*(siu("S12", filler=f"F{n}", placer=f"P{n}", person=pid(str(1000 + n))) for n in range(5)))
    provider = await feed.body("Practitioner")
    assert provider["meta"]["versionId"] == "1"
    actors = {body["participant"][1]["actor"]["reference"] for body in await feed.bodies("Appointment")}
    assert actors == {f"Practitioner/{provider['id']}"}


async def test_a_visit_segment_in_scheduling_opens_no_encounter(feed: Feed) -> None:
    await feed.send(siu("S12").replace(b"RGS|1", b"PV1|1|O|||||||||||||||||V1^^^HOSP^VN\rRGS|1"))
    assert await feed.bodies("Encounter") == []


async def test_a_filler_number_learned_later_leads_to_the_same_appointment(feed: Feed) -> None:
    request = siu("S12", filler="").replace(b"|^HOSP|", b"||")
    await feed.send(request)
    await feed.send(siu("S14", at="20260302"))
    await feed.send(siu("S15", placer="", at="20260303").replace(b"|^HUB|", b"||"))
    assert practice_status(await feed.body("Appointment")) == "cancelled"


async def test_another_filler_number_under_one_placer_number_is_another_appointment(feed: Feed) -> None:
    await feed.send(siu("S12", filler="F1"))
    await feed.send(siu("S12", filler="F2", start="20260311090000", at="20260302"))
    assert len({body["start"] for body in await feed.bodies("Appointment")}) == 2
    await feed.send(siu("S15", filler="F2", start="20260311090000", at="20260303"))
    assert sorted(practice_status(body) for body in await feed.bodies("Appointment")) == ["booked", "cancelled"]


async def test_the_source_s_status_word_is_replaced_by_its_next_one(feed: Feed) -> None:
    await feed.send(siu("S14", status="Confirmed"))
    await feed.send(siu("S14", status="Arrived", at="20260302"))
    await feed.send(siu("S14", at="20260303"))
    appointment = await feed.body("Appointment")
    assert practice_status(appointment) == "booked"
    assert source_status(appointment) is None


async def test_a_cancellation_is_never_too_old(feed: Feed) -> None:
    await feed.send(siu("S12", at="20260301100000"), siu("S14", status="Confirmed", at="20260301140000"))
    await feed.send(siu("S15", at="20260301120000"))
    assert practice_status(await feed.body("Appointment")) == "cancelled"
    await feed.send(siu("S13", at="20260301130000"))
    assert practice_status(await feed.body("Appointment")) == "cancelled"
    await feed.send(siu("S13", start="20260312090000", at="20260301160000"))
    assert practice_status(await feed.body("Appointment")) == "booked"


async def test_a_location_keeps_the_zone_of_its_feed(feed: Feed) -> None:
    await feed.send(siu("S12").replace(b"AIP|1|", b"AIL|1||R1^^^HOSP\rAIP|1|"))
    zones = {zone_name(body) for body in await feed.bodies("Location")}
    assert zones == {"Europe/Berlin"}


async def test_a_rebooking_is_linked_to_the_appointment_that_it_replaces(feed: Feed) -> None:
    await feed.send(siu("S12", filler="F1"), siu("S15", filler="F1", at="20260302"))
    rebooked = siu("S12", filler="F2", placer="P2", at="20260303").replace(
        b"^^30^20260310090000", b"^^30^20260317090000"
    )
    lines = rebooked.split(b"\r")
    fields = lines[1].split(b"|")
    fields[24] = b"F1^HOSP"
    lines[1] = b"|".join(fields)
    await feed.send(b"\r".join(lines))
    bodies = {practice_status(body): body for body in await feed.bodies("Appointment")}
    [link] = [one for one in bodies["booked"]["extension"] if one["url"].endswith("Appointment.replaces")]
    assert link["valueReference"]["reference"] == f"Appointment/{bodies['cancelled']['id']}"


async def test_a_discontinued_appointment_is_cancelled_and_a_deleted_one_was_an_error(feed: Feed) -> None:
    await feed.send(siu("S12", filler="F1"), siu("S12", filler="F2", placer="P2"))
    await feed.send(siu("S16", filler="F1", at="20260302"), siu("S17", filler="F2", placer="P2", at="20260303"))
    assert [body["status"] for body in await feed.bodies("Appointment")] == ["cancelled", "entered-in-error"]
    assert {"appointment.cancelled", "appointment.removed"} <= set(await feed.events())


async def test_a_deletion_is_never_too_old_and_creates_what_it_deletes(feed: Feed) -> None:
    await feed.send(siu("S14", at="20260305"), siu("S17", at="20260302"))
    assert (await feed.body("Appointment"))["status"] == "entered-in-error"
    await feed.send(siu("S17", filler="F9", placer="P9"))
    assert (await feed.bodies("Appointment"))[1]["status"] == "entered-in-error"


async def test_the_filler_status_wins_over_a_discontinuation_too(feed: Feed) -> None:
    await feed.send(siu("S16", status="Complete"))
    assert (await feed.body("Appointment"))["status"] == "fulfilled"
