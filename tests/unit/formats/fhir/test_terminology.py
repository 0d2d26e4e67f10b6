import pytest

from chartwire.formats.fhir import definitions
from chartwire.formats.fhir.definitions.codes import Part, ValueSet, value_set_definition
from chartwire.formats.fhir.definitions.grammars import subtag
from chartwire.formats.fhir.definitions.listing import Lister, packaged_codes
from chartwire.formats.fhir.definitions.membership import Evaluator, PackagedContent
from chartwire.formats.fhir.definitions.units import is_unit
from chartwire.formats.fhir.terminology import TERMINOLOGY

R4 = "http://hl7.org/fhir/ValueSet/"
US_CORE = "http://hl7.org/fhir/us/core/ValueSet/"
V3 = "http://terminology.hl7.org/CodeSystem/v3-"
RACE = "urn:oid:2.16.840.1.113883.6.238"
ACT_CODE = f"{V3}ActCode"


@pytest.mark.parametrize(
    ("value_set", "system", "code", "answer"),
    [
        (f"{R4}administrative-gender|4.0.1", None, "male", True),
        (f"{R4}administrative-gender", "http://hl7.org/fhir/administrative-gender", "Male", False),
        (f"{R4}administrative-gender", "http://example.org/sex", "male", False),
        (f"{R4}all-languages", None, "en-US", True),
        (f"{R4}all-languages", None, "english", False),
        (f"{R4}languages", "urn:ietf:bcp:47", "tlh", False),
        (f"{R4}mimetypes", None, "text/plain; charset=utf-8", True),
        (f"{R4}mimetypes", None, "picture", False),
        (f"{R4}ucum-units", "http://unitsofmeasure.org", "mg/dl", True),
        (f"{R4}ucum-units", "http://unitsofmeasure.org", "milligram", False),
        (f"{R4}iso3166-1-3", "urn:iso:std:iso:3166", "NLD", True),
        (f"{R4}iso3166-1-3", "urn:iso:std:iso:3166", "NL", False),
        (f"{R4}currencies", None, "EUR", True),
        (f"{R4}timezones", None, "Europe/Amsterdam", True),
        (f"{R4}condition-code", "http://snomed.info/sct", "38341003", None),
        (f"{R4}condition-code", "http://example.org", "38341003", False),
        (f"{US_CORE}us-core-usps-state|6.1.0", None, "MA", True),
        (f"{US_CORE}us-core-usps-state|6.1.0", None, "ZZ", False),
        (f"{US_CORE}omb-race-category|7.0.0", RACE, "2106-3", True),
        (f"{US_CORE}omb-race-category|7.0.0", RACE, "1004-1", False),
        (f"{US_CORE}detailed-race|6.1.0", RACE, "1004-1", True),
        (f"{US_CORE}detailed-race|6.1.0", RACE, "2106-3", False),
        (f"{US_CORE}simple-language|6.1.0", "urn:ietf:bcp:47", "pt-BR", True),
        (f"{US_CORE}simple-language|6.1.0", "urn:ietf:bcp:47", "zh-Hant", False),
        (f"{US_CORE}us-core-pregnancy-status|6.1.0", "http://snomed.info/sct", "77386006", None),
        ("http://terminology.hl7.org/ValueSet/v3-ActEncounterCode", ACT_CODE, "AMB", True),
        ("http://terminology.hl7.org/ValueSet/v3-ActEncounterCode", ACT_CODE, "SRGTPHARM", False),
        ("http://example.org/ValueSet/unknown", None, "x", None),
    ],
)
def test_a_code_is_in_a_value_set_or_not_or_that_is_not_known(value_set, system, code, answer):
    assert TERMINOLOGY.contains(value_set, system, code) is answer


def test_a_value_set_that_can_be_listed_gives_all_its_codes_and_any_other_none():
    codes = TERMINOLOGY.codes_of(f"{R4}observation-status")
    assert ("http://hl7.org/fhir/observation-status", "final") in codes
    assert len(codes) == 8
    assert TERMINOLOGY.codes_of(f"{R4}condition-code") is None
    assert TERMINOLOGY.codes_of("http://example.org/ValueSet/unknown") is None


def test_a_value_set_of_listed_codes_has_those_and_no_others_whatever_the_question():
    for canonical in definitions.value_sets()[:400]:
        listed = definitions.value_set(canonical)
        if listed.complete:
            assert all(TERMINOLOGY.contains(canonical, *coding) for coding in listed.codes), canonical


def test_descendants_go_through_all_generations_and_through_second_parents():
    below = TERMINOLOGY.descendants(ACT_CODE, "_ActEncounterCode")
    assert {"_ActEncounterCode", "AMB", "IMP", "ACUTE", "NONAC"} <= below
    assert "ORD" not in below
    assert TERMINOLOGY.descendants("http://snomed.info/sct", "404684003") is None
    assert TERMINOLOGY.descendants("http://terminology.hl7.org/CodeSystem/service-type", "1") is None


def test_an_example_system_knows_its_codes_and_refuses_no_other():
    system = "http://terminology.hl7.org/CodeSystem/service-type"
    assert TERMINOLOGY.contains(f"{R4}service-type", system, "1") is True
    assert TERMINOLOGY.contains(f"{R4}service-type", system, "our-own") is None


def test_more_than_1250_of_the_value_sets_can_be_listed_in_full():
    assert sum(definitions.value_set(canonical).complete for canonical in definitions.value_sets()) > 1250


def test_a_table_of_v2_with_several_versions_has_the_codes_of_all():
    listed = definitions.code_system("http://terminology.hl7.org/CodeSystem/v2-0360")
    assert {"AA", "BSN"} <= {*listed.codes}


@pytest.mark.parametrize(
    ("part", "codes"),
    [
        (Part(ACT_CODE, filters=(("concept", "descendent-of", "_ActInpatientEncounterCode"),)), set()),
        (Part(ACT_CODE, filters=(("concept", "is-a", "IMP"),)), {"IMP", "ACUTE", "NONAC"}),
        (Part(ACT_CODE, filters=(("concept", "descendent-of", "IMP"),)), {"ACUTE", "NONAC"}),
        (Part(ACT_CODE, sets=(f"{R4}administrative-gender",)), set()),
        (Part(f"{V3}AdministrativeGender", concepts={"M": "", "F": ""}), {"M", "F"}),
    ],
)
def test_what_a_part_lists_is_what_it_contains(part, codes):
    told = ValueSet("x", include=(part,))
    listed, complete = Lister(packaged_codes).codes(told)
    assert complete
    assert {code for _, code in listed} == codes
    evaluator = Evaluator(PackagedContent())
    assert all(evaluator.holds(told, part.system, code) for code in codes)


def test_what_is_excluded_is_in_no_answer():
    gender = f"{V3}AdministrativeGender"
    told = ValueSet("x", include=(Part(gender),), exclude=(Part(gender, concepts={"UN": ""}),))
    assert {code for _, code in Lister(packaged_codes).codes(told)[0]} == {"F", "M"}
    assert Evaluator(PackagedContent()).holds(told, gender, "UN") is False


def test_what_cannot_be_known_to_be_excluded_is_not_said_to_be_in():
    told = ValueSet("x", include=(Part(RACE),), exclude=(Part(sets=("http://example.org/unknown",)),))
    assert Evaluator(PackagedContent()).holds(told, RACE, "2106-3") is None
    assert Lister(packaged_codes).codes(told)[1] is False


def test_value_sets_that_name_each_other_in_a_ring_end_undecided():
    ring = {"a": ValueSet("a", include=(Part(sets=("b",)),)), "b": ValueSet("b", include=(Part(sets=("a",)),))}
    assert Evaluator(PackagedContent(), ring.get).contains("a", "s", "c") is None
    assert Lister(packaged_codes, ring.get).codes(ring["a"]) == ({}, False)


def test_a_binding_of_us_core_names_the_value_set_of_its_own_version():
    canonical = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-birthsex|3.1.1"
    value = next(element for element in definitions.structure(canonical)["snapshot"]["element"] if "binding" in element)
    assert value["binding"]["valueSet"] == f"{US_CORE}birthsex|3.1.1"
    assert value_set_definition(value["binding"]["valueSet"]) is not value_set_definition(f"{US_CORE}birthsex|6.1.0")


@pytest.mark.parametrize(
    "unit",
    [
        "mg/dL",
        "10*3/uL",
        "10^9/L",
        "mm[Hg]",
        "{score}",
        "1",
        "/min",
        "mL/min/{1.73_m2}",
        "m2",
        "s-1",
        "[degF]",
        "mmol/(8.h.kg)",
        "[in_i'H2O]",
        "%",
        "ug{FEU}/mL",
        "Cel",
        "[iU]/L",
        "/[HPF]",
        "kg/m2",
        "meq/L",
        "dB[SPL]",
        "uL",
    ],
)
def test_units_of_the_unified_code_are_units(unit):
    assert is_unit(unit)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "foo",
        "mg//dL",
        "mg/",
        "(mg",
        "mg)",
        "{",
        "mg dL",
        "cel",
        "mm Hg",
        "mmHg",
        "m[in_i]",
        "()",
        "x" * 300,
        "m2.",
        "{é}",
    ],
)
def test_other_texts_are_no_units(text):
    assert not is_unit(text)


@pytest.mark.parametrize(
    ("tag", "name", "part"),
    [
        ("zh-Hant-TW", "script", "Hant"),
        ("zh-Hant-TW", "region", "TW"),
        ("en", "region", ""),
        ("de-CH-1996", "variant", "-1996"),
        ("en", "unknown", None),
    ],
)
def test_the_parts_of_a_language_tag(tag, name, part):
    assert subtag(tag, name) == part
