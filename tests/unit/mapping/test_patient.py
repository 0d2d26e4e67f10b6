"""PID, PD1 and NK1 to Patient."""

import pytest
from tests.mapping_messages import PID, adt, body, codes, convert, message, one, segment

from chartwire.core.errors import MappingError
from chartwire.core.source import IdentifierRule
from chartwire.mapping import PatientKey


def pid(**fields):
    return segment("PID", **({"f1": "1", "f3": "12345^^^HOSP^MR", "f5": "DOE^JANE"} | fields))


def test_a_name_keeps_family_given_middle_suffix_prefix_and_use():
    patient = body(adt(pid(f5="DOE&VAN^JANE^Q^JR^DR^MD^L")), "Patient")
    assert patient["name"] == [
        {"use": "official", "family": "DOE", "given": ["JANE", "Q"], "prefix": ["DR"], "suffix": ["JR", "MD"]}
    ]


def test_whitespace_and_empty_repetitions_leave_no_trace():
    patient = body(adt(pid(f5="  ^  ~DOE^JANE~", f11="^^  ~^^^", f13="~")), "Patient")
    assert patient["name"] == [{"family": "DOE", "given": ["JANE"]}]
    assert "address" not in patient
    assert "telecom" not in patient


def test_every_pid_3_identifier_stands_with_its_type_and_system():
    identifiers = body(adt(pid(f3="1^^^HOSP^MR~2^^^&1.2.3&ISO^PI~3^^^^AN", f19="123-45-6780")), "Patient")["identifier"]
    assert [(item["system"], item["value"]) for item in identifiers] == [
        ("urn:chartwire:authority:HOSP", "1"),
        ("urn:oid:1.2.3", "2"),
        ("urn:chartwire:authority:HOSP", "3"),
        ("http://hl7.org/fhir/sid/us-ssn", "123456780"),
    ]
    assert [item["type"]["coding"][0]["code"] for item in identifiers] == ["MR", "PI", "AN", "SS"]


def test_patient_keys_follow_the_order_of_the_sources_rules():
    rules = (IdentifierRule("", "MR"), IdentifierRule("STATE", "PI"))
    conversion = adt(pid(f3="9^^^STATE^PI~1^^^^MR~5^^^OTHER^MR~7^^^HOSP^AN"), identifiers=rules)
    assert conversion.patient_keys == (PatientKey("HOSP", "MR", "1"), PatientKey("STATE", "PI", "9"))
    patient = one(conversion, "Patient")
    assert patient.key == "MR|HOSP|1"
    assert patient.keys == ("PI|STATE|9",)


def test_account_and_visit_numbers_never_identify_even_where_a_rule_names_them():
    with pytest.raises(MappingError) as refused:
        adt(pid(f3="1^^^HOSP^AN~2^^^HOSP^VN"), identifiers=(IdentifierRule("*", "AN"), IdentifierRule("*", "*")))
    assert (refused.value.code, refused.value.field) == ("patient_identifier_missing", "PID-3")


@pytest.mark.parametrize("value", ["999-99-9999", "000000", "UNKNOWN", "unk", "N/A", "XXX", "TEST"])
def test_a_placeholder_does_not_identify_and_leaves_a_finding(value):
    conversion = adt(pid(f3=f"{value}^^^HOSP^MR~12^^^HOSP^PI"))
    assert conversion.patient_keys == (PatientKey("HOSP", "PI", "12"),)
    assert ("placeholder_identifier", "PID-3") in codes(conversion)


def test_an_identifier_without_type_counts_as_the_first_type_of_its_authority():
    assert adt(pid(f3="77")).patient_keys == (PatientKey("HOSP", "MR", "77"),)


def test_no_finding_and_no_error_holds_the_identifier():
    with pytest.raises(MappingError) as refused:
        adt(pid(f3="SECRET77^^^ELSEWHERE^XX"))
    assert "SECRET77" not in str(refused.value)


def test_a_file_on_a_desk_converts_without_an_identifier():
    from tests.mapping_soundness import problems, source

    from chartwire.formats.hl7v2 import parse
    from chartwire.mapping import load_maps

    conversion = load_maps().convert(parse(message("ADT^A01", pid(f3=""))), source(), anonymous=True)
    assert one(conversion, "Patient").key == "MSG|HOSP|M1/1"
    assert problems(conversion) == []


def test_null_clears_the_element_and_never_reaches_the_body():
    patient = one(adt(pid(f5='DOE^""', f8='""', f11='""^""', f13='""')), "Patient")
    assert patient.clears == {"gender": "PID-8", "address": "PID-11", "telecom": "PID-13"}
    assert patient.body["name"] == [{"family": "DOE"}]
    assert '""' not in str(patient.body)


def test_a_list_that_several_fields_cleared_names_them_all():
    assert one(adt(pid(f13='""', f14='""')), "Patient").clears == {"telecom": "PID-13 PID-14"}


def test_what_is_empty_is_neither_cleared_nor_set():
    patient = one(adt(pid()), "Patient")
    assert patient.clears == {}
    assert "gender" not in patient.body
    assert "gender" not in patient.lineage


def test_lineage_counts_the_items_of_every_field_in_array_order():
    patient = one(adt(pid(f13="^PRN^PH^^^555^1234~^PRN^CP^^^555^9999", f14="555-2000", f7="19800229")), "Patient")
    assert patient.lineage["telecom"] == (("PID-13", 2), ("PID-14", 1))
    assert patient.lineage["birthDate"] == (("PID-7", 1),)
    assert len(patient.body["telecom"]) == 3


@pytest.mark.parametrize(
    ("sent", "telecom"),
    [
        ("(555)123-4567", {"system": "phone", "value": "(555)123-4567", "use": "home"}),
        ("^PRN^CP^^1^555^1234567^12", {"system": "phone", "value": "+1 555 1234567 X12", "use": "mobile"}),
        ("^NET^Internet^a@b.example", {"system": "email", "value": "a@b.example", "use": "home"}),
        ("^WPN^FX^^^555^1234567", {"system": "fax", "value": "555 1234567", "use": "work"}),
        ("a@b.example", {"system": "email", "value": "a@b.example", "use": "home"}),
    ],
)
def test_a_contact_point_has_system_value_and_use(sent, telecom):
    assert body(adt(pid(f13=sent)), "Patient")["telecom"] == [telecom]


def test_a_contact_point_of_unknown_kind_says_that_its_system_is_unknown():
    (telecom,) = body(adt(pid(f13="call the desk")), "Patient")["telecom"]
    assert "system" not in telecom
    assert telecom["_system"]["extension"][0]["valueCode"] == "unknown"


@pytest.mark.parametrize(("sent", "date"), [("1980", "1980"), ("198002", "1980-02"), ("19800229", "1980-02-29")])
def test_a_birth_date_keeps_its_precision(sent, date):
    assert body(adt(pid(f7=sent)), "Patient")["birthDate"] == date


def test_a_birth_date_never_shifts_and_its_time_stands_beside_it():
    patient = body(adt(pid(f7="198002292330+0200"), timezone="America/Los_Angeles"), "Patient")
    assert patient["birthDate"] == "1980-02-29"
    assert patient["_birthDate"]["extension"][0]["valueDateTime"] == "1980-02-29T23:30:00+02:00"


def test_a_birth_date_that_is_no_date_is_left_out_with_a_finding():
    conversion = adt(pid(f7="19801332"))
    assert "birthDate" not in body(conversion, "Patient")
    assert ("bad_time", "PID-7") in codes(conversion)


def test_a_gender_that_the_table_does_not_map_is_kept_as_sent_and_never_guessed():
    conversion = adt(pid(f8="X"))
    patient = body(conversion, "Patient")
    assert "gender" not in patient
    original = patient["_gender"]["extension"][0]["valueCodeableConcept"]["coding"][0]
    assert original == {"system": "http://terminology.hl7.org/CodeSystem/v2-0001", "code": "X"}
    assert ("code_unmapped", "PID-8") in codes(conversion)


def test_race_and_ethnicity_are_us_core_extensions():
    patient = body(adt(pid(f10="2106-3^White^CDCREC~2028-9^Asian^HL70005", f22="H^Hispanic^HL70189")), "Patient")
    race, ethnicity = patient["extension"]
    assert [part["valueCoding"]["code"] for part in race["extension"] if part["url"] == "ombCategory"] == [
        "2106-3",
        "2028-9",
    ]
    assert race["extension"][-1] == {"url": "text", "valueString": "White, Asian"}
    assert ethnicity["extension"][0]["valueCoding"] == {
        "system": "urn:oid:2.16.840.1.113883.6.238",
        "code": "2135-2",
        "display": "Hispanic or Latino",
    }


def test_a_local_race_code_is_text_only():
    (race,) = body(adt(pid(f10="W^Caucasian")), "Patient")["extension"]
    assert race["extension"] == [{"url": "text", "valueString": "Caucasian"}]


def test_death_and_birth_order_take_one_form_each():
    patient = body(adt(pid(f24="Y", f25="2", f29="20260101", f30="Y")), "Patient")
    assert patient["deceasedDateTime"] == "2026-01-01"
    assert patient["multipleBirthInteger"] == 2
    assert not {"deceasedBoolean", "multipleBirthBoolean"} & set(patient)


def test_a_multiple_birth_is_a_fact_for_the_record():
    assert one(adt(pid(f24="Y")), "Patient").facts == {"multiple_birth": True}
    assert one(adt(pid(f24="N")), "Patient").facts == {}


def test_the_county_belongs_to_the_only_address():
    assert body(adt(pid(f11="1 MAIN^^TOWN^MA", f12="ESSEX")), "Patient")["address"] == [
        {"line": ["1 MAIN"], "city": "TOWN", "district": "ESSEX", "state": "MA"}
    ]


def test_next_of_kin_is_a_contact_of_the_patient_too():
    contact = body(adt(PID, "NK1|1|DOE^JOHN|SPO^Spouse^HL70063||555-123-4567"), "Patient")["contact"]
    assert contact[0]["name"] == {"family": "DOE", "given": ["JOHN"]}
    assert contact[0]["relationship"][0]["coding"][0]["code"] == "SPS"


def test_the_language_takes_its_bcp_47_code():
    assert body(adt(pid(f15="SPA^Spanish^ISO639")), "Patient")["communication"] == [
        {"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": "es", "display": "Spanish"}]}}
    ]


def test_escapes_are_decoded_in_names():
    data = message("ADT^A01", pid(f5=r"O\T\NEIL^JO\S\E"))
    assert body(convert(data), "Patient")["name"] == [{"family": "O&NEIL", "given": ["JO^E"]}]
