"""The FHIR validator: good resources have no issue, and each defect of defects.yaml is caught by its rule, at its place."""

import copy
from itertools import product
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from chartwire.formats.fhir.definitions import structure
from chartwire.formats.fhir.terminology import TERMINOLOGY
from chartwire.formats.fhir.validate import check, rules
from chartwire.formats.fhir.validate.by_hand import BY_HAND
from chartwire.formats.fhir.validate.invariants import invariants_of
from chartwire.formats.fhir.validate.issues import ISSUES_MAX, Findings
from chartwire.formats.fhir.validate.run import Run
from chartwire.formats.fhirpath import compile_path

REMOVE = "~remove"
CASES = yaml.safe_load((Path(__file__).parent / "defects.yaml").read_text("utf-8"))
ELSEWHERE = {"invariant", "invariant-not-checked", "too-many-issues", "text-too-long"}
"""Rules that other tests here break, and `invariant`, which lends its words to those of the definitions."""
DEFECTS = [(name, number) for name, case in CASES.items() for number in range(len(case["defects"]))]


def changed(resource, changes):
    """A copy after changes: pointer -> value, or REMOVE."""
    copied = copy.deepcopy(resource)
    for pointer, value in changes.items():
        *around, last = pointer.strip("/").split("/")
        held = copied
        for step in around:
            held = held[int(step) if isinstance(held, list) else step]
        key = int(last) if isinstance(held, list) else last
        if value == REMOVE:
            del held[key]
        elif isinstance(held, list) and key == len(held):
            held.append(value)
        else:
            held[key] = value
    return copied


@pytest.mark.parametrize("name", CASES)
def test_a_good_resource_has_no_error_and_no_warning(name):
    assert [issue for issue in check(CASES[name]["good"]) if issue.severity != "information"] == []


@pytest.mark.parametrize(("name", "number"), DEFECTS)
def test_each_defect_is_caught_by_its_rule_at_its_place(name, number):
    changes, rule, place = CASES[name]["defects"][number]
    issues = check(changed(CASES[name]["good"], changes))
    if rule is None:
        assert [issue for issue in issues if issue.severity == "error"] == []
    else:
        assert (rule, place) in {(issue.rule, issue.location) for issue in issues}


def test_every_rule_has_a_defect_that_breaks_it():
    caught = {rule for case in CASES.values() for _, rule, _ in case["defects"]}
    assert set(rules()) - caught == ELSEWHERE


def test_text_may_be_a_mebibyte_and_no_longer():
    patient = {"resourceType": "Patient", "name": [{"text": "x" * 1_048_576}]}
    assert check(patient) == []
    patient["name"][0]["text"] += "x"
    assert [issue.rule for issue in check(patient)] == ["text-too-long"]


def test_a_hostile_resource_gets_a_bounded_answer_that_says_so():
    issues = check({"resourceType": "Patient", "name": [{"family": 1}] * 5000})
    assert (len(issues), issues[-1].rule, issues[-1].severity) == (ISSUES_MAX + 1, "too-many-issues", "error")


def test_no_issue_quotes_the_resource():
    told = " ".join(
        str(issue)
        for case in CASES.values()
        for changes, _, _ in case["defects"]
        for issue in check(changed(case["good"], changes))
    )
    assert not [word for word in ("Weber", "Anna", "femail", "officially", "000 00 00", "Asthma") if word in told]


def test_an_unknown_profile_is_an_error_for_who_is_strict():
    patient = CASES["patient"]["good"]
    assert [issue.severity for issue in check(patient, ["http://a.b/c"]) if issue.rule == "profile-unknown"] == [
        "warning"
    ]
    assert "error" in [issue.severity for issue in check(patient, ["http://a.b/c"], strict=True)]


def test_what_others_know_of_codes_decides():
    class Loaded:
        def contains(self, value_set_url, system, code):
            return code == "195967001"

        def descendants(self, system, code):
            return None

        def codes_of(self, value_set_url):
            return None

    good = CASES["us-core-condition"]["good"]
    assert [issue.rule for issue in check(good)] == ["code-not-checked"]
    assert check(good, (), Loaded()) == []
    unknown = changed(good, {"/code/coding/0/code": "1"})
    assert [(issue.rule, issue.severity) for issue in check(unknown, (), Loaded())] == [("code-extensible", "warning")]


def test_an_invariant_that_cannot_be_evaluated_is_said_to_be_unchecked():
    told = {"key": "x-1", "severity": "error", "human": "one of both", "expression": "name or telecom"}
    [invariant] = invariants_of([told], "Patient")
    patient = {"resourceType": "Patient", "name": [{"text": "A"}, {"text": "B"}]}
    findings = Findings()
    invariant(patient, patient, (None, "Patient", -1), Run(findings, patient, TERMINOLOGY))
    assert [(issue.rule, issue.severity) for issue in findings.all()] == [("invariant-not-checked", "information")]


def test_a_bomb_of_unknown_names_or_profiles_costs_little():
    names = {f"namx{number}": 1 for number in range(50_000)}
    profiles = [f"http://example.org/{number}" for number in range(50_000)]
    issues = check({"resourceType": "Patient", "meta": {"profile": profiles}, **names})
    assert (len(issues), issues[-1].rule) == (ISSUES_MAX + 1, "too-many-issues")


@pytest.mark.parametrize("key", BY_HAND)
def test_an_invariant_checked_by_hand_means_what_the_definitions_say(key):
    """It is compared with FHIRPath over every combination of the members that its expression names, each with every
    value that makes a difference, or not there."""
    type_name, members = BY_HAND_OVER[key]
    path = compile_path(constraint(type_name, key)["expression"], type_name=type_name)
    for chosen in product(*([(name, value) for value in values] + [None] for name, values in members.items())):
        held = dict(filter(None, chosen))
        resource = {"resourceType": "Observation", **held} if type_name == "Observation" else {"resourceType": "Basic"}
        context = None if type_name == "Observation" else held
        assert BY_HAND[key](held) == (path.evaluate(resource, context) != [False]), held


def constraint(type_name, key):
    elements = structure(type_name.partition(".")[0])["snapshot"]["element"]
    found = [one for element in elements for one in element.get("constraint", ()) if one["key"] == key]
    return (
        found[0]
        if found
        else next(
            one for one in structure("SimpleQuantity")["snapshot"]["element"][0]["constraint"] if one["key"] == key
        )
    )


LOINC = {"coding": [{"system": "http://loinc.org", "code": "1"}]}
OTHER = {"coding": [{"system": "http://loinc.org", "code": "2"}]}
TYPES = ["group", "display", "choice", "text", "url", "date", "string"]
ITEM = "Questionnaire.item"
SOME = [{"linkId": "1"}]
BY_HAND_OVER = {
    "per-1": ("Period", {"start": ["2020-01-02", "2020"], "end": ["2020-01-01", "2020-01-03"]}),
    "cpt-2": ("ContactPoint", {"value": ["1"], "system": ["phone"]}),
    "qty-3": ("Quantity", {"code": ["kg"], "system": ["http://unitsofmeasure.org"]}),
    "att-1": ("Attachment", {"data": ["aGVsbG8="], "contentType": ["text/plain"]}),
    "sqty-1": ("Quantity", {"comparator": ["<"], "value": [1]}),
    "obs-6": ("Observation", {"dataAbsentReason": [LOINC], "valueString": ["x"], "status": ["final"]}),
    "obs-7": (
        "Observation",
        {"code": [LOINC, OTHER], "valueString": ["x"], "component": [[{"code": LOINC}], [{"code": OTHER}, {}]]},
    ),
    "que-1": (ITEM, {"type": TYPES, "item": [SOME]}),
    "que-3": (ITEM, {"type": TYPES, "code": [[{"code": "x"}]]}),
    "que-5": (ITEM, {"type": TYPES, "answerOption": [[{"valueString": "x"}]], "answerValueSet": ["http://a.b"]}),
    "que-6": (ITEM, {"type": TYPES, "required": [True, False], "repeats": [True]}),
    "que-8": (ITEM, {"type": TYPES, "initial": [[{"valueString": "x"}]]}),
    "que-9": (ITEM, {"type": TYPES, "readOnly": [True, False]}),
    "que-10": (ITEM, {"type": TYPES, "maxLength": [1]}),
    "qrs-1": ("QuestionnaireResponse.item", {"answer": [[{"valueString": "x"}]], "item": [SOME]}),
    "bdl-5": (
        "Bundle.entry",
        {"resource": [{"resourceType": "Basic"}], "request": [{"method": "GET"}], "response": [{"status": "200"}]},
    ),
    "bdl-8": ("Bundle.entry", {"fullUrl": ["http://a.b/Patient/1", "http://a.b/Patient/1/_history/2"]}),
    "pat-1": (
        "Patient.contact",
        {
            "name": [{"text": "x"}],
            "telecom": [[{"value": "1"}]],
            "address": [{"text": "x"}],
            "organization": [{"display": "x"}],
            "gender": ["other"],
        },
    ),
}


def places(value, pointer=""):
    """The pointer of everything below a value."""
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in steps:
        yield f"{pointer}/{step}"
        yield from places(inner, f"{pointer}/{step}")


@pytest.mark.parametrize("name", CASES)
def test_any_json_at_any_place_of_a_resource_gets_an_answer(name):
    good = CASES[name]["good"]
    for pointer, value in product(places(good), ([], {}, ["x"], {"x": []}, 7, None, True, "#x")):
        assert isinstance(check(changed(good, {pointer: value})), list), (pointer, value)


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.decimals(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["name", "given", "_given", "id", "extension", "url", "valueString", "contained", "resourceType", "meta", "profile",
         "reference", "link", "other", "text", "div", "coding", "code", "period", "start", "end", "component", "entry"]
    ), inner, max_size=4), max_leaves=20), st.sampled_from(["Patient", "Observation", "Bundle", "Questionnaire"]))  # fmt: skip
def test_any_json_gets_an_answer(value, kind):
    resource = {**value, "resourceType": kind} if isinstance(value, dict) else {"resourceType": kind, "name": value}
    assert isinstance(check(resource, ["http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient"]), list)
