"""What parse() promises: every input is a Document or a ParseError, and every value comes out as it was meant."""

import pytest

from chartwire.core.errors import ParseError
from chartwire.core.limits import MLLP_MESSAGE_BYTES_MAX, SEGMENTS_MAX, SEPARATORS_PER_FIELD_MAX
from chartwire.formats.hl7v2 import NULL, Document, parse, parse_text

HEADER = "MSH|^~\\&|LAB|HOSP|HUB|CLINIC|20261120081500||ADT^A01^ADT_A01|MSG1|P|2.5.1\r"


def pid(fields: str, header: str = HEADER) -> Document:
    return parse_text(f"{header}PID|{fields}\r")


def test_values_are_read_by_field_repetition_component_and_subcomponent():
    document = pid("1||4711^^^HOSP&1.2.3&ISO^MR~99^^^STATE^SS||DOE^JANE^^^MS")
    assert document.get("PID-3") == document.get("PID-3(1).1") == "4711"
    assert document.get("PID-3.4.2") == "1.2.3"
    assert document.get("PID-3(2).5") == "SS"
    assert [one.value(4) for one in document.segments[1].repetitions(3)] == ["HOSP", "STATE"]
    assert document.segments[1].value(5, component=2) == "JANE"


def test_msh_1_is_the_field_separator_and_msh_2_is_never_taken_apart():
    document = parse_text(HEADER)
    assert document.get("MSH-1") == "|"
    assert document.get("MSH-2") == "^~\\&"
    assert document.get("MSH-3") == "LAB"
    assert document.get("MSH-9.3") == "ADT_A01"
    assert document.segments[0].field_count == 12


def test_absent_and_empty_are_none_while_two_quotation_marks_are_a_cleared_value():
    document = pid('1||""^^^X||""^|""~')
    segment = document.segments[1]
    assert (document.get("PID-2"), document.get("PID-30"), document.get("ZZZ-1")) == (None, None, None)
    assert (segment.raw(2), segment.raw(30), segment.raw(0)) == ("", "", "")
    assert segment.repetitions(2) == [] == segment.repetitions(30)
    assert document.get("PID-3.1") == NULL
    assert document.get("PID-3.2") is None
    assert not segment.repetitions(5)[0].null
    assert [one.null for one in segment.repetitions(6)] == [True, False]
    assert [one.text for one in segment.repetitions(6)] == [NULL, None]


def test_a_position_below_one_is_absent_and_never_counts_from_the_end():
    segment = pid("1||A^B&C~D").segments[1]
    assert segment.value(3, 0) is None
    assert segment.value(3, 1, 0) is None
    assert segment.value(3, 1, 2, 0) is None
    assert segment.value(-1) is None


def test_segments_know_their_place_in_the_message_and_among_their_own():
    document = parse_text(HEADER + "OBX|1\rNTE|a\rOBX|2\r")
    assert [(one.name, one.index, one.occurrence) for one in document.segments] == [
        ("MSH", 0, 1), ("OBX", 1, 1), ("NTE", 2, 1), ("OBX", 3, 2),
    ]  # fmt: skip
    assert document.get("OBX(2)-1") == "2"
    assert [one.raw(1) for one in document.all("OBX")] == ["1", "2"]
    assert document.first("PV1") is None and document.all("PV1") == []


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n", "\n\r", "\r\r\n\n"])
def test_any_mix_of_line_ends_separates_segments_and_empty_segments_are_ignored(end):
    document = parse_text(f"{end}MSH|^~\\&|A{end}{end}EVN|A01{end}PID|1{end}{end}")
    assert [one.name for one in document.segments] == ["MSH", "EVN", "PID"]


def test_only_carriage_return_and_line_feed_end_a_segment():
    text = "a\x0bb\x0cc\x85d\u2028e\x1cf"
    assert pid(f"1||{text}|next").get("PID-3") == text


def test_mllp_bytes_and_padding_around_a_message_are_tolerated():
    assert parse(b"\x0bMSH|^~\\&|A\rPID|1\x1c\r").get("PID-1") == "1"
    assert parse(b"\r\n  MSH|^~\\&|A\rPID|1\r\x00\x00").get("PID-1") == "1"


def test_z_segments_pass_and_read_like_any_other():
    assert parse_text(HEADER + "ZPI|1|X^Y\rZ01|q\r").get("ZPI-2.2") == "Y"


@pytest.mark.parametrize(
    ("encoding_characters", "expected"),
    [
        ("^", ("^", "", "", "", "")),
        ("^~", ("^", "~", "", "", "")),
        ("^~\\", ("^", "~", "\\", "", "")),
        ("^~\\&", ("^", "~", "\\", "&", "")),
        ("^~\\&#", ("^", "~", "\\", "&", "#")),
        ("^~\\&#more", ("^", "~", "\\", "&", "#")),
        ("@$!%", ("@", "$", "!", "%", "")),
    ],
)
@pytest.mark.parametrize("version", ["2.1", "2.5.1", "2.9"])
def test_msh_2_of_one_to_five_and_more_characters_is_read_in_any_version(encoding_characters, expected, version):
    document = parse_text(f"MSH|{encoding_characters}|A|B|C|D|2026||ADT|1|P|{version}\rPID|1||a&b\r")
    assert tuple(document.delimiters[1:]) == expected
    assert document.get("MSH-2") == encoding_characters
    assert document.get("PID-3") == ("a" if "&" in expected else "a&b")
    assert document.findings == []


def test_delimiters_that_a_message_does_not_name_are_ordinary_characters():
    document = parse_text("MSH|^\rPID|1||a~b\\T\\c&d^e\r")
    assert document.get("PID-3.1") == "a~b\\T\\c&d"
    assert document.get("PID-3.2") == "e"


def test_unusual_delimiters_work_everywhere():
    document = parse_text("MSH#@$!%#A\rPID#1##x@y%z$!F!!S!!R!!T!!E!\r")
    assert document.get("PID-3(1).2.2") == "z"
    assert document.get("PID-3(2)") == "#@$%!"


def test_an_encoding_character_written_twice_in_a_row_counts_once_with_a_finding():
    document = parse_text("MSH|^~\\\\&|A\rPID|1||a&b\\T\\c\r")
    assert tuple(document.delimiters) == ("|", "^", "~", "\\", "&", "")
    assert document.get("PID-3.1.2") == "b&c"
    assert [one.code for one in document.findings] == ["delimiters_repeated"]


@pytest.mark.parametrize(
    ("text", "code", "position", "location"),
    [
        ("", "empty_message", 0, "MSH"),
        ("\r\n \r", "empty_message", 0, "MSH"),
        ("hello", "not_hl7", 0, "MSH"),
        ("PID|1\rMSH|^~\\&|A", "not_hl7", 0, "MSH"),
        ("msh|^~\\&|A", "not_hl7", 0, "MSH"),
        ("MSH", "bad_delimiters", 3, "MSH-1"),
        ("MSH\rPID|1", "bad_delimiters", 3, "MSH-1"),
        ("MSHA^~\\&A", "bad_delimiters", 3, "MSH-1"),
        ("MSH|", "bad_delimiters", 4, "MSH-2"),
        ("MSH||A|B", "bad_delimiters", 4, "MSH-2"),
        ("MSH|^^&^|A", "bad_delimiters", 4, "MSH-2"),
        ("MSH|abc|A", "bad_delimiters", 4, "MSH-2"),
        ("MSH|^~\\&|A\rPIDX|1", "bad_segment_id", 11, "segment 2"),
        ("MSH|^~\\&|A\r\r\npid|1", "bad_segment_id", 13, "segment 2"),
        ("MSH|^~\\&|A\rPID|1\rcontinued text\r", "bad_segment_id", 17, "segment 3"),
        ("MSH|^~\\&|A\rÄBC|1", "bad_segment_id", 11, "segment 2"),
        ("MSH|^~\\&|A\rMSH|^~\\&|B\r", "several_messages", 11, "MSH[2]"),
    ],
)
def test_what_is_no_message_is_refused_with_code_position_and_location(text, code, position, location):
    with pytest.raises(ParseError) as refusal:
        parse(text.encode())
    assert (refusal.value.code, refusal.value.position, refusal.value.location) == (code, position, location)
    with pytest.raises(ParseError) as refusal_of_text:
        parse_text(text)
    assert refusal_of_text.value.code == code


def test_a_position_counts_bytes_for_bytes_and_characters_for_text():
    text = "MSH|^~\\&|Ä\rbad"
    with pytest.raises(ParseError) as in_bytes:
        parse(b"\xef\xbb\xbf" + text.encode())
    with pytest.raises(ParseError) as in_characters:
        parse_text(text)
    assert in_bytes.value.position == 3 + len("MSH|^~\\&|Ä\r".encode())
    assert in_characters.value.position == len("MSH|^~\\&|Ä\r")


def test_no_error_text_holds_a_value_of_the_message():
    with pytest.raises(ParseError) as refusal:
        parse(b"MSH|^~\\&|A\rPID|1\rSECRETNAME wrote this\r")
    assert "SECRETNAME" not in f"{refusal.value!r} {refusal.value.location}"


def test_bounds_on_bytes_segments_and_separators_are_kept():
    with pytest.raises(ParseError, match="bytes") as too_large:
        parse(b"MSH|^~\\&|" + b"x" * MLLP_MESSAGE_BYTES_MAX)
    assert too_large.value.code == "too_large"
    with pytest.raises(ParseError) as too_many:
        parse(HEADER.encode() + b"NTE\r" * (SEGMENTS_MAX + 1))
    assert too_many.value.code == "too_many_segments"
    for separator in "|^~&":
        with pytest.raises(ParseError) as separators:
            pid("1||" + separator * (SEPARATORS_PER_FIELD_MAX + 1))
        assert (separators.value.code, separators.value.location) == ("too_many_separators", "PID[1]")


def test_a_repetition_gives_its_whole_text_for_fields_that_hold_delimiters():
    document = parse_text(HEADER + "OBX|1|TX|||a^b&c\\.br\\d~second\r")
    first, second = document.segments[1].repetitions(5)
    assert first.text == "a^b&c\nd"
    assert (first.raw, first.component_count, second.text) == ("a^b&c\\.br\\d", 2, "second")


def test_a_repetition_list_is_made_once_and_agrees_with_single_reads():
    segment = pid("1||a~~c^d").segments[1]
    assert segment.value(3, 3, 2) == "d"
    assert segment.repetitions(3) is segment.repetitions(3)
    assert [one.value() for one in segment.repetitions(3)] == ["a", None, "c"]


def test_representations_show_no_content():
    document = pid("1||SECRET")
    assert "SECRET" not in repr([document, document.segments, document.segments[1].repetitions(3)])


def test_a_bad_path_is_refused_with_the_place_where_reading_stopped():
    document = parse_text(HEADER)
    for path, position in (
        ("", 0),
        ("PID", 3),
        ("PID-", 3),
        ("PID-0", 3),
        ("PID-5.x", 5),
        ("PID(0)-5", 3),
        ("PID-5(2", 5),
    ):
        with pytest.raises(ParseError) as refusal:
            document.get(path)
        assert (refusal.value.code, refusal.value.position) == ("bad_path", position), path
