"""ORU R01 to DiagnosticReport, Observation, ServiceRequest, Specimen: domain-rules.md section 7."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from tests.mapping_messages import body, codes, every, one, oru, segment

ORC = "ORC|RE|P9^OFFICE|F9^LAB"
OBR = segment(
    "OBR", f1="1", f2="P9^OFFICE", f3="F9^LAB", f4="24323-8^Panel^LN", f7="20260105080000", f22="20260105090000",
    f24="CH", f25="F",
)  # fmt: skip


def obx(**fields):
    return segment("OBX", **({"f1": "1", "f2": "NM", "f3": "2345-7^Glucose^LN", "f5": "90", "f11": "F"} | fields))


def test_a_result_is_known_by_filler_number_order_code_result_code_and_sub_id_and_never_by_obx_1():
    first = one(oru(OBR, obx(f1="1", f4="a")), "Observation")
    later = one(oru(OBR, obx(f1="9", f4="a")), "Observation")
    assert first.key == later.key == "FILL|LAB|F9|LN^24323-8|LN^2345-7|a"
    assert first.id != one(oru(OBR, obx(f4="b")), "Observation").id


def test_a_report_is_known_by_filler_number_and_order_code():
    assert one(oru(OBR, obx()), "DiagnosticReport").key == "FILL|LAB|F9|LN^24323-8"


@pytest.mark.parametrize(
    ("orc", "fields", "key"),
    [
        ("ORC|RE||F2^LAB", {"f2": "", "f3": ""}, "FILL|LAB|F2"),
        ("ORC|RE|P2", {"f2": "", "f3": ""}, "PLAC|HOSP|P2"),
        ("ORC|RE", {"f2": "", "f3": ""}, "MSG|HOSP|M1|1"),
    ],
)
def test_where_the_filler_number_is_missing_the_next_best_takes_its_place(orc, fields, key):
    order = segment("OBR", **({"f1": "1", "f4": "X^x^L", "f25": "F"} | fields))
    assert one(oru(orc, order, obx()), "DiagnosticReport").key == f"{key}|L^X"


def test_identical_results_of_one_order_get_an_ordinal():
    keys = [mapped.key for mapped in every(oru(OBR, obx(f5="1"), obx(f5="2"), obx(f5="3")), "Observation")]
    assert keys[1:] == [f"{keys[0]}|2", f"{keys[0]}|3"]


def test_status_facts_are_those_of_obx_11_obr_25_and_obr_22():
    assert one(oru(ORC, OBR, obx(f11="C")), "Observation").facts == {
        "result_status": "C",
        "report_status": "F",
        "reported_at": datetime(2026, 1, 5, 14, tzinfo=UTC),
        "order_control": "RE",
    }


@pytest.mark.parametrize(
    ("sent", "status"),
    [("F", "final"), ("P", "preliminary"), ("C", "corrected"), ("W", "entered-in-error"), ("D", "entered-in-error"),
     ("X", "cancelled"), ("", "unknown"), ("Q", "unknown")],
)  # fmt: skip
def test_every_obx_11_sets_its_own_observation_and_final_is_never_invented(sent, status):
    conversion = oru(OBR, obx(f11=sent))
    assert body(conversion, "Observation")["status"] == status
    assert body(conversion, "DiagnosticReport")["status"] == "final"


@pytest.mark.parametrize(("sent", "status"), [("P", "preliminary"), ("", "unknown"), ("Z", "unknown")])
def test_obr_25_sets_the_report(sent, status):
    order = segment("OBR", f1="1", f3="F9", f4="X", f25=sent)
    assert body(oru(order, obx()), "DiagnosticReport")["status"] == status


def test_a_status_that_no_table_knows_is_kept_beside_unknown():
    observation = body(oru(OBR, obx(f11="Q")), "Observation")
    original = observation["_status"]["extension"][0]["valueCodeableConcept"]["coding"][0]
    assert original == {"system": "http://terminology.hl7.org/CodeSystem/v2-0085", "code": "Q"}


VALUES = [
    ("NM", "5.60", "mmol/L", {"valueQuantity": {"value": Decimal("5.60"), "unit": "mmol/L"}}),
    ("NM", "-7", "", {"valueQuantity": {"value": -7}}),
    ("NM", ">200", "mg/dL", {"valueQuantity": {"value": 200, "comparator": ">", "unit": "mg/dL"}}),
    ("NM", "<= 0.5", "", {"valueQuantity": {"value": 0.5, "comparator": "<="}}),
    ("NM", "9" * 400, "", {"valueString": "9" * 400}),
    ("NM", "positive", "", {"valueString": "positive"}),
    ("SN", ">^100", "mg/dL", {"valueQuantity": {"value": 100, "comparator": ">", "unit": "mg/dL"}}),
    ("SN", "^1^:^128", "", {"valueRatio": {"numerator": {"value": 1}, "denominator": {"value": 128}}}),
    (
        "SN",
        "^0^-^10",
        "/HPF",
        {"valueRange": {"low": {"value": 0, "unit": "/HPF"}, "high": {"value": 10, "unit": "/HPF"}}},
    ),
    ("SN", "^2^+", "", {"valueString": "2 +"}),
    ("SN", "<>^10", "mg", {"valueString": "<> 10 mg"}),
    ("SN", "^few", "", {"valueString": "few"}),
    ("SN", "^5^-", "", {"valueString": "5 -"}),
    ("SN", "^1^:^none", "", {"valueString": "1 : none"}),
    ("SN", "^7^*", "", {"valueQuantity": {"value": 7}}),
    ("ST", "yellow", "", {"valueString": "yellow"}),
    ("ST", "72", "/min", {"valueQuantity": {"value": 72, "unit": "/min"}}),
    ("ST", "a^b&c", "", {"valueString": "a^b&c"}),
    ("TX", r"line one\.br\line two", "", {"valueString": "line one\nline two"}),
    ("FT", r"A\T\B", "", {"valueString": "A&B"}),
    ("DT", "20260105", "", {"valueDateTime": "2026-01-05"}),
    ("TS", "202601050830", "", {"valueDateTime": "2026-01-05T08:30:00-05:00"}),
    ("TM", "0830", "", {"valueTime": "08:30:00"}),
    ("NR", "1^5", "g", {"valueRange": {"low": {"value": 1, "unit": "g"}, "high": {"value": 5, "unit": "g"}}}),
    ("QQ", "odd", "", {"valueString": "odd"}),
]


@pytest.mark.parametrize(("kind", "sent", "unit", "value"), VALUES)
def test_a_value_keeps_its_meaning(kind, sent, unit, value):
    observation = body(oru(OBR, obx(f2=kind, f5=sent, f6=unit)), "Observation")
    assert {name: item for name, item in observation.items() if name.startswith("value")} == value


def test_a_coded_value_keeps_code_text_and_both_systems():
    sent = "260373001^Detected^SCT^POS^Positive^L"
    assert body(oru(OBR, obx(f2="CWE", f5=sent)), "Observation")["valueCodeableConcept"]["coding"] == [
        {"system": "http://snomed.info/sct", "code": "260373001", "display": "Detected"},
        {"system": "urn:chartwire:system:L", "code": "POS", "display": "Positive"},
    ]


def test_units_are_ucum_only_where_obx_6_says_so():
    quantity = body(oru(OBR, obx(f6="mg/dL^milligram per decilitre^UCUM")), "Observation")["valueQuantity"]
    assert (quantity["system"], quantity["code"]) == ("http://unitsofmeasure.org", "mg/dL")
    assert "system" not in body(oru(OBR, obx(f6="mg/dL")), "Observation")["valueQuantity"]


def test_lines_of_one_text_are_one_observation():
    conversion = oru(
        OBR, obx(f2="TX", f5="first"), obx(f2="TX", f5="  second"), obx(f2="TX", f5=""), obx(f2="TX", f5="last")
    )
    assert body(conversion, "Observation")["valueString"] == "first\n  second\n\nlast"


def test_texts_with_other_sub_ids_stay_apart():
    conversion = oru(OBR, obx(f2="TX", f4="1", f5="one"), obx(f2="TX", f4="2", f5="two"))
    assert [mapped.body["valueString"] for mapped in every(conversion, "Observation")] == ["one", "two"]


def test_repeated_values_are_components_of_the_same_code():
    observation = body(oru(OBR, obx(f5="120~80")), "Observation")
    assert [part["valueQuantity"]["value"] for part in observation["component"]] == [120, 80]
    assert observation["component"][0]["code"] == observation["code"]


@pytest.mark.parametrize(("status", "reason"), [("X", "not-performed"), ("N", "not-asked"), ("F", "unknown")])
def test_a_value_that_is_not_there_has_a_reason(status, reason):
    absent = body(oru(OBR, obx(f5="", f11=status)), "Observation")["dataAbsentReason"]
    assert absent["coding"][0]["code"] == reason


def test_an_unknown_value_type_is_taken_as_text_with_a_finding():
    assert ("value_type_unknown", "OBX-2") in codes(oru(OBR, obx(f2="QQ")))
    assert ("value_type_unknown", "OBX-2") not in codes(oru(OBR, obx()))


def test_the_time_is_obx_14_else_obr_7():
    assert body(oru(OBR, obx(f14="20260104")), "Observation")["effectiveDateTime"] == "2026-01-04"
    late = one(oru(OBR, obx()), "Observation")
    assert late.body["effectiveDateTime"] == "2026-01-05T08:00:00-05:00"
    assert late.lineage["effectiveDateTime"] == (("OBR-7", 1),)


def test_a_result_says_when_it_was_given_out():
    assert body(oru(OBR, obx()), "Observation")["issued"] == "2026-01-05T14:00:00.000Z"


def test_range_flag_note_and_performer_are_kept():
    observation = body(
        oru(OBR, obx(f7="70-99", f8="H", f6="mg/dL", f16="7^LAB^TECH"), "NTE|1||Fasting.", "NTE|2||Repeat."),
        "Observation",
    )
    assert observation["referenceRange"] == [
        {"low": {"value": 70, "unit": "mg/dL"}, "high": {"value": 99, "unit": "mg/dL"}, "text": "70-99"}
    ]
    assert observation["interpretation"][0]["coding"][0] == {
        "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation",
        "code": "H",
        "display": "High",
    }
    assert observation["note"] == [{"text": "Fasting.\nRepeat."}]
    assert observation["performer"][0]["reference"].startswith("Practitioner/")


def test_a_note_belongs_to_what_it_follows():
    conversion = oru(ORC, OBR, "NTE|1||of the order", obx(), "NTE|1||of the result")
    assert body(conversion, "ServiceRequest")["note"] == [{"text": "of the order"}]
    assert body(conversion, "Observation")["note"] == [{"text": "of the result"}]


def test_a_report_refers_to_its_own_results_order_and_specimens():
    other = OBR.replace("F9^LAB", "F10^LAB").replace("24323-8", "58410-2")
    conversion = oru(ORC, OBR, obx(), obx(f3="718-7^Hb^LN"), "SPM|1|S1&OFFICE^S2&LAB||BLD", other, obx())
    first, second = every(conversion, "DiagnosticReport")
    results = [f"Observation/{mapped.id}" for mapped in every(conversion, "Observation")]
    assert [item["reference"] for item in first.body["result"]] == results[:2]
    assert [item["reference"] for item in second.body["result"]] == results[2:]
    assert first.body["basedOn"] == [{"reference": f"ServiceRequest/{one(conversion, 'ServiceRequest').id}"}]
    specimen = one(conversion, "Specimen")
    assert first.body["specimen"] == [{"reference": f"Specimen/{specimen.id}"}]
    assert specimen.body["type"]["coding"][0]["display"] == "Whole blood"
    assert "specimen" not in second.body


def test_one_specimen_of_two_orders_is_one_resource():
    other = OBR.replace("F9^LAB", "F10^LAB")
    specimen = "SPM|1|S1&OFFICE^S2&LAB||BLD"
    conversion = oru(OBR, obx(), specimen, other, obx(), specimen)
    reference = [{"reference": f"Specimen/{one(conversion, 'Specimen').id}"}]
    assert [report.body["specimen"] for report in every(conversion, "DiagnosticReport")] == [reference, reference]


def test_without_orc_no_order_is_made():
    assert every(oru(OBR, obx()), "ServiceRequest") == []


@pytest.mark.parametrize(("orc", "status"), [("ORC|RE|P9", "unknown"), ("ORC|NW|P9", "active"), ("ORC|OC|P9||||", "revoked"),
                                             ("ORC|RE|P9|||CM", "completed")])  # fmt: skip
def test_the_order_s_status_follows_orc_5_else_orc_1(orc, status):
    assert body(oru(orc, OBR, obx()), "ServiceRequest")["status"] == status


def test_the_specimen_of_obr_15_serves_where_no_spm_stands():
    order = segment("OBR", f1="1", f3="F9", f4="X", f15="SER^^^LA", f25="F")
    conversion = oru(order, obx())
    specimen = one(conversion, "Specimen")
    assert body(conversion, "Observation")["specimen"] == {"reference": f"Specimen/{specimen.id}"}
    assert body(conversion, "DiagnosticReport")["specimen"] == [{"reference": f"Specimen/{specimen.id}"}]


def test_an_obx_without_code_is_no_observation():
    assert every(oru(OBR, obx(f3="")), "Observation") == []
