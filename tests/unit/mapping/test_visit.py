"""PV1, PV2 and ROL to Encounter, Practitioner, Location."""

import pytest
from tests.mapping_messages import PID, PV1, adt, body, codes, convert, every, message, one, pv1


@pytest.mark.parametrize(
    ("segments", "key"),
    [
        ((PID, pv1(f2="O", f19="V1^^^HOSP^VN", f50="A9")), "VN|HOSP|V1"),
        ((PID, pv1(f2="O", f19="V1")), "VN|HOSP|V1"),
        ((PID, pv1(f2="O", f50="A9^^^HOSP")), "VN|HOSP|A9"),
        ((PID + "||||||||||" + "ACC5", pv1(f2="O")), "AN|HOSP|ACC5"),
    ],
)
def test_a_visit_is_known_by_pv1_19_else_pv1_50_else_pid_18(segments, key):
    assert one(adt(*segments), "Encounter").key == key


def test_without_any_visit_number_there_is_a_finding_and_no_encounter():
    conversion = adt(PID, pv1(f2="O", f3="CLINIC"))
    assert every(conversion, "Encounter") == []
    assert "visit_number_missing" in {finding.code for finding in conversion.findings}


def test_class_n_opens_no_encounter_and_leaves_no_finding():
    conversion = adt(PID, pv1(f2="N", f19="V1"))
    assert every(conversion, "Encounter") == []
    assert conversion.findings == []


def test_pv1_in_orders_and_schedules_opens_no_encounter():
    for data in (
        message("ORU^R01", PID, PV1, "OBR|1||F1|GLU^Glucose^L|||20260105"),
        message("SIU^S12", "SCH|P1|F1", PID, PV1),
    ):
        assert every(convert(data), "Encounter") == []


@pytest.mark.parametrize(
    ("sent", "status"), [("I", "in-progress"), ("P", "planned"), ("U", "unknown"), ("ZZ", "unknown")]
)
def test_the_status_follows_the_patient_class_and_is_never_invented(sent, status):
    assert body(adt(PID, pv1(f2=sent, f19="V1")), "Encounter")["status"] == status


def test_a_discharge_time_finishes_the_visit():
    encounter = one(adt(PID, pv1(f2="I", f19="V1", f44="20260101080000", f45="20260103")), "Encounter")
    assert encounter.body["status"] == "finished"
    assert encounter.body["period"] == {"start": "2026-01-01T08:00:00-05:00", "end": "2026-01-03"}
    assert encounter.lineage["status"] == (("PV1-45", 1),)
    assert encounter.lineage["period.start"] == (("PV1-44", 1),)


def test_a_local_class_keeps_its_code_without_a_false_system():
    conversion = adt(PID, pv1(f2="DAY", f19="V1"))
    assert body(conversion, "Encounter")["class"] == {"code": "DAY"}
    assert ("code_unmapped", "PV1-2") in codes(conversion)


def test_doctors_with_an_identifier_are_practitioners_shared_by_all_patients():
    conversion = adt(PID, PV1)
    doctor = one(conversion, "Practitioner")
    assert doctor.key == "NPI|NPI|1234"
    assert doctor.directory
    assert doctor.body["identifier"][0]["system"] == "http://hl7.org/fhir/sid/us-npi"
    (participant,) = body(conversion, "Encounter")["participant"]
    assert participant["individual"] == {"reference": f"Practitioner/{doctor.id}", "display": "DR GREGORY HOUSE"}
    assert participant["type"][0]["coding"][0]["code"] == "ATND"


def test_a_doctor_without_an_identifier_is_a_name_to_show_and_no_resource():
    conversion = adt(PID, pv1(f2="O", f19="V1", f7="^HOUSE^GREGORY"))
    assert every(conversion, "Practitioner") == []
    assert body(conversion, "Encounter")["participant"][0]["individual"] == {"display": "GREGORY HOUSE"}


def test_the_same_doctor_in_two_roles_is_one_practitioner():
    conversion = adt(PID, pv1(f2="O", f19="V1", f7="1^HOUSE^G^^^^^^HOSP", f17="1^HOUSE^GREGORY^^^^^^HOSP"))
    assert len(every(conversion, "Practitioner")) == 1
    assert len(body(conversion, "Encounter")["participant"]) == 2


def test_a_place_is_a_chain_from_bed_to_facility_keyed_by_the_whole_path():
    conversion = adt(PID, PV1)
    places = {place.key: place for place in every(conversion, "Location")}
    assert list(places) == [
        "facility=MAIN",
        "facility=MAIN|poc=CLINIC",
        "facility=MAIN|poc=CLINIC|room=2",
        "facility=MAIN|poc=CLINIC|room=2|bed=B",
    ]
    bed, room = places["facility=MAIN|poc=CLINIC|room=2|bed=B"], places["facility=MAIN|poc=CLINIC|room=2"]
    assert bed.body["partOf"]["reference"] == f"Location/{room.id}"
    assert bed.body["name"] == "CLINIC 2 B"
    (where,) = body(conversion, "Encounter")["location"]
    assert where["location"]["reference"] == f"Location/{bed.id}"


def test_what_is_referred_to_comes_before_what_refers_to_it():
    kinds = [mapped.type for mapped in adt(PID, PV1).resources]
    assert kinds == ["Patient", "Practitioner", "Location", "Location", "Location", "Location", "Encounter"]


def test_a_role_is_a_participant_with_its_period():
    conversion = adt(PID, PV1, "ROL|1|AD|CP^Consulting^HL70443|55^WILSON^JAMES|20260101")
    consultant = body(conversion, "Encounter")["participant"][1]
    assert consultant["type"][0]["coding"][0]["code"] == "CON"
    assert consultant["period"] == {"start": "2026-01-01"}


def test_the_location_s_zone_comes_before_the_source_s():
    zones = (("MAIN", "America/Denver"),)
    visit = pv1(f2="O", f3="CLINIC^^^MAIN", f19="V1", f44="202601010800")
    assert body(adt(PID, visit, facility_zones=zones), "Encounter")["period"]["start"] == "2026-01-01T08:00:00-07:00"


def test_a_written_offset_comes_before_every_zone():
    visit = pv1(f2="O", f19="V1", f44="202601010800+0100")
    assert body(adt(PID, visit), "Encounter")["period"]["start"] == "2026-01-01T08:00:00+01:00"


def test_without_any_zone_a_time_keeps_its_date_only_with_a_finding():
    conversion = adt(PID, pv1(f2="O", f19="V1", f44="202601010800"), timezone=None)
    assert body(conversion, "Encounter")["period"]["start"] == "2026-01-01"
    assert ("no_zone", "PV1-44") in codes(conversion)


def test_a_doctor_met_before_brings_the_same_findings_again():
    visit = pv1(f2="O", f19="V1", f7="1^HOUSE^G^^^^^^HOSP^ODD~2^WILSON^J^^^^^^HOSP^ODD")
    alone = pv1(f2="O", f19="V2", f7="2^WILSON^J^^^^^^HOSP^ODD")
    for _ in range(2):
        assert ("code_unmapped", "PV1-7") in codes(adt(PID, visit))
        assert ("code_unmapped", "PV1-7") in codes(adt(PID, alone))


def test_a_doctor_met_before_is_drawn_anew_for_every_message():
    first, second = (one(adt(PID, PV1), "Practitioner") for _ in range(2))
    assert first.body == second.body and first.body is not second.body
    first.body["active"] = False
    assert "active" not in one(adt(PID, PV1), "Practitioner").body
