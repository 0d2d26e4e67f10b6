"""What each kind of value makes of the official examples' elements."""

from datetime import UTC, datetime
from math import inf
from uuid import uuid5

import pytest
from tests.unit.record.fhir_index.told import told

from chartwire.core.fhir_ids import FHIR_ID_NAMESPACE
from chartwire.record.fhir_index.dates import UNBOUNDED_HIGH, UNBOUNDED_LOW, moments
from chartwire.record.fhir_index.values import token_text

LOINC, UCUM = "http://loinc.org", "http://unitsofmeasure.org"


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


def test_a_coding_is_found_by_code_and_with_its_system_and_its_display_by_its_words() -> None:
    rows = told(
        "Observation",
        f'"code": {{"coding": [{{"system": "{LOINC}", "code": "15074-8", "display": "Glucose [Moles/volume] in  Blood"}}]}}',
    )
    assert rows["code"] == {"15074-8", f"{LOINC}|15074-8"}
    assert rows["code:text"] == {"glucose [moles/volume] in blood", "[moles/volume] in blood", "in blood", "blood"}


def test_a_code_without_system_says_that_it_has_none() -> None:
    assert told("Observation", '"code": {"coding": [{"code": "x"}], "text": "Ex"}')["code"] == {"x", "|x"}


def test_codes_and_booleans_have_one_row() -> None:
    rows = told("Patient", '"gender": "male", "active": true')
    assert (rows["gender"], rows["active"]) == ({"male"}, {"true"})


def test_deceased_is_true_by_a_time_too_and_false_where_nothing_is_said() -> None:
    assert told("Patient", '"deceasedDateTime": "2015-02-14T13:42:00+10:00"')["deceased"] == {"true"}
    assert (
        told("Patient", '"deceasedBoolean": false')["deceased"]
        == told("Patient", '"active": true')["deceased"]
        == {"false"}
    )


def test_an_identifier_is_found_by_number_system_and_type() -> None:
    kind = '{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}], "text": "Record"}'
    rows = told(
        "Patient", f'"identifier": [{{"type": {kind}, "system": "urn:oid:1.2.36.146.595.217.0.1", "value": "12345"}}]'
    )
    assert rows["identifier"] == {"12345", "urn:oid:1.2.36.146.595.217.0.1|12345"}
    assert rows["identifier:of-type"] == {"http://terminology.hl7.org/CodeSystem/v2-0203|MR|12345"}
    assert rows["identifier:text"] == {"record"}


def test_a_contact_point_is_found_by_value_and_system() -> None:
    rows = told(
        "Patient", '"telecom": [{"use": "home"}, {"system": "phone", "value": "(03) 5555 6473", "use": "work"}]'
    )
    assert rows["telecom"] == rows["phone"] == {"(03) 5555 6473", "phone|(03) 5555 6473"}
    assert "email" not in rows


def test_what_is_in_meta_is_found_as_any_other_element() -> None:
    rows = told(
        "Patient",
        '"meta": {"profile": ["http://x/p|1.0"], "source": "urn:s", "tag": [{"system": "urn:t", "code": "a"}], "security": [{"code": "R"}]}',
    )
    assert rows["_profile"] == {"http://x/p|1.0", "http://x/p"}
    assert (rows["_source"], rows["_tag"], rows["_security"]) == ({"urn:s"}, {"a", "urn:t|a"}, {"R", "|R"})


def test_names_are_folded_kept_as_written_and_cut_into_trigrams() -> None:
    rows = told("Patient", '"name": [{"family": "  Müller-\\tLang ", "given": ["anna"]}]')
    assert rows["name"] == {"muller- lang", "anna"}
    assert rows["family"] == {"muller- lang"}
    assert rows["name:exact"] == {"  Müller-\tLang ", "anna"}
    assert {"mul", "ann", "nna"} <= rows["name:contains"]
    assert "family:contains" not in rows


def test_text_is_cut_at_200_characters_and_loses_what_the_store_cannot_hold() -> None:
    rows = told("Patient", '"address": [{"city": "' + "x" * 300 + '", "text": "a\\u0000b"}]')
    assert rows["address-city"] == {"x" * 200}
    assert rows["address"] == {"x" * 200, "ab"}


def test_a_long_token_keeps_its_beginning_and_differs_by_its_end() -> None:
    first, second = token_text("c" * 1000), token_text("c" * 999 + "d")
    assert first != second
    assert len(first) == len(second) == 400
    assert token_text("c" * 400) == "c" * 400


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("Patient/example", f"Patient/{uuid5(FHIR_ID_NAMESPACE, 'example')}"),
        ("Patient/0d5a3c1e-7b64-5f0a-9c39-2f7f8c1d4e52", "Patient/0d5a3c1e-7b64-5f0a-9c39-2f7f8c1d4e52"),
        ("Patient/example/_history/3", f"Patient/{uuid5(FHIR_ID_NAMESPACE, 'example')}"),
        ("https://elsewhere.example/fhir/Patient/1", "https://elsewhere.example/fhir/Patient/1"),
        ("urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a", "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"),
    ],
)
def test_a_reference_leads_to_the_stored_resource_or_stands_as_written(reference: str, expected: str) -> None:
    assert told("Observation", f'"subject": {{"reference": "{reference}"}}') == {"subject": {expected}}


def test_a_reference_into_the_resource_itself_has_no_row_but_its_identifier_and_display_have() -> None:
    rows = told(
        "Observation",
        '"subject": {"reference": "#p", "display": "Peter Chalmers", "identifier": {"system": "urn:s", "value": "7"}}',
    )
    assert rows == {"subject:identifier": {"7", "urn:s|7"}, "subject:text": {"peter chalmers", "chalmers"}}


def test_a_parameter_of_one_target_type_of_several_reads_that_type_only() -> None:
    related = '"context": {"encounter": [{"reference": "Encounter/1"}], "related": [{"reference": "Patient/2"}]}'
    assert len(told("DocumentReference", related)["encounter"]) == 1
    appointment = '"participant": [{"actor": {"reference": "Patient/1"}}, {"actor": {"reference": "Location/1"}}]'
    assert len(told("Appointment", f"{appointment}")["actor"]) == 2


def test_canonicals_are_found_with_and_without_version_and_uris_as_written() -> None:
    rows = told("QuestionnaireResponse", '"questionnaire": "http://x/q|2"')
    assert rows["questionnaire"] == {"http://x/q|2", "http://x/q"}
    assert told("ValueSet", '"url": "http://x/v|2"')["url"] == {"http://x/v|2"}


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("1974", at(1974, 1, 1), at(1975, 1, 1)),
        ("1974-12", at(1974, 12, 1), at(1975, 1, 1)),
        ("2016-02-29", at(2016, 2, 29), at(2016, 3, 1)),
        ("2013-04-02T09:30:10+01:00", at(2013, 4, 2, 8, 30, 10), at(2013, 4, 2, 8, 30, 11)),
        ("2013-04-02T09:30:10", at(2013, 4, 2, 9, 30, 10), at(2013, 4, 2, 9, 30, 11)),
        ("2013-04-02T09:30Z", at(2013, 4, 2, 9, 30), at(2013, 4, 2, 9, 31)),
        ("2015-02-07T13:28:17.239-05:00", at(2015, 2, 7, 18, 28, 17, 239_000), at(2015, 2, 7, 18, 28, 17, 240_000)),
        ("2015-02-07T13:28:17.2391234Z", at(2015, 2, 7, 13, 28, 17, 239_123), at(2015, 2, 7, 13, 28, 17, 239_124)),
        ("9999-12-31", at(9999, 12, 31), UNBOUNDED_HIGH),
    ],
)
def test_a_time_reaches_as_far_as_its_precision(text: str, low: datetime, high: datetime) -> None:
    assert moments(text) == (low, high)


@pytest.mark.parametrize(
    "text", ["", "74", "2016-13", "2015-02-29", "2013-04-02T25:00:00Z", "2013-04-02 09:30", "٢٠١٣"]
)
def test_what_is_no_time_has_no_range(text: str) -> None:
    assert moments(text) is None


def test_a_period_is_open_where_it_has_no_end() -> None:
    assert told("Encounter", '"period": {"start": "2013-03-11"}')["date"] == {(at(2013, 3, 11), UNBOUNDED_HIGH, "")}
    assert told("Encounter", '"period": {"end": "2013-03-20"}')["date"] == {(UNBOUNDED_LOW, at(2013, 3, 21), "")}
    assert "date" not in told("Encounter", '"period": {"start": "2013-03-11", "end": "2012"}')


def test_a_timing_is_what_lies_between_its_outer_limits() -> None:
    timing = (
        '{"event": ["2012-01-07", "2012-01-05"], "repeat": {"boundsPeriod": {"start": "2012-01-06", "end": "2012-02"}}}'
    )
    assert told("ServiceRequest", f'"occurrenceTiming": {timing}')["occurrence"] == {
        (at(2012, 1, 5), at(2012, 3, 1), "")
    }


def test_a_quantity_is_a_point_by_each_name_of_its_unit() -> None:
    rows = told(
        "Observation", f'"valueQuantity": {{"value": 6.30, "unit": "mmol/l", "system": "{UCUM}", "code": "mmol/L"}}'
    )
    assert rows["value-quantity"] == {(6.3, 6.3, unit, "") for unit in ("mmol/l", f"{UCUM}|mmol/L")}
    rows = told("Observation", '"valueQuantity": {"value": 2, "unit": "puffs", "system": "urn:u", "code": "puff"}')
    assert rows["value-quantity"] == {(2.0, 2.0, unit, "") for unit in ("puffs", "puff", "urn:u|puff")}


def test_a_unit_of_the_common_system_that_is_called_by_its_code_makes_one_row() -> None:
    rows = told("Observation", f'"valueQuantity": {{"value": 80, "unit": "kg", "system": "{UCUM}", "code": "kg"}}')
    assert rows["value-quantity"] == {(80.0, 80.0, f"{UCUM}|kg", "")}


def test_a_comparator_opens_its_side_and_a_range_has_its_two_ends() -> None:
    assert told("Observation", '"valueQuantity": {"value": 5, "comparator": "<"}')["value-quantity"] == {
        (-inf, 5.0, "", "")
    }
    assert told("Condition", '"onsetRange": {"low": {"value": 40}}')["onset-age"] == {(40.0, inf, "", "")}
    rows = told(
        "RiskAssessment",
        '"prediction": [{"probabilityDecimal": 0.000168}, {"probabilityRange": {"high": {"value": 1}}}]',
    )
    assert rows["probability"] == {(0.000168, 0.000168, "", ""), (-inf, 1.0, "", "")}


def test_money_has_its_currency_for_a_unit() -> None:
    rows = told("Invoice", '"totalNet": {"value": 40.22, "currency": "EUR"}')
    assert rows["totalnet"] == {(40.22, 40.22, "urn:iso:std:iso:4217|EUR", "")}


def test_a_composite_joins_the_values_of_one_node() -> None:
    component = '{{"code": {{"coding": [{{"system": "urn:l", "code": "{0}"}}]}}, "valueQuantity": {{"value": {1}}}}}'
    rows = told("Observation", f'"component": [{component.format("8480-6", 107)}, {component.format("8462-4", 60)}]')
    assert rows["component-code-value-quantity"] == {
        (107.0, 107.0, "", "8480-6"), (107.0, 107.0, "", "urn:l|8480-6"),
        (60.0, 60.0, "", "8462-4"), (60.0, 60.0, "", "urn:l|8462-4"),
    }  # fmt: skip


def test_a_composite_of_two_tokens_a_date_or_a_string_has_its_form() -> None:
    code = '"code": {"coding": [{"code": "c"}]}'
    concept = told("Observation", f'{code}, "valueCodeableConcept": {{"coding": [{{"code": "v"}}]}}')
    assert concept["code-value-concept"] == {"c$v", "c$|v", "|c$v", "|c$|v"}
    assert (at(2020, 1, 1), at(2021, 1, 1), "c") in told(
        "Observation", f'{code}, "valuePeriod": {{"start": "2020", "end": "2020"}}'
    )["code-value-date"]
    assert "c$gross" in told("Observation", f'{code}, "valueString": "GROSS"')["code-value-string"]


def test_us_core_extensions_are_found() -> None:
    race = '{"url": "ombCategory", "valueCoding": {"system": "urn:oid:2.16.840.1.113883.6.238", "code": "1002-5"}}'
    rows = told(
        "Patient",
        f'"extension": [{{"url": "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race", "extension": [{race}]}}]',
    )
    assert "1002-5" in rows["race"]
    assert "ethnicity" not in rows
