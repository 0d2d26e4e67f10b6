"""Values of custom fields against their definitions, in FHIR and in the index."""

from dataclasses import replace

import pytest

from chartwire.core.clock import now
from chartwire.core.errors import FaultsError
from chartwire.record.custom_values import (
    CustomField,
    check,
    check_definition,
    extensions,
    index_value,
    searched,
    values_of,
)
from chartwire.record.index import index_values

INSURER = CustomField("patient", "insurer", "string", "Insurer", searchable=True, max_length=20)
FIELDS = {
    "string": INSURER,
    "integer": CustomField("patient", "visits", "integer", "Visits"),
    "decimal": CustomField("patient", "fee", "decimal", "Fee"),
    "boolean": CustomField("patient", "vip", "boolean", "VIP"),
    "date": CustomField("patient", "since", "date", "Since"),
    "datetime": CustomField("patient", "seen_at", "datetime", "Seen at"),
    "code": CustomField("patient", "tier", "code", "Tier", allowed=("gold", "silver")),
}
FITTING = {
    "string": "Zürich Re",
    "integer": 12,
    "decimal": 12.50,
    "boolean": False,
    "date": "2026-11-20",
    "datetime": "2026-11-20T08:00:00.000Z",
    "code": "gold",
}


def faults_of(*arguments):
    with pytest.raises(FaultsError) as caught:
        check(*arguments)
    return [(pointer, code) for pointer, code, _ in caught.value.faults]


@pytest.mark.parametrize("kind", FIELDS)
def test_a_value_of_each_type_comes_back_from_fhir_as_it_went_in(kind):
    definition, value = FIELDS[kind], FITTING[kind]
    checked = check([definition], {definition.name: value})
    assert values_of({"extension": extensions([definition], checked)}) == {definition.name: value}


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("string", ""), ("string", "  "), ("string", "x" * 21), ("string", 7), ("string", "a\x00b"),
        ("integer", 1.5), ("integer", True), ("integer", 2**31), ("integer", "12"),
        ("decimal", "1"), ("decimal", float("inf")), ("decimal", 1e15), ("decimal", False),
        ("boolean", "true"), ("boolean", 1),
        ("date", "2026-02-30"), ("date", "20261120"), ("date", 20261120),
        ("datetime", "2026-11-20T08:00:00"), ("datetime", "2026-11-20"), ("datetime", "0001-01-01T00:00:00+14:00"),
        ("code", "bronze"), ("code", ["gold"]),
    ],
)  # fmt: skip
def test_a_value_that_its_type_refuses_is_named_by_pointer_only(kind, value):
    definition = FIELDS[kind]
    with pytest.raises(FaultsError) as caught:
        check([definition], {definition.name: value})
    ((pointer, code, _),) = caught.value.faults
    assert (pointer, code) == (f"/custom/{definition.name}", "invalid_value")


def test_a_required_field_that_is_missing_or_null_is_told():
    required = replace(INSURER, required=True)
    assert faults_of([required], {}) == [("/custom/insurer", "required")]
    assert faults_of([required], {"insurer": None}) == [("/custom/insurer", "required")]


def test_a_name_that_is_not_defined_is_refused_without_being_quoted():
    assert faults_of([INSURER], {"Anna Schmidt": "x"}) == [("/custom", "unknown_field")]


def test_a_retired_field_takes_no_new_value_but_keeps_its_own():
    retired = replace(INSURER, retired=True)
    assert check([retired], {"insurer": "Acme"}, {"insurer": "Acme"}) == {"insurer": "Acme"}
    assert faults_of([retired], {"insurer": "Other"}, {"insurer": "Acme"}) == [("/custom/insurer", "invalid_value")]


def test_a_search_finds_what_the_index_holds_however_it_is_written():
    body = {"extension": extensions(FIELDS.values(), {one.name: FITTING[kind] for kind, one in FIELDS.items()})}
    held = {value for param, value in index_values("Patient", body, now()) if param == "custom"}
    asked = {
        "string": "ZURICH RE", "integer": "12", "decimal": "12.500", "boolean": "false", "date": "2026-11-20",
        "datetime": "2026-11-20T09:00:00+01:00", "code": "Gold",
    }  # fmt: skip
    assert {searched(FIELDS[kind], text) for kind, text in asked.items()} == held


def test_numbers_that_are_equal_have_one_index_value():
    assert index_value("fee", 100) == index_value("fee", 100.0) == "fee=100"


@pytest.mark.parametrize(
    ("draft", "pointer"),
    [
        (replace(INSURER, name="Insurer"), "/name"),
        (replace(INSURER, name="x" * 41), "/name"),
        (replace(INSURER, label=" "), "/label"),
        (replace(INSURER, max_length=0), "/max_length"),
        (replace(FIELDS["date"], max_length=5), "/max_length"),
        (replace(FIELDS["code"], allowed=()), "/values"),
        (replace(FIELDS["code"], allowed=("a", "a")), "/values"),
        (replace(FIELDS["date"], allowed=("a",)), "/values"),
    ],
)
def test_a_definition_that_breaks_a_rule_is_refused_at_its_place(draft, pointer):
    with pytest.raises(FaultsError) as caught:
        check_definition(draft)
    assert [one[0] for one in caught.value.faults] == [pointer]
