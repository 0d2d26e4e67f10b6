"""Bytes to Document, in linear time: every input ends in a Document or a ParseError."""

import re
from functools import lru_cache
from typing import Final

from chartwire.core.errors import ParseError
from chartwire.core.limits import MLLP_MESSAGE_BYTES_MAX, SEGMENTS_MAX, SEPARATORS_PER_FIELD_MAX
from chartwire.formats.hl7v2.charsets import ECHO, Decoded, decode
from chartwire.formats.hl7v2.document import Document, Finding, Segment, Syntax
from chartwire.formats.hl7v2.escapes import Delimiters

_SEGMENT_ID: Final = re.compile(r"[A-Z][A-Z0-9]{2}")
_REPEATED: Final = re.compile(r"(.)\1+")
_LINE: Final = re.compile(r"[^\r\n]+")
_UNSAFE: Final = re.compile("[\x00\udc00-\udcff]+|[\ud800-\udbff\udd00-\udfff]+")
_UNREADABLE: Final = (
    ("nul", re.compile("\x00+"), "NUL, kept as hex escapes"),
    ("undecodable_bytes", re.compile("[\ud800-\udfff]+"), "bytes that the charset cannot read, kept as hex escapes"),
)
PADDING: Final = "\x0b\x1c\r\n \t\x00\ufeff"
_ENCODING_CHARACTERS_MAX: Final = 12
_NOTES: Final = {
    "charset_unknown": "MSH-18 names no known charset; read as UTF-8, else CP1252",
    "charset_differs": "the bytes are not of the charset that MSH-18 names",
    "charset_undeclared": "bytes beyond ASCII without a charset in MSH-18; read as UTF-8, else CP1252",
}


def parse(data: bytes, *, charset: str | None = None) -> Document:
    """The Document of one message (one MSH, no batch envelope, MLLP block characters tolerated around it).

    Segments end with CR, LF or CRLF, empty ones are ignored, Z segments pass. `charset` (table 0211 or Python codec
    name) overrides MSH-18. Raises ParseError only, with `position` in bytes, `location` and one of the codes
    `too_large`, `empty_message`, `not_hl7`, `bad_delimiters`, `bad_segment_id`, `several_messages`,
    `too_many_segments`, `too_many_separators`.
    """
    if len(data) > MLLP_MESSAGE_BYTES_MAX:
        raise ParseError(f"more than {MLLP_MESSAGE_BYTES_MAX} bytes", code="too_large", position=MLLP_MESSAGE_BYTES_MAX)
    decoded = decode(data, charset)
    try:
        return _read(data, decoded)
    except ParseError as error:
        before = decoded.text[: error.position]
        error.position = decoded.bom_bytes + len(before.encode(decoded.codec, ECHO))
        raise


def parse_text(text: str) -> Document:
    """The Document of a message that is text already; `raw` is its UTF-8. Raises ParseError, position in characters."""
    raw = text.encode("utf-8", "surrogatepass")
    if len(raw) > MLLP_MESSAGE_BYTES_MAX:
        raise ParseError(f"more than {MLLP_MESSAGE_BYTES_MAX} bytes", code="too_large")
    return _read(raw, Decoded(text, "utf-8"))


def read_delimiters(text: str, start: int = 0) -> Delimiters:
    """MSH-1 and MSH-2 of a header segment (MSH, FHS, BHS) at `start`: MSH-2 of one to five and more characters.

    Raises ParseError `bad_delimiters` where one is missing, alphanumeric, blank, a control character, a quotation
    mark, or stands for two things. A character that repeats the one before it counts once: `^~\\\\&` is what a sender
    writes that escaped its own string twice.
    """
    name, field = text[start : start + 3], text[start + 3 : start + 4]
    marks = text[start + 4 : start + 4 + _ENCODING_CHARACTERS_MAX]
    for end in (field, "\r", "\n"):
        if end and end in marks:
            marks = marks[: marks.index(end)]
    if not _usable(field):
        raise ParseError("no usable field separator", code="bad_delimiters", position=start + 3, location=f"{name}-1")
    delimiters = _delimiters(field, marks)
    if delimiters is None:
        raise ParseError(
            "no usable encoding characters", code="bad_delimiters", position=start + 4, location=f"{name}-2"
        )
    return delimiters


@lru_cache(maxsize=256)
def _delimiters(field: str, marks: str) -> Delimiters | None:
    marks = _REPEATED.sub(r"\1", marks)
    four, fifth = marks[:4], marks[4:5]
    if not four or not all(map(_usable, four)) or len(set(four)) < len(four):
        return None
    component, repetition, escape, subcomponent = (mark.strip("\0") for mark in four.ljust(4, "\0"))
    truncation = fifth if _usable(fifth) and fifth not in four else ""
    return Delimiters(field, component, repetition, escape, subcomponent, truncation)


@lru_cache(maxsize=64)
def segment_id_pattern(mark: str) -> re.Pattern[str]:
    """Matches a line that starts with a segment id (a capital and two capitals or digits) and `mark` or its end."""
    return re.compile(rf"[A-Z][A-Z0-9]{{2}}(?:{re.escape(mark)}|\Z)")


def _usable(mark: str) -> bool:
    return mark > " " and mark not in {'"', "\x7f"} and not mark.isalnum() and not mark.isspace()


def _read(raw: bytes, decoded: Decoded) -> Document:
    text, findings = decoded.text, [Finding(note, "MSH-18", _NOTES[note], "warning") for note in decoded.notes]
    start = len(text) - len(text.lstrip(PADDING))
    if start == len(text):
        raise ParseError("no segment at all", code="empty_message", location="MSH")
    if not text.startswith("MSH", start):
        raise ParseError("the first segment is not MSH", code="not_hl7", position=start, location="MSH")
    delimiters = read_delimiters(text, start)
    if "\x00" in text or not (text.isascii() or _UNSAFE.search(text) is None):
        text = _visible(without_padding(text), delimiters, findings)
    if text[start + 4 :].startswith(delimiters.encoding_characters) is False:
        findings.append(
            Finding("delimiters_repeated", "MSH-2", "a character of MSH-2 stands twice, read once", "warning")
        )
    syntax = Syntax(delimiters, decoded.codec)
    segments, by_name = _segments(text, start, syntax)
    return Document(raw, text, syntax, segments, by_name, findings)


def _segments(text: str, start: int, syntax: Syntax) -> tuple[list[Segment], dict[str, list[Segment]]]:
    has_id = segment_id_pattern(syntax.delimiters.field).match
    segments: list[Segment] = []
    by_name: dict[str, list[Segment]] = {}
    lines = _lines(text, start)
    if len(lines) > SEGMENTS_MAX and sum(map(bool, lines)) > SEGMENTS_MAX:
        raise ParseError(f"more than {SEGMENTS_MAX} segments", code="too_many_segments", position=start)
    for line in lines:
        if not has_id(line):
            if not line.strip(PADDING):
                continue
            raise _bad_segment(text, start, line, len(segments))
        name = line[:3]
        same = by_name.setdefault(name, [])
        segment = Segment(name, len(segments), len(same) + 1, line, syntax)
        same.append(segment)
        segments.append(segment)
    _check_bounds(text, start, segments, by_name, syntax)
    return segments, by_name


def _lines(text: str, start: int) -> list[str]:
    body = text[start:] if start else text
    if body[-1:] in PADDING:
        body = without_padding(body)
    if "\n" in body:
        body = body.replace("\r\n", "\r").replace("\n", "\r")
    return body.split("\r")


def without_padding(text: str) -> str:
    """`text` without line ends, block characters and NULs at its end; blanks that belong to the last value stay."""
    bare = text.rstrip(PADDING)
    tail = text[len(bare) :]
    return bare + tail[: len(tail) - len(tail.lstrip(" \t"))]


def _bad_segment(text: str, start: int, line: str, index: int) -> ParseError:
    places = (found.start() for found in _LINE.finditer(text, start) if found[0].startswith(line))
    return ParseError(
        f"segment {index + 1} has no segment id of a capital and two capitals or digits",
        code="bad_segment_id",
        position=next(places, start),
        location=f"segment {index + 1}",
    )


def _check_bounds(
    text: str, start: int, segments: list[Segment], by_name: dict[str, list[Segment]], syntax: Syntax
) -> None:
    headers = by_name["MSH"]
    if len(headers) > 1:
        raise ParseError(
            "a second MSH: several messages in one",
            code="several_messages",
            position=text.find(headers[1].line, start + 1),
            location="MSH[2]",
        )
    if len(text) <= SEPARATORS_PER_FIELD_MAX:
        return
    marks = [mark for mark in syntax.delimiters[:3] + syntax.delimiters[4:5] if mark]
    for segment in segments:
        if len(segment.line) > SEPARATORS_PER_FIELD_MAX:
            _check_separators(text, segment, marks)


def _check_separators(text: str, segment: Segment, marks: list[str]) -> None:
    field_mark, *inner = marks
    counts = [segment.line.count(field_mark)]
    counts += [field.count(mark) for field in segment.line.split(field_mark, 1000) for mark in inner]
    if max(counts) > SEPARATORS_PER_FIELD_MAX:
        raise ParseError(
            f"more than {SEPARATORS_PER_FIELD_MAX} separators of one kind",
            code="too_many_separators",
            position=text.find(segment.line),
            location=f"{segment.name}[{segment.occurrence}]",
        )


def _visible(text: str, delimiters: Delimiters, findings: list[Finding]) -> str:
    """`text` with NUL and undecodable bytes written as hex escapes; a finding for each kind names its first place."""
    escape = delimiters.escape or "\\"

    def write(match: re.Match[str]) -> str:
        letters = match[0]
        data = letters.encode("utf-16-be", "surrogatepass")[1::2]
        if "\ud800" <= letters[0] < "\udc00" or letters[0] > "\udcff":
            data = letters.encode("utf-8", "surrogatepass")
        return f"{escape}X{data.hex().upper()}{escape}"

    for code, pattern, message in _UNREADABLE:
        first = pattern.search(text)
        if first:
            count = sum(map(len, pattern.findall(text)))
            place = _location(text, first.start(), delimiters)
            findings.append(Finding(code, place, f"{count} x {message}", "warning"))
    return _UNSAFE.sub(write, text)


def _location(text: str, position: int, delimiters: Delimiters) -> str:
    begin = max(text.rfind("\r", 0, position), text.rfind("\n", 0, position)) + 1
    name = text[begin : begin + 3]
    field = text.count(delimiters.field, begin, position) + (name == "MSH")
    occurrence = 1 + len(re.findall(rf"[\r\n]{re.escape(name)}", text[:begin]))
    return f"{name}[{occurrence}]-{field}" if _SEGMENT_ID.fullmatch(name) else "MSH"
