"""Writing: what is written is read back as it was meant, in any charset and with any delimiters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chartwire.core.errors import ValidationError
from chartwire.formats.hl7v2 import NULL, Delimiters, encode, escape, message, parse

DELIMITERS = [Delimiters(), Delimiters(truncation="#"), Delimiters("#", "@", "$", "!", "%", "?")]
TEXT = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00"), max_size=20)
CHARSETS = {"UNICODE UTF-8": "utf-8", "UNICODE UTF-16": "utf-16-be", "GB 18030-2000": "gb18030"}


@given(TEXT, st.sampled_from(DELIMITERS), st.sampled_from(sorted(CHARSETS)))
def test_any_text_survives_as_a_leaf(text, delimiters, charset):
    data = message(
        [["MSH", None, None, "A"], ["NTE", "1", None, ("x", ("y", text), "z")]], charset=charset, delimiters=delimiters
    )
    document = parse(data, charset=None if charset == "UNICODE UTF-16" else charset)
    assert document.get("NTE-3.2.2") == (text or None)
    assert (document.get("NTE-3.1"), document.get("NTE-3.3")) == ("x", "z")
    assert len(document.segments) == 2


LEAF = st.none() | st.integers(0, 99) | TEXT
COMPONENT = LEAF | st.lists(LEAF, min_size=2, max_size=3).map(tuple)
REPETITION = LEAF | st.lists(COMPONENT, min_size=2, max_size=4).map(tuple)
FIELD = REPETITION | st.lists(REPETITION, min_size=2, max_size=3)


@given(st.lists(FIELD, min_size=1, max_size=5), st.sampled_from(DELIMITERS))
def test_a_built_message_is_read_back_part_by_part(fields, delimiters):
    segment = parse(
        message([["MSH", None, None, "A"], ["ZZ1", *fields]], delimiters=delimiters), charset="UTF-8"
    ).segments[1]
    assert segment.field_count == len(fields)
    for number, field in enumerate(fields, 1):
        for r, repetition in enumerate(field if isinstance(field, list) else [field], 1):
            for c, component in enumerate(repetition if isinstance(repetition, tuple) else (repetition,), 1):
                for s, leaf in enumerate(component if isinstance(component, tuple) else (component,), 1):
                    assert segment.value(number, r, c, s) == (None if leaf in {None, ""} else str(leaf))


RAW_FIELD = st.text('ab1 |^~&\\.XFT"é\t', max_size=20)


@given(st.lists(RAW_FIELD, max_size=6))
def test_encoding_a_parsed_message_gives_its_bytes_back_unknown_escapes_included(fields):
    data = "".join(
        f"{line}\r" for line in ["MSH|^~\\&|A|||||||||||||||UNICODE UTF-8", *(f"ZZ1|{one}" for one in fields)]
    ).encode()
    assert encode(parse(data)) == data


def test_encoding_drops_the_byte_order_mark_and_normalises_line_ends_only():
    assert encode(parse(b"\xef\xbb\xbfMSH|^~\\&|A\r\n\nPID|1|\\Zx\\\n")) == b"MSH|^~\\&|A\rPID|1|\\Zx\\\r"


def test_undecodable_bytes_leave_as_the_escapes_that_stand_for_them():
    document = parse(b"MSH|^~\\&|A|||||||||||||||UNICODE UTF-8\rPID|1|\xc3\xa9\xff\r")
    assert encode(document).endswith(b"PID|1|\xc3\xa9\\XFF\\\r")
    assert parse(encode(document)).get("PID-2") == document.get("PID-2")


def test_a_cleared_value_is_written_unescaped():
    assert escape(NULL) == NULL
    assert parse(message([["MSH", None, None, "A"], ["PID", NULL]])).get("PID-1") == NULL


def test_msh_18_is_filled_only_where_text_needs_it_and_none_is_given():
    assert parse(message([["MSH", None, None, "Ä"]])).get("MSH-18") == "UNICODE UTF-8"
    assert parse(message([["MSH", None, None, "A"]])).get("MSH-18") is None
    given_charset = ["MSH", None, None, "Ä", *[None] * 14, "8859/1", "DEU"]
    document = parse(message([given_charset], charset="8859/1"))
    assert (document.get("MSH-3"), document.get("MSH-18"), document.get("MSH-19")) == ("Ä", "8859/1", "DEU")


@pytest.mark.parametrize(
    ("build", "code"),
    [
        (lambda: message([["MSH", None, None, "Ł"]], charset="8859/1"), "unencodable"),
        (lambda: message([["MSH", None, None, "\ud800"]]), "unencodable"),
        (lambda: message([["MSH", None, None, "a\x00"]]), "unencodable"),
        (lambda: message([["MSH", None, None, "A"]], charset="KLINGON"), "unknown_charset"),
        (lambda: escape("a|b", Delimiters("|", "^", "", "", "", "")), "unencodable"),
        (
            lambda: message([["MSH", None, None, ["a", "b"]]], delimiters=Delimiters("|", "^", "", "", "", "")),
            "unencodable",
        ),
    ],
)
def test_what_cannot_be_carried_is_refused_without_showing_it(build, code):
    with pytest.raises(ValidationError) as refusal:
        build()
    assert refusal.value.code == code
    assert "Ł" not in str(refusal.value)


def test_control_characters_cannot_break_the_framing_or_the_segments():
    data = message([["MSH", None, None, "a\x0bb\x1cc\rd\ne\tf"]])
    assert not {0x0B, 0x1C, 0x0A} & set(data)
    assert parse(data).get("MSH-3") == "a\x0bb\x1cc\rd\ne\tf"
