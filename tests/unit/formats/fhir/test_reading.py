"""Reading FHIR JSON: what two readers could read differently is refused, with code and place."""

import contextlib
from copy import deepcopy
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chartwire.core.errors import ParseError
from chartwire.core.limits import FHIR_DEPTH_MAX
from chartwire.formats.fhir.reading import read_resource
from chartwire.record.bodies import plain_json

PATIENT = b'{"resourceType":"Patient",%s}'


def refusal(data, **bounds):
    with pytest.raises(ParseError) as caught:
        read_resource(data, **bounds)
    return caught.value


def test_a_resource_is_read_with_its_numbers_as_they_were_written():
    body = read_resource(b'{"resourceType":"Observation","valueQuantity":{"value":72.50},"n":-1.0E-245,"i":12}')
    assert str(body["valueQuantity"]["value"]) == "72.50"
    assert (body["n"], body["i"]) == (Decimal("-1.0E-245"), 12)


@pytest.mark.parametrize(
    ("member", "place"),
    [
        (b'"id":"a","id":"b"', "Patient.id"),
        (b'"id":"a", "id" :\n"b"', "Patient.id"),
        (b'"name":[{"family":"A"},{"family":"A","family":"B"}]', "Patient.name[1].family"),
        (b'"a":1,"\\u0061":2,"b":"\\u003a"', "Patient.a"),
        (b'"name":{"text":"a:b","text":"\\u003A\\u003a"}', "Patient.name.text"),
        (b'"gone":{"a":1,"a":2},"gone":3', "Patient.gone"),
        (b'"anna.weber@example.org":1,"anna.weber@example.org":2', "Patient.(a name that is no FHIR element)"),
    ],
)
def test_a_member_that_stands_twice_is_refused_with_its_place(member, place):
    error = refusal(PATIENT % member)
    assert (error.code, error.location) == ("json_duplicate_key", place)


@pytest.mark.parametrize(
    ("data", "position"),
    [
        (b"", 0),
        (b"[1]", 0),
        (b'"Patient"', 0),
        (PATIENT % b'"n":NaN', 30),
        (PATIENT % b'"n":-Infinity', 31),
        (PATIENT % b'"n":01', 31),
        (PATIENT % b'"n":1,', 32),
        (PATIENT % b'"t":"\x00"', 31),
        (PATIENT % b'"t":"a\nb"', 32),
        (PATIENT % b'"t":"\xff"', 31),
        (PATIENT % b'"t":"\xed\xa0\x80"', 31),
        (PATIENT % b'"t":"\\ud800"', 31),
        (PATIENT % b'"t":"\\udc00\\ud800"', 31),
        (PATIENT % b'"t":"\\\\\\ud83d"', 33),
        (PATIENT % b'"t":1' + b"x", 33),
    ],
)
def test_what_is_no_json_object_in_utf8_is_refused_with_its_position(data, position):
    error = refusal(data)
    assert (error.code, error.position) == ("body_malformed", position)


def test_a_byte_order_mark_is_refused():
    assert "byte order mark" in refusal(b"\xef\xbb\xbf" + PATIENT % b'"id":"a"').message


@pytest.mark.parametrize("text", [b"\\u0000", b"\\u001f", b"\\b", b"\\f", b"\\u000B"])
def test_control_characters_are_refused_where_they_stand(text):
    error = refusal(PATIENT % (b'"name":[{"given":["a","%s"]}]' % text))
    assert (error.code, error.location) == ("json_control_character", "Patient.name[0].given")


@pytest.mark.parametrize("text", ["tab\\t line\\n return\\r", "a \\\\u0000 that is none", "\\ud83d\\ude00", "\\u00e9"])
def test_text_that_only_looks_odd_is_read(text):
    assert read_resource(PATIENT % f'"t":"{text}"'.encode())["t"]


@pytest.mark.parametrize("number", [b"1" * 5000, b"1e999999999", b"1e99999999999999999999", b"1.%s" % (b"0" * 64)])
def test_numbers_that_are_bombs_are_refused(number):
    assert refusal(PATIENT % b'"n":%s' % number).code == "json_number"


@pytest.mark.parametrize("depth", [FHIR_DEPTH_MAX, 100_000])
def test_what_is_nested_too_deep_is_refused(depth):
    assert refusal(PATIENT % (b'"a":' + b"[" * depth + b"]" * depth)).code == "json_too_deep"


def test_what_is_nested_as_deep_as_may_be_is_read():
    depth = FHIR_DEPTH_MAX - 1
    assert read_resource(PATIENT % (b'"a":' + b"[" * depth + b"]" * depth))


def test_more_bytes_than_may_be_are_refused_unread():
    assert refusal(b"{" * 100, bytes_max=99).code == "body_too_large"


@pytest.mark.parametrize("data", [b"{}", b'{"resourceType":1}', b'{"resourceType":null,"id":"a"}'])
def test_a_resource_says_what_it_is(data):
    error = refusal(data)
    assert (error.code, error.location) == ("resource_type_missing", "resourceType")


@given(st.binary(max_size=60).map(lambda tail: PATIENT % tail) | st.binary(max_size=60))
def test_any_bytes_are_a_resource_or_a_parse_error(data):
    with contextlib.suppress(ParseError):
        assert read_resource(data)["resourceType"]


@pytest.mark.parametrize("literal", [b"1e5", b"1E-07", b"0.00000001", b"0.0000000", b"-0.0", b"72.50", b"1.5e300"])
def test_a_number_is_written_back_as_it_was_written(literal):
    body = read_resource(b'{"resourceType":"Basic","n":%s}' % literal)
    assert body["n"] == Decimal(literal.decode())
    assert plain_json(deepcopy(body)) == f'{{"resourceType":"Basic","n":{literal.decode()}}}'
