"""Patches do what their specification says, change nothing else, and say where they do not fit."""

from copy import deepcopy
from decimal import Decimal

import pytest

from chartwire.core.errors import FaultsError
from chartwire.formats.fhir.patching import fhirpath_patch, json_patch, merge_patch

PATIENT = {
    "resourceType": "Patient",
    "name": [{"family": "Weber", "given": ["Anna", None], "_given": [None, {"id": "second"}]}],
    "birthDate": "1980-01-02",
    "_birthDate": {"extension": [{"url": "urn:time", "valueDecimal": Decimal("72.50")}]},
    "deceasedBoolean": False,
    "contact": [{"gender": "male"}],
}


def parameters(*operations):
    return {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "operation", "part": [part(name, value) for name, value in operation.items()]}
            for operation in operations
        ],
    }


def part(name, value):
    if isinstance(value, dict):
        return {"name": name, **value}
    words = {"type": "valueCode", "index": "valueInteger", "source": "valueInteger", "destination": "valueInteger"}
    return {"name": name, words.get(name, "valueString"): value}


def patched(**operation):
    before = deepcopy(PATIENT)
    after = fhirpath_patch(PATIENT, parameters(operation))
    assert before == PATIENT, "the body itself is not changed"
    return after


def refused(run, *arguments):
    with pytest.raises(FaultsError) as caught:
        run(*arguments)
    [(pointer, code, _)] = caught.value.faults
    return pointer, code


# JSON Patch -----------------------------------------------------------------------------------------------------------


def test_a_json_patch_is_all_or_nothing_and_keeps_the_digits_of_numbers():
    body = {"resourceType": "Observation", "valueQuantity": {"value": Decimal("72.50")}, "status": "final"}
    after = json_patch(
        body, [{"op": "copy", "from": "/valueQuantity", "path": "/x"}, {"op": "remove", "path": "/status"}]
    )
    assert str(after["x"]["value"]) == "72.50"
    with pytest.raises(FaultsError):
        json_patch(body, [{"op": "remove", "path": "/status"}, {"op": "remove", "path": "/status"}])
    assert body["status"] == "final"


def test_what_is_copied_or_added_is_not_shared():
    value = {"use": "home"}
    after = json_patch(
        {"a": []}, [{"op": "add", "path": "/a/-", "value": value}, {"op": "copy", "from": "/a/0", "path": "/b"}]
    )
    after["b"]["use"] = "work"
    assert (value, after["a"]) == ({"use": "home"}, [{"use": "home"}])


@pytest.mark.parametrize(
    ("held", "wanted", "same"),
    [(1, Decimal("1.0"), True), (1, True, False), ("1", 1, False), ([1, 2], [2, 1], False), ({"a": None}, {}, False)],
)
def test_a_test_compares_as_json_does(held, wanted, same):
    operation = [{"op": "test", "path": "/a", "value": wanted}]
    if same:
        assert json_patch({"a": held}, operation) == {"a": held}
    else:
        assert refused(json_patch, {"a": held}, operation) == ("/0", "patch_test_failed")


@pytest.mark.parametrize(
    ("operation", "fault"),
    [
        ({"op": "add", "path": "/a/4", "value": 1}, ("/0", "patch_failed")),
        ({"op": "add", "path": "/a/01", "value": 1}, ("/0", "patch_failed")),
        ({"op": "replace", "path": "/a/-", "value": 1}, ("/0", "patch_failed")),
        ({"op": "remove", "path": ""}, ("/0", "patch_failed")),
        ({"op": "replace", "path": "", "value": []}, ("/0", "patch_failed")),
        ({"op": "move", "from": "/o", "path": "/o/p"}, ("/0", "patch_failed")),
        ({"op": "remove", "path": "/s/x"}, ("/0", "patch_failed")),
        ({"op": "add", "path": "/b"}, ("/0", "patch_invalid")),
        ({"op": "add", "path": "b", "value": 1}, ("/0/path", "patch_invalid")),
        ({"op": "add", "path": "/~2", "value": 1}, ("/0/path", "patch_invalid")),
        ({"op": "copy", "path": "/b"}, ("/0", "patch_invalid")),
        ({"op": "append", "path": "/b", "value": 1}, ("/0/op", "patch_invalid")),
        ({"op": ["add"], "path": "/b", "value": 1}, ("/0/op", "patch_invalid")),
        ("add", ("/0", "patch_invalid")),
    ],
)
def test_a_json_patch_that_does_not_fit_says_which_operation(operation, fault):
    assert refused(json_patch, {"a": [1], "o": {}, "s": "text"}, [operation]) == fault


def test_a_json_patch_is_an_array_of_bounded_length():
    assert refused(json_patch, {}, {"op": "add"})[1] == "patch_invalid"
    assert refused(json_patch, {"a": 1}, [{"op": "test", "path": "/a", "value": 1}] * 1001)[1] == "patch_invalid"


def test_copies_cannot_make_a_body_grow_without_end():
    doubling = [{"op": "copy", "from": "/a", "path": f"/a/{n}"} for n in range(40)]
    assert refused(json_patch, {"a": {}}, doubling)[1] == "patch_failed"
    deeper = [{"op": "copy", "from": "/a", "path": "/a/a"}, {"op": "move", "from": "/a/a", "path": "/b"}]
    nesting = [
        {"op": "add", "path": "/a", "value": {}},
        *({"op": "copy", "from": "/a", "path": "/a" * n} for n in range(2, 200)),
    ]
    assert refused(json_patch, {}, nesting)[1] == "patch_failed"
    assert json_patch({"a": {"c": 1}}, deeper) == {"a": {"c": 1}, "b": {"c": 1}}


# JSON merge patch (RFC 7396, appendix A) ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "patch", "after"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_a_merge_patch_merges_as_its_standard_shows(body, patch, after):
    before = deepcopy(body)
    assert merge_patch(body, patch) == after
    assert body == before


def test_a_merge_patch_is_an_object():
    assert refused(merge_patch, {"a": 1}, ["a"]) == ("", "patch_invalid")


# FHIRPath Patch -------------------------------------------------------------------------------------------------------


def test_a_condition_leads_to_the_element():
    after = patched(type="replace", path="Patient.name.where(family = 'Weber').given[0]", value="Anne")
    assert after["name"][0]["given"] == ["Anne", None]


def test_an_item_that_goes_takes_its_other_half_along():
    after = patched(type="delete", path="Patient.name[0].given[0]")
    assert (after["name"][0]["given"], after["name"][0]["_given"]) == ([None], [{"id": "second"}])


def test_an_item_that_is_added_keeps_both_halves_in_step():
    after = patched(type="add", path="Patient.name[0]", name="given", value="Eva")
    assert (after["name"][0]["given"], after["name"][0]["_given"]) == (
        ["Anna", None, "Eva"],
        [None, {"id": "second"}, None],
    )


def test_a_choice_has_one_type_only():
    date = {"valueDateTime": "2026-01-01"}
    for operation in (
        {"type": "replace", "path": "Patient.deceased"},
        {"type": "add", "path": "Patient", "name": "deceased"},
    ):
        after = patched(**operation, value=date)
        assert ("deceasedBoolean" in after, after["deceasedDateTime"]) == (False, "2026-01-01")


def test_an_extension_of_a_primitive_can_be_replaced_added_and_deleted():
    path = "Patient.birthDate.extension('urn:time')"
    after = patched(type="replace", path=f"{path}.value", value={"valueDecimal": Decimal("1.10")})
    assert after["_birthDate"]["extension"] == [{"url": "urn:time", "valueDecimal": Decimal("1.10")}]
    assert str(after["_birthDate"]["extension"][0]["valueDecimal"]) == "1.10"
    assert "_birthDate" not in patched(type="delete", path=path)
    extension = {"valueString": "x"}
    added = {"part": [{"name": "url", "valueUri": "urn:x"}, {"name": "value", **extension}]}
    after = patched(type="add", path="Patient.birthDate", name="extension", value=added)
    assert after["_birthDate"]["extension"][1] == {"url": "urn:x", **extension}


def test_what_a_deletion_leaves_empty_goes_too():
    assert "contact" not in patched(type="delete", path="Patient.contact[0].gender")


def test_a_deletion_of_what_is_not_there_changes_nothing():
    assert patched(type="delete", path="Patient.gender") == PATIENT


@pytest.mark.parametrize(
    ("operation", "fault"),
    [
        ({"type": "add", "path": "Patient", "name": "colour", "value": "red"}, "patch_failed"),
        ({"type": "add", "path": "Patient.name.given", "name": "id", "value": "x"}, "patch_failed"),
        ({"type": "add", "path": "Patient", "name": "birthDate", "value": {"valueBoolean": True}}, "patch_failed"),
        ({"type": "add", "path": "Patient", "name": "contact", "value": {"valueString": "x"}}, "patch_failed"),
        ({"type": "add", "path": "Patient", "name": "deceased", "value": "x"}, "patch_failed"),
        ({"type": "insert", "path": "Patient.name", "index": 2, "value": {"valueHumanName": {}}}, "patch_failed"),
        ({"type": "insert", "path": "Patient.link", "index": 0, "value": {"part": []}}, "patch_invalid"),
        ({"type": "move", "path": "Patient.name", "source": 0, "destination": 1}, "patch_failed"),
        ({"type": "delete", "path": "Patient.name.given"}, "patch_failed"),
        ({"type": "delete", "path": "Patient"}, "patch_failed"),
        ({"type": "replace", "path": "Patient.gender", "value": "male"}, "patch_failed"),
        ({"type": "replace", "path": "Patient.name.count()", "value": "1"}, "patch_invalid"),
        (
            {"type": "replace", "path": "Patient.name.where((1|2).repeat($this+1).empty())", "value": "1"},
            "patch_invalid",
        ),
        ({"type": "replace", "path": "Patient..name", "value": "1"}, "patch_invalid"),
        ({"type": "remove", "path": "Patient.name"}, "patch_invalid"),
        ({"type": "add", "path": "Patient", "name": "gender"}, "patch_invalid"),
        ({"type": "move", "path": "Patient.name", "source": -1, "destination": 0}, "patch_invalid"),
        ({"path": "Patient.name"}, "patch_invalid"),
    ],
)
def test_a_fhirpath_patch_that_does_not_fit_says_which_operation(operation, fault):
    pointer, code = refused(fhirpath_patch, PATIENT, parameters({"type": "delete", "path": "Patient.photo"}, operation))
    assert (pointer.startswith("/parameter/1"), code) == (True, fault)


@pytest.mark.parametrize("body", [{"resourceType": "Patient"}, {"resourceType": "Parameters", "parameter": {}}, []])
def test_a_fhirpath_patch_is_a_parameters_resource(body):
    assert refused(fhirpath_patch, PATIENT, body)[1] == "patch_invalid"


def test_the_operations_of_a_patch_share_what_their_conditions_may_cost():
    nine = "(1|2|3|4|5|6|7|8|9)"
    costly = {"type": "delete", "path": f"Patient.photo.where({nine}.select({nine}.select({nine})).empty())"}
    body = {**PATIENT, "photo": [{"title": "a"}]}
    assert fhirpath_patch(body, parameters(costly)) == body
    assert refused(fhirpath_patch, body, parameters(*[costly] * 200))[1] == "patch_invalid"
