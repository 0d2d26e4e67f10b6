"""Messages that were built well and then broken: only ParseError may escape, values stay clean, time stays linear."""

import gc
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chartwire.core.errors import ParseError
from chartwire.formats.hl7v2 import Deframer, Document, build_ack, encode, parse, parse_text, read_envelope, split

HEADER = "MSH|^~\\&|LAB^1.2^ISO|HOSP|HUB|CLINIC|20261120||ADT^A40^ADT_A39|MSG1|P|2.5.1"
SEGMENTS = [
    "EVN|A40|20261120081500",
    "PID|1||4711^^^HOSP&1.9&ISO^MR~99^^^STATE^SS||DOE\\T\\SON^JANE^^^MS|\"\"|19800101|F",
    "MRG|815^^^HOSP^MR",
    "PV1|1|I|W^1^B^HOSP||||||||||||||||V55",
    "OBX|1|TX|||line one\\.br\\line two \\XC3A9\\ C:\\temp",
    "ZZ9|Müller|Ωμέγα|\\Zfoo\\",
    "FHS|^~\\&|A", "BTS|1", "MSH|^~\\&|second",
]  # fmt: skip
CHARSETS = st.sampled_from(
    ["", "UNICODE UTF-8", "8859/1", "ISO IR87", "GB 18030-2000", "ASCII", "KLINGON", "UNICODE UTF-16"]
)
CODECS = st.sampled_from(["utf-8", "utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-be", "utf-32", "gb18030"])
BROKEN = st.sampled_from(
    [b"", b"\x00", b"\r", b"\n", b"|", b"^", b"~", b"&", b"\\", b"\x0b", b"\x1c", b"\x1b$B", b"\x81", b"\xff", b"\xc3",
     b"\\X", b"\\X00\\", b"\\.sp+\\", b'"', b"MSH", b"\xef\xbf\xbd", b"\xed\xa0\x80"]
)  # fmt: skip


@st.composite
def broken_messages(draw: st.DrawFn) -> bytes:
    """A realistic message in some charset, then cut, overwritten, repeated and truncated."""
    lines = [f"{HEADER}||||||{draw(CHARSETS)}", *draw(st.lists(st.sampled_from(SEGMENTS[:6]), max_size=5))]
    lines += draw(st.lists(st.sampled_from(SEGMENTS[6:]), max_size=1))
    text = draw(st.sampled_from(["\r", "\n", "\r\n"])).join([*lines, ""])
    data = text.encode(draw(CODECS), "replace")
    for _ in range(draw(st.integers(0, 4))):
        position = draw(st.integers(0, min(len(data), 200)))
        removed = draw(st.sampled_from([0, 0, 1, 2, 5, 1000]))
        data = data[:position] + draw(BROKEN) + data[position + removed :]
    return data


def parsed(read: Callable[[], Document]) -> Document | ParseError:
    try:
        return read()
    except ParseError as refusal:
        return refusal


def every_value(document: Document) -> list[str]:
    values = []
    for segment in document.segments:
        for number in range(segment.field_count + 2):
            for repetition in segment.repetitions(number):
                values += [repetition.text]
                for component in range(repetition.component_count + 2):
                    values += [repetition.value(component, sub) for sub in (0, 1, 2, 3)]
    return [value for value in values if value is not None]


def is_clean(value: str) -> bool:
    return "\x00" not in value and not any("\ud800" <= letter <= "\udfff" for letter in value)


@given(broken_messages())
@example(b"MSH|^~\\&|\xe9|\xff\xfe\rx")
@example(b"\xff\xfe")
@example(b"\xef\xbb\xbf")
@example(b"MSH|^~\\&|A\rPID|\xed\xa0\x80")
def test_any_bytes_are_a_document_or_a_parse_error_and_all_values_are_clean(data):
    document = parsed(lambda: parse(data))
    if isinstance(document, ParseError):
        assert document.code and document.position >= 0
        return
    assert document.raw == data
    assert all(map(is_clean, every_value(document)))
    assert "\ufffd" not in document.text or b"\xef\xbf\xbd" in data or document.charset != "utf-8"
    again = parse(encode(document), charset=document.charset)
    if document.charset in {"utf-8", "ascii", "iso8859-1"}:
        assert [one.line for one in again.segments] == [one.line for one in document.segments]


@given(
    st.text(st.sampled_from('MSHPID|^~\\&\r\n\x00\ud800\udcff"AX0é.'), max_size=60).map(
        lambda tail: "MSH|^~\\&|" + tail
    )
)
def test_any_text_is_a_document_or_a_parse_error(text):
    document = parsed(lambda: parse_text(text))
    if isinstance(document, ParseError):
        assert document.position <= len(text)
    else:
        assert all(map(is_clean, every_value(document)))


@given(broken_messages())
def test_the_envelope_of_any_bytes_can_be_read_and_answered(data):
    envelope = read_envelope(data)
    code = "AE" if envelope.fault else "AA"
    answer = parse(build_ack(envelope, code, control_id="1", at=datetime.now(UTC)), charset=envelope.charset)
    assert answer.get("MSA-1") == code
    assert [one.name for one in answer.segments][:2] == ["MSH", "MSA"]


@given(broken_messages())
@example(f"{HEADER}\rPID|1||\x001&2^^^H^M&R~3\\T\\4\r".encode())
def test_what_the_envelope_lets_through_parses_and_names_the_same_patients(data):
    envelope = read_envelope(data)
    if envelope.fault or envelope.is_batch:
        return
    document = parse(data)
    expected = [one.value(1) for pid in document.all("PID") for one in pid.repetitions(3)]
    assert [one.value for one in envelope.patient_ids] == [value for value in expected if value not in {None, '""'}]
    assert envelope.control_id.startswith((document.get("MSH-10") or "").strip())


@given(st.lists(broken_messages(), max_size=3).map(b"".join))
def test_any_stream_is_split_and_any_frame_stream_is_cut(data):
    try:
        batch = split(data)
    except ParseError:
        return
    assert all(0 <= one.start <= one.end <= len(batch.data) for one in batch.members)
    assert all(before.end <= after.start for before, after in zip(batch.members, batch.members[1:], strict=False))
    deframer = Deframer(100)
    deframer.feed(data)
    deframer.close()


@pytest.mark.parametrize("end", range(1, 90))
def test_a_message_cut_after_any_byte_of_its_header_is_answered(end):
    data = (HEADER + "\rPID|1||1\r").encode()[:end]
    envelope = read_envelope(data)
    assert (envelope.fault is None) is (end > HEADER.index("2.5.1") and end not in {len(HEADER) + 2, len(HEADER) + 3})
    assert parse(build_ack(envelope, "AE", control_id="1", at=datetime.now(UTC))).get("MSA-1") == "AE"


UNITS = [
    "^",
    "~",
    "&",
    "~^&",
    "a~",
    "a^",
    "a&",
    "\\",
    "\\F",
    "\\F\\",
    "\\X",
    "\\X41",
    "\\X41\\",
    "\\.br\\",
    "\\E\\",
    "\x00",
    "\n",
    " \r",
]
PLACES = ["PID|1||%s", "PID|1||a^b^%s", "PID|1||a~b~%s", "PID|1||a&b&%s", "PID|%s"]


@pytest.fixture(autouse=True)
def without_garbage_collection() -> Iterator[None]:
    """Collections walk the whole test process, whatever the input: they would hide how reading itself grows."""
    gc.disable()
    yield
    gc.enable()


def reading_seconds(data: bytes) -> float:
    """Best of three, in processor time, so that busy neighbours do not count."""
    best = 60.0
    for _ in range(3):
        begin = time.process_time()
        read_envelope(data)
        document = parse(data)
        for path in ("PID-3", "PID-3.2.2", "PID-3(2).3", "PID-3.3.3", "PID-3(3).1", "PID-1", "PID-3.1000.2"):
            document.get(path)
        if len(document.segments) > 1:
            document.segments[1].repetitions(3)
        best = min(best, time.process_time() - begin)
    return best


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("place", PLACES)
def test_separators_and_escapes_in_any_place_are_read_in_linear_time(unit, place):
    def seconds(count: int) -> float:
        return reading_seconds(f"{HEADER}\r{place % (unit * (count // len(unit)))}\r".encode())

    small, large = seconds(50_000), seconds(200_000)
    assert large < 4 * 4 * small + 0.05, (small, large)


def test_an_escape_that_never_ends_does_not_backtrack():
    calls: list[Callable[[int], str]] = [
        lambda n: "\\X" + "41" * n, lambda n: "\\X41" * n, lambda n: "\\X41\\" * n + "\\X4",
        lambda n: "\\." + "9" * n, lambda n: "\\C" * n,
    ]  # fmt: skip
    for build in calls:
        seconds = [reading_seconds(f"{HEADER}\rPID|1||{build(n)}\r".encode()) for n in (10_000, 40_000)]
        assert seconds[1] < 16 * seconds[0] + 0.05
