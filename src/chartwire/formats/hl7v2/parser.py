"""Bytes to Document, in linear time: every input ends in a Document or a ParseError."""

import re
from functools import lru_cache
from itertools import islice
from typing import Final

from chartwire.core.errors import ParseError
from chartwire.core.limits import MLLP_MESSAGE_BYTES_MAX, SEGMENTS_MAX, SEPARATORS_PER_FIELD_MAX
from chartwire.formats.hl7v2.charsets import ECHO, Decoded, decode
from chartwire.formats.hl7v2.document import Document, Finding, Segment, Syntax
from chartwire.formats.hl7v2.escapes import Delimiters

_SEGMENT_ID: Final = re.compile(r"[A-Z][A-Z0-9]{2}")
_REPEATED: Final = re.compile(r"(.)\1+")
_LINE_END: Final = re.compile(r"\r\n|\r|\n")
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
    return len(mark) == 1 and mark.isprintable() and not mark.isalnum() and mark not in {" ", '"'}


def _read(raw: bytes, decoded: Decoded) -> Document:
    text, findings = decoded.text, [Finding(note, "MSH-18", _NOTES[note], "warning") for note in decoded.notes]
    start = len(text) - len(text.lstrip(PADDING))
    if start == len(text):
        raise ParseError("no segment at all", code="empty_message", location="MSH")
    if not text.startswith("MSH", start):
        raise ParseError("the first segment is not MSH", code="not_hl7", position=start, location="MSH")
    delimiters = read_delimiters(text, start)
    source = text
    if "\x00" in text or not (text.isascii() or _UNSAFE.search(text) is None):
        text = _visible(without_padding(text), delimiters, findings)
    if text[start + 4 :].startswith(delimiters.encoding_characters) is False:
        findings.append(
            Finding("delimiters_repeated", "MSH-2", "a character of MSH-2 stands twice, read once", "warning")
        )
    syntax = Syntax(delimiters, decoded.codec)
    try:
        segments, by_name = _segments(_lines(text, start), syntax)
    except _LineError as error:
        raise error.refusal(source, start) from None
    return Document(raw, text, syntax, segments, by_name, findings)


class _LineError(Exception):
    """What is wrong with the line of that number (from 0); where it stands is found out only when it is needed."""

    def __init__(self, code: str, message: str, line_number: int, location: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.line_number = line_number
        self.location = location

    def refusal(self, text: str, start: int) -> ParseError:
        """The ParseError, with the line's position in `text`."""
        for found in islice(_LINE_END.finditer(text, start), self.line_number):
            start = found.end()
        return ParseError(self.message, code=self.code, position=start, location=self.location)


def _segments(lines: list[str], syntax: Syntax) -> tuple[list[Segment], dict[str, list[Segment]]]:
    if len(lines) > SEGMENTS_MAX and sum(map(bool, lines)) > SEGMENTS_MAX:
        raise _LineError("too_many_segments", f"more than {SEGMENTS_MAX} segments", SEGMENTS_MAX, "")
    has_id = segment_id_pattern(syntax.delimiters.field).match
    segments: list[Segment] = []
    by_name: dict[str, list[Segment]] = {}
    for number, line in enumerate(lines):
        if not has_id(line):
            if not line.strip(PADDING):
                continue
            place = f"segment {len(segments) + 1}"
            raise _LineError(
                "bad_segment_id", f"{place} has no id of a capital and two capitals or digits", number, place
            )
        name = line[:3]
        same = by_name.setdefault(name, [])
        if same and name == "MSH":
            raise _LineError("several_messages", "a second MSH: several messages in one", number, "MSH[2]")
        segment = Segment(name, len(segments), len(same) + 1, line, syntax)
        if len(line) > SEPARATORS_PER_FIELD_MAX:
            _check_separators(line, number, f"{name}[{segment.occurrence}]", syntax)
        same.append(segment)
        segments.append(segment)
    return segments, by_name


def _check_separators(line: str, number: int, location: str, syntax: Syntax) -> None:
    field_mark, component, repetition, _, subcomponent, _ = syntax.delimiters
    counts = [line.count(field_mark)]
    for part in line.split(field_mark, 1000):
        counts += [part.count(mark) for mark in (component, repetition, subcomponent) if mark]
    if max(counts) > SEPARATORS_PER_FIELD_MAX:
        message = f"more than {SEPARATORS_PER_FIELD_MAX} separators of one kind"
        raise _LineError("too_many_separators", message, number, location)


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
