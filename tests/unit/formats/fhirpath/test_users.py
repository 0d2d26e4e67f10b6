"""Expressions of users: whatever they write, it ends soon, in an answer or in an error that says what is wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chartwire.formats.fhirpath import FhirPathError, Limits, compile_path, compile_user_path

PATIENT = {"resourceType": "Patient", "name": [{"family": "Weber", "given": ["Anna", "Maria"]}], "gender": "female"}


def evaluate(text, **limits):
    return compile_user_path(text, Limits(**limits)).evaluate(PATIENT)


def test_a_harmless_expression_answers_as_always():
    text = "name.where(family.matches('^[A-Z][a-z]+$')).select(given.first() & ' ' & family)"
    assert evaluate(text) == compile_path(text).evaluate(PATIENT) == ["Anna Weber"]


ONE_TO_NINE = "(1|2|3|4|5|6|7|8|9)"
ENDLESS = [
    "(1|2).repeat($this + 1)",
    "(1|2).repeat($this + 1).repeat($this + 1)",
    f"{ONE_TO_NINE}.select(" * 6 + "$this" + ")" * 6,
    f"({ONE_TO_NINE} | (10|11|12|13|14|15|16|17|18)).aggregate($total & $total, 'Weber')",
    "'aaaaaaaaaa'" + ".replace('', 'bbbbbbbbbbbbbbbbbbbb')" * 4,
]


@pytest.mark.parametrize("expression", ENDLESS, ids=[expression[:30] for expression in ENDLESS])
def test_what_would_not_end_is_stopped(expression):
    with pytest.raises(FhirPathError) as stopped:
        evaluate(expression)
    assert stopped.value.code == "fhirpath_too_costly"


def test_the_clock_stops_what_takes_few_but_long_steps():
    with pytest.raises(FhirPathError, match="time"):
        evaluate("(1|2).repeat($this + 1)", seconds=0.0, steps=10**9)


@pytest.mark.parametrize(
    "pattern",
    ["(a+)+$", "(a|a)*$", "(a*b?)*c", "((ab)*c)*", r"(a)\\1", "(?=a)a", ".*.*.*=", "([a-z]+){2,}", "(a", "a)", "*a"],
)
def test_patterns_that_may_not_end_are_refused_before_they_run(pattern):
    with pytest.raises(FhirPathError):
        compile_user_path(f"name.family.matches('{pattern}')").evaluate(PATIENT)


@pytest.mark.parametrize(
    ("pattern", "subject"),
    [
        ("^[0-9]{5}(-[0-9]{4})?$", "02139-4307"),
        (r"^\\+?[0-9 ()-]{7,20}$", "+49 (30) 123-456"),
        ("^[^@]+@[^@]+[.][a-z]+$", "anna@example.org"),
        ("(?:Mr|Mrs)[.] W", "Mrs. Weber"),
        ("[]a]{1,3}", "]"),
    ],
)
def test_patterns_that_people_write_are_taken(pattern, subject):
    assert evaluate(f"'{subject}'.matches('{pattern}')") == [True]


def test_a_pattern_is_written_out_and_its_text_is_short():
    with pytest.raises(FhirPathError, match="written out"):
        compile_user_path("name.family.matches(name.family)")
    with pytest.raises(FhirPathError, match="longer text"):
        evaluate(f"'{'a' * 300}'.matches('a+')")


@pytest.mark.parametrize("expression", ["memberOf('x')", "name.where(resolve() is Patient)", "conformsTo('x')"])
def test_functions_that_ask_others_are_not_for_users(expression):
    with pytest.raises(FhirPathError, match="not for expressions of users"):
        compile_user_path(expression)


@pytest.mark.parametrize(
    ("expression", "place"),
    [
        ("name.given1", 5),
        ("Patient.name.where(familly = 'x')", 19),
        ("name.select(given).foo", 19),
        ("Encounter.status", 0),
        ("(name | contact.name).familly", 22),
        ("contact.name.exists(given.first() = frist)", 36),
    ],
)
def test_a_misspelt_element_is_found_with_its_place(expression, place):
    with pytest.raises(FhirPathError, match=r"has no element|is no Encounter") as wrong:
        compile_user_path(expression, type_name="Patient")
    assert wrong.value.position == place


@pytest.mark.parametrize(
    "expression",
    [
        "contained.name",
        "name.trace('x', given).family",
        "name.first().iif(given.exists(), family)",
        "name.children().foo",
        "deceased.ofType(dateTime)",
        "extension('x').value.code",
        "name.given.id",
    ],
)
def test_what_is_known_at_run_time_only_is_not_refused(expression):
    compile_user_path(expression, type_name="Patient")


@given(st.text(alphabet="ab.()[]{}|'=<>+-*/&$%@0123456789 \n\\`,nameisaor", max_size=60))
def test_any_text_is_an_answer_or_an_error_with_a_place_in_it(text):
    assert position_of(text) in range(-1, len(text) + 1)


def position_of(text):
    try:
        evaluate(text)
    except FhirPathError as error:
        return error.position
    return -1
