"""SIU to Appointment: domain-rules.md section 6."""

import pytest
from tests.mapping_messages import PID, body, codes, every, one, segment, siu

TIMES = "^^^20260110090000^20260110093000"


def sch(**fields):
    return segment("SCH", **({"f1": "P1", "f2": "F1", "f11": TIMES} | fields))


def test_the_filler_number_is_the_key_and_the_placer_number_another():
    appointment = one(siu(sch(), PID), "Appointment")
    assert (appointment.key, appointment.keys) == ("FILL|HOSP|F1", ("PLAC|HOSP|P1",))


def test_without_a_filler_number_the_placer_number_is_the_key():
    assert one(siu(sch(f2="", f1="P1^OFFICE"), PID), "Appointment").key == "PLAC|OFFICE|P1"


def test_without_any_number_there_is_a_finding_and_no_appointment():
    conversion = siu(sch(f1="", f2=""), PID)
    assert every(conversion, "Appointment") == []
    assert "appointment_number_missing" in {finding.code for finding in conversion.findings}


@pytest.mark.parametrize(
    ("event", "sent", "fhir", "practice"),
    [
        ("S12", "", "booked", "booked"),
        ("S15", "", "cancelled", "cancelled"),
        ("S26", "", "noshow", "no_show"),
        ("S14", "Complete", "fulfilled", "fulfilled"),
        ("S12", "Cancelled", "cancelled", "cancelled"),
        ("S26", "Booked", "booked", "booked"),
        ("S14", "CONFIRMED", "booked", "confirmed"),
        ("S14", "Started", "checked-in", "checked_in"),
        ("S14", "Arrived^Arrived^L", "arrived", "arrived"),
        ("S14", "Deleted", "entered-in-error", "entered_in_error"),
        ("S14", "no show", "noshow", "no_show"),
    ],
)
def test_the_filler_status_wins_over_the_trigger(event, sent, fhir, practice):
    appointment = one(siu(sch(f25=sent), PID, event=event), "Appointment")
    assert (appointment.body["status"], appointment.facts["status"]) == (fhir, practice)
    assert appointment.facts.get("source_status", "") == sent.partition("^")[0]


def test_a_status_that_the_table_does_not_know_leaves_the_trigger_to_decide_with_a_finding():
    conversion = siu(sch(f25="PARKED"), PID, event="S15")
    assert body(conversion, "Appointment")["status"] == "cancelled"
    assert one(conversion, "Appointment").facts["source_status"] == "PARKED"
    assert ("code_unmapped", "SCH-25") in codes(conversion)


RESOURCES = (
    "RGS|1",
    segment("AIS", f1="1", f3="FU^Follow up^L", f4="20260110100000", f7="20", f8="MIN"),
    segment("AIG", f1="1", f3="X1^Scanner^L", f4="EQ^Equipment", f8="20260110110000"),
    segment("AIL", f1="1", f3="CLINIC^2^^MAIN", f6="20260110120000"),
    segment("AIP", f1="1", f3="1^HOUSE^GREG", f4="MD", f6="20260110130000"),
)


@pytest.mark.parametrize(
    ("order", "hour"),
    [
        (("SCH-11.4", "AIS-4"), "14"),
        (("AIS-4", "SCH-11.4"), "15"),
        (("AIG-8",), "16"),
        (("AIL-6",), "17"),
        (("AIP-6",), "18"),
        (("TQ1-7", "AIP-6"), "18"),
    ],
)
def test_the_start_is_taken_in_the_order_of_the_source(order, hour):
    conversion = siu(sch(), PID, *RESOURCES, appointment_start_order=order)
    (field,) = one(conversion, "Appointment").lineage["start"]
    assert field[0] in {path.partition(".")[0] for path in order}
    assert body(conversion, "Appointment")["start"] == f"2026-01-10T{hour}:00:00.000Z"


@pytest.mark.parametrize(
    ("fields", "segments", "minutes", "end"),
    [
        ({"f11": TIMES}, (), None, "14:30"),
        ({"f11": "^^^20260110090000", "f9": "45", "f10": "MIN"}, (), 45, "14:45"),
        ({"f11": "^^^20260110090000", "f9": "2", "f10": "HR^Hours"}, (), 120, "16:00"),
        ({"f11": "^^M15^20260110090000"}, (), 15, "14:15"),
        ({"f11": "^^^20260110090000"}, ("RGS|1", "AIS|1||FU||||20|MIN"), 20, "14:20"),
    ],
)
def test_the_end_is_written_or_comes_from_the_duration(fields, segments, minutes, end):
    appointment = body(siu(sch(**fields), PID, *segments), "Appointment")
    assert appointment["end"] == f"2026-01-10T{end}:00.000Z"
    assert appointment.get("minutesDuration") == minutes


def test_a_start_without_an_end_says_that_the_end_is_unknown():
    appointment = body(siu(sch(f11="^^^20260110090000"), PID), "Appointment")
    assert appointment["_end"]["extension"][0]["valueCode"] == "unknown"


def test_no_start_anywhere_is_a_finding_and_never_a_guess():
    conversion = siu(sch(f11=""), PID)
    appointment = body(conversion, "Appointment")
    assert "start" not in appointment and "end" not in appointment
    assert ("start_missing", "SCH-11") in codes(conversion)


def test_without_a_zone_the_day_is_kept_as_the_requested_period():
    appointment = body(siu(sch(), PID, timezone=None), "Appointment")
    assert "start" not in appointment
    assert appointment["requestedPeriod"] == [{"start": "2026-01-10"}]


def test_patient_provider_place_and_thing_take_part():
    conversion = siu(sch(), PID, *RESOURCES)
    actors = [entry["actor"] for entry in body(conversion, "Appointment")["participant"]]
    assert [actor.get("reference", "").partition("/")[0] for actor in actors] == [
        "Patient",
        "Practitioner",
        "",
        "Location",
    ]
    assert actors[2] == {"display": "Scanner"}
    assert body(conversion, "Appointment")["serviceType"] == [
        {"coding": [{"system": "urn:chartwire:system:L", "code": "FU", "display": "Follow up"}], "text": "Follow up"}
    ]


@pytest.mark.parametrize(
    "general", ["AIG|1||9^Dr House^L|P^Provider", "AIG|1||9^HOUSE^GREGORY", "AIG|1||9^Dr House|DOCTOR"]
)
def test_the_provider_may_stand_in_aig_and_is_the_same_as_in_aip(general):
    in_aig = one(siu(sch(), PID, "RGS|1", general), "Practitioner")
    in_aip = one(siu(sch(), PID, "RGS|1", "AIP|1||9^HOUSE^GREGORY"), "Practitioner")
    assert in_aig.id == in_aip.id


def test_a_provider_without_an_identifier_is_shown_by_name_only():
    conversion = siu(sch(), PID, "RGS|1", "AIP|1||^HOUSE^GREGORY")
    assert every(conversion, "Practitioner") == []
    assert body(conversion, "Appointment")["participant"][1]["actor"] == {"display": "GREGORY HOUSE"}


def test_resources_without_rgs_are_read_all_the_same():
    assert len(body(siu(sch(), PID, *RESOURCES[1:]), "Appointment")["participant"]) == 4


def test_the_old_appointment_of_a_rebooking_is_a_fact():
    assert one(siu(sch(f24="F0"), PID), "Appointment").facts["parent_key"] == "FILL|HOSP|F0"


def test_an_appointment_without_a_patient_is_kept_with_a_finding():
    conversion = siu(sch())
    assert conversion.patient_keys == ()
    assert ("no_patient", "PID-3") in codes(conversion)
    assert every(conversion, "Appointment")


def test_the_reason_of_a_cancellation_is_kept():
    appointment = body(siu(sch(f6="SICK^Patient ill^L"), PID, event="S15"), "Appointment")
    assert appointment["cancelationReason"]["coding"][0]["display"] == "Patient ill"


def test_notes_of_the_appointment_and_of_its_service_are_its_comment():
    note = siu(sch(), "NTE|1||Bring the card.", PID, "RGS|1", "AIS|1||FU", "NTE|1||Fasting.")
    assert body(note, "Appointment")["comment"] == "Bring the card.\nFasting."
