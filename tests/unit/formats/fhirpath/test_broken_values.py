"""JSON that is no resource of its type gives no value of a wrong kind, and nothing but FhirPathError."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chartwire.formats.fhir.definitions import search_parameters
from chartwire.formats.fhirpath import FhirPathError, compile_path

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.decimals()
    | st.text(max_size=5)
    | st.sampled_from(["#", "2026-02-30"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["value", "reference", "coding"]), inner)
    ),
    max_leaves=6,
)
BODIES = st.fixed_dictionaries(
    {"resourceType": st.just("Patient")},
    optional=dict.fromkeys(
        (
            "name",
            "birthDate",
            "_birthDate",
            "deceasedBoolean",
            "contained",
            "identifier",
            "generalPractitioner",
            "gender",
        ),
        VALUES,
    ),
)
LANGUAGE = [
    "contained.where(('#' + id in %resource.descendants().reference).not()).empty()",
    "birthDate < today() or birthDate + 1 day > @2026",
    "name.family & name.given.first() & gender.upper()",
    "descendants().as(string).length() > 3",
    "generalPractitioner.resolve().name = name",
    "identifier.value.toInteger() + 1 = deceased.toInteger()",
]


@given(BODIES)
def test_published_and_other_expressions_answer_or_say_why_not(body):
    for parameter in search_parameters("Patient").values():
        compile_path(parameter.expression).typed(body)
    for expression in LANGUAGE:
        answer_of(expression, body)


def answer_of(expression, body):
    try:
        return compile_path(expression).evaluate(body)
    except FhirPathError:
        return None


@pytest.mark.parametrize(
    ("body", "expression"),
    [
        ({"gender": 5}, "gender"),
        ({"active": "true"}, "active"),
        ({"name": "Weber"}, "name"),
        ({"name": [None, "Weber", []]}, "name"),
        ({"name": [{"family": {"text": "x"}, "period": [{}, "2026"]}]}, "name.family | name.period.start"),
        ({"contained": [{"resourceType": "Nothing", "name": "x"}]}, "contained.name"),
        ({"_birthDate": "x", "birthDate": {"value": 1}}, "birthDate"),
        ({"resourceType": ["Patient"], "gender": "male"}, "gender"),
    ],
)
def test_a_value_of_another_kind_is_absent(body, expression):
    assert compile_path(expression).evaluate({"resourceType": "Patient", **body}) == []
