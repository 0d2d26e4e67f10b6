"""AL1, DG1, NK1, IN1: resources with a stable identity, and the snapshot that they make."""

import pytest
from tests.mapping_messages import PID, PV1, adt, body, codes, every, one, segment

ALLERGY = "AL1|1|DA|70618^Penicillin^RXNORM|SV|Hives~Rash|20200101"


def snapshot_of(conversion, segment):
    (found,) = [snapshot for snapshot in conversion.snapshots if snapshot.segment == segment]
    return found


def test_an_allergy_has_code_category_criticality_and_reactions():
    allergy = body(adt(PID, ALLERGY), "AllergyIntolerance")
    assert allergy["category"] == ["medication"]
    assert allergy["criticality"] == "high"
    assert allergy["code"]["coding"][0]["system"] == "http://www.nlm.nih.gov/research/umls/rxnorm"
    assert allergy["reaction"] == [{"manifestation": [{"text": "Hives"}, {"text": "Rash"}], "severity": "severe"}]
    assert allergy["onsetDateTime"] == "2020-01-01"


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("AllergyIntolerance", ALLERGY),
        ("RelatedPerson", "NK1|1|DOE^JOHN|SPO"),
        ("Coverage", "IN1|1|PPO^Gold|77^^^INS|ACME||||G1|||||||||||||||||||||||||||P123"),
        ("Condition", "DG1|1|ICD|I10^Hypertension^I10C||20260101|W"),
    ],
)
def test_a_resend_gives_the_same_ids_whatever_the_set_id(kind, line):
    first = adt(PID, PV1, line)
    again = adt(PID, PV1, line.replace("|1|", "|7|", 1))
    assert [mapped.id for mapped in every(first, kind)] == [mapped.id for mapped in every(again, kind)] != []


def test_the_keys_of_relatives_hold_no_name():
    assert "JOHN" not in one(adt(PID, "NK1|1|DOE^JOHN|SPO"), "RelatedPerson").key.upper()


def test_an_identifier_of_the_relative_comes_before_the_name():
    named = "NK1|1|DOE^JOHN|SPO" + "|" * 30 + "R9^^^HOSP^PI"
    renamed = named.replace("JOHN", "JON")
    assert one(adt(PID, named), "RelatedPerson").id == one(adt(PID, renamed), "RelatedPerson").id


def test_a_snapshot_lists_all_members_for_its_patient():
    conversion = adt(PID, ALLERGY, "AL1|2|FA|^Peanut|MO")
    snapshot = snapshot_of(conversion, "AL1")
    assert snapshot.scope == f"Patient/{one(conversion, 'Patient').id}"
    assert set(snapshot.members) == {mapped.id for mapped in every(conversion, "AllergyIntolerance")}
    assert snapshot.mode == "snapshot"


def test_diagnoses_are_a_list_of_the_visit_where_there_is_one():
    conversion = adt(PID, PV1, "DG1|1||I10^Hypertension^I10C|||A")
    condition, encounter = one(conversion, "Condition"), one(conversion, "Encounter")
    assert snapshot_of(conversion, "DG1").scope == f"Encounter/{encounter.id}"
    assert condition.body["encounter"]["reference"] == f"Encounter/{encounter.id}"
    (diagnosis,) = encounter.body["diagnosis"]
    assert diagnosis["condition"]["reference"] == f"Condition/{condition.id}"
    assert diagnosis["use"]["coding"][0]["code"] == "AD"


def test_diagnoses_without_a_visit_are_a_list_of_the_patient():
    conversion = adt(PID, "DG1|1||I10^Hypertension^I10C|||A")
    assert snapshot_of(conversion, "DG1").scope == f"Patient/{one(conversion, 'Patient').id}"


def test_one_segment_of_nothing_but_null_clears_the_list():
    conversion = adt(PID, 'AL1|1|""|""|""')
    snapshot = snapshot_of(conversion, "AL1")
    assert snapshot.members == ()
    assert every(conversion, "AllergyIntolerance") == []


def test_a_cleared_list_of_relatives_clears_the_contacts_too():
    conversion = adt(PID, 'NK1|1|""|""')
    assert one(conversion, "Patient").clears == {"contact": "NK1"}
    assert snapshot_of(conversion, "NK1").members == ()


def test_no_segment_says_nothing_of_the_list():
    assert adt(PID, PV1).snapshots == []


def test_a_list_with_an_entry_that_cannot_be_keyed_is_not_taken_as_full():
    conversion = adt(PID, ALLERGY, "AL1|2|DA||SV")
    assert conversion.snapshots == []
    assert ("snapshot_incomplete", "AL1") in codes(conversion)


def test_action_codes_change_only_the_members_that_they_name():
    def diagnosis(code, action):
        return f"DG1|1||{code}^x^I10C|||A" + "|" * 15 + action

    conversion = adt(PID, PV1, diagnosis("I10", "A"), diagnosis("E11", "D"))
    snapshot = snapshot_of(conversion, "DG1")
    kept, gone = every(conversion, "Condition")
    assert (snapshot.mode, snapshot.members, snapshot.deleted) == ("action", (kept.id,), (gone.id,))
    assert gone.body["verificationStatus"]["coding"][0]["code"] == "entered-in-error"
    assert "clinicalStatus" not in gone.body


def test_the_same_entry_twice_is_taken_once_and_the_list_stays_full():
    conversion = adt(PID, ALLERGY, ALLERGY)
    assert len(every(conversion, "AllergyIntolerance")) == 1
    assert len(snapshot_of(conversion, "AL1").members) == 1


def test_an_employer_is_a_contact_and_no_related_person():
    conversion = adt(PID, "NK1|1||E^Employer^HL70131||||||||||ACME^^5")
    assert every(conversion, "RelatedPerson") == []
    assert "organization" in body(conversion, "Patient")["contact"][0]


def test_a_coverage_names_payor_member_and_plan():
    plan = {"f2": "PPO^Gold Plan", "f3": "77^^^INS", "f4": "ACME INSURANCE", "f8": "G1", "f17": "SEL", "f36": "P123"}
    insurance = segment("IN1", f1="1", **plan)
    conversion = adt(PID, insurance)
    coverage = body(conversion, "Coverage")
    company = one(conversion, "Organization")
    assert coverage["payor"] == [{"reference": f"Organization/{company.id}"}]
    assert company.directory and company.body["name"] == "ACME INSURANCE"
    assert coverage["subscriberId"] == "P123"
    assert coverage["subscriber"] == coverage["beneficiary"]
    assert [item["value"] for item in coverage["class"]] == ["G1", "PPO"]


def test_a_coverage_without_a_company_says_that_the_payor_is_unknown():
    (payor,) = body(adt(PID, "IN1|1|PPO^Gold"), "Coverage")["payor"]
    assert payor["extension"][0]["valueCode"] == "unknown"


def test_a_procedure_belongs_to_the_visit_and_is_never_said_to_be_done():
    conversion = adt(PID, PV1, "PR1|1||47562^Cholecystectomy^C4||202601050800|S|90|||||77^Adeyemi^Tola^^^Dr^^^NPI")
    procedure = body(conversion, "Procedure")
    assert procedure["status"] == "unknown"
    assert procedure["performedPeriod"] == {"start": "2026-01-05T13:00:00.000Z", "end": "2026-01-05T14:30:00.000Z"}
    assert procedure["encounter"]["reference"] == f"Encounter/{one(conversion, 'Encounter').id}"
    [snapshot] = [found for found in conversion.snapshots if found.segment == "PR1"]
    assert snapshot.members == (one(conversion, "Procedure").id,)
