"""Bytes to Document, in linear time: every input ends in a Document or a ParseError."""

import re
from functools import lru_cache
from itertools import islice
from typing import Final

from chartwire.core.errors import ParseError
from chartwire.core.limits import MLLP_MESSAGE_BYTES_MAX, SEGMENTS_MAX, SEPARATORS_PER_FIELD_MAX
from chartwire.formats.hl7v2.charsets import ECHO, Decoded, decode
from chartwire.formats.hl7v2.document import Document, Finding, syntax_of
from chartwire.formats.hl7v2.escapes import Delimiters

_SEGMENT_ID: Final = re.compile(r"[A-Z][A-Z0-9]{2}")
_REPEATED: Final = re.compile(r"(.)\1+")
_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_UNSAFE: Final = re.compile("[\x00\udc00-\udcff]+|[\ud800-\udbff\udd00-\udfff]+")
_UNREADABLE: Final = (
    ("nul", re.compile("\x00+"), "NUL, kept as hex escapes"),
    ("undecodable_bytes", re.compile("[\ud800-\udfff]+"), "bytes that the charset cannot read, kept as hex escapes"),
)
_RUNS_WRITTEN_WHOLE_MAX: Final = 1000
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
    """MSH-1 and MSH-2 of `text`, which begins with a header segment: MSH-2 of one to five and more characters.

    Raises ParseError `bad_delimiters` where one is missing, alphanumeric, blank, a control character, a quotation
    mark, or stands for two things; its position counts from `start` characters before `text`. A character that repeats
    the one before it counts once: a sender that escaped its own string twice writes the escape character so.
    """
    field = text[3:4]
    marks = text[4 : 4 + _ENCODING_CHARACTERS_MAX]
    for end in (field, "\r", "\n"):
        if end and end in marks:
            marks = marks[: marks.index(end)]
    if not _usable(field):
        raise ParseError(
            "no usable field separator", code="bad_delimiters", position=start + 3, location=f"{text[:3]}-1"
        )
    delimiters = _delimiters(field, marks)
    if delimiters is None:
        raise ParseError(
            "no usable encoding characters", code="bad_delimiters", position=start + 4, location=f"{text[:3]}-2"
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


@lru_cache(maxsize=4096)
def segment_id(start: str, mark: str) -> str:
    """The id (a capital and two capitals or digits) in the first four characters of a line, '' where there is none."""
    name, follows = start[:3], start[3:]
    return name if _SEGMENT_ID.fullmatch(name) and follows in {"", mark} else ""


def _usable(mark: str) -> bool:
    return len(mark) == 1 and mark.isprintable() and not mark.isalnum() and mark not in {" ", '"'}


def _read(raw: bytes, decoded: Decoded) -> Document:
    text = decoded.text
    start = 0 if text.startswith("MSH") else _start(text)
    text = source = text[start:] if start else text
    delimiters = read_delimiters(text, start)
    findings = [Finding(note, "MSH-18", _NOTES[note], "warning") for note in decoded.notes]
    if not is_storable(text):
        text = without_padding(text)
        findings += _unreadable(text, delimiters)
        text = storable(text, delimiters)
    if not text.startswith(delimiters.encoding_characters, 4):
        note = "a character of MSH-2 stands twice, read once"
        findings.append(Finding("delimiters_repeated", "MSH-2", note, "warning"))
    try:
        lines, places = _segments(_lines(text), delimiters)
    except _LineError as error:
        raise error.refusal(source, start) from None
    return Document(raw, text, syntax_of(delimiters, decoded.codec), lines, places, findings)


def _start(text: str) -> int:
    start = len(text) - len(text.lstrip(PADDING))
    if start == len(text):
        raise ParseError("no segment at all", code="empty_message", location="MSH")
    if not text.startswith("MSH", start):
        raise ParseError("the first segment is not MSH", code="not_hl7", position=start, location="MSH")
    return start


class _LineError(Exception):
    """What is wrong with the line of that number (from 0); where it stands is found out only when it is needed."""

    def __init__(self, code: str, message: str, line_number: int, location: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.line_number = line_number
        self.location = location

    def refusal(self, text: str, start: int) -> ParseError:
        """The ParseError, with the line's position in `text`, which stands `start` characters into the message."""
        position = 0
        for found in islice(_LINE_END.finditer(text), self.line_number):
            position = found.end()
        return ParseError(self.message, code=self.code, position=start + position, location=self.location)


def _segments(lines: list[str], delimiters: Delimiters) -> tuple[list[str], dict[str, list[int]]]:
    """The lines that are segments, and where in them the segments of each name stand."""
    if len(lines) > SEGMENTS_MAX and sum(map(bool, lines)) > SEGMENTS_MAX:
        raise _LineError("too_many_segments", f"more than {SEGMENTS_MAX} segments", SEGMENTS_MAX, "")
    mark = delimiters.field
    found: list[str] = []
    places: dict[str, list[int]] = {}
    for line in lines:
        if not line:
            continue
        name = segment_id(line[:4], mark)
        if name in places:
            places[name].append(len(found))
        elif name:
            places[name] = [len(found)]
        else:
            _check_blank(line, lines, len(found) + 1)
            continue
        found.append(line)
    if len(places["MSH"]) > 1:
        second = [number for number, line in enumerate(lines) if segment_id(line[:4], mark) == "MSH"][1]
        raise _LineError("several_messages", "a second MSH: several messages in one", second, "MSH[2]")
    if sum(map(len, lines)) > SEPARATORS_PER_FIELD_MAX:
        _check_separators(lines, delimiters)
    return found, places


def _check_blank(line: str, lines: list[str], number: int) -> None:
    if line.strip(PADDING):
        place = f"segment {number}"
        message = f"{place} has no id of a capital and two capitals or digits"
        raise _LineError("bad_segment_id", message, lines.index(line), place)


def _check_separators(lines: list[str], delimiters: Delimiters) -> None:
    field_mark, component, repetition, _, subcomponent, _ = delimiters
    for number, line in enumerate(lines):
        if len(line) <= SEPARATORS_PER_FIELD_MAX:
            continue
        counts = [line.count(field_mark)]
        for part in line.split(field_mark, 1000):
            counts += [part.count(mark) for mark in (component, repetition, subcomponent) if mark]
        if max(counts) > SEPARATORS_PER_FIELD_MAX:
            message = f"more than {SEPARATORS_PER_FIELD_MAX} separators of one kind"
            occurrence = sum(earlier[:3] == line[:3] for earlier in lines[: number + 1])
            raise _LineError("too_many_separators", message, number, f"{line[:3]}[{occurrence}]")


def _lines(text: str) -> list[str]:
    if text[-1:] in PADDING:
        text = without_padding(text)
    if "\n" in text:
        text = text.replace("\r\n", "\r").replace("\n", "\r")
    return text.split("\r")


def without_padding(text: str) -> str:
    """`text` without line ends, block characters and NULs at its end; blanks that belong to the last value stay."""
    bare = text.rstrip(PADDING)
    tail = text[len(bare) :]
    return bare + tail[: len(tail) - len(tail.lstrip(" \t"))]


def is_storable(text: str) -> bool:
    """Whether there is no NUL and no lone surrogate in `text`: databases and JSON take neither."""
    if "\x00" in text:
        return False
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeEncodeError:
        return False


def storable(text: str, delimiters: Delimiters) -> str:
    """`text` with NULs and undecodable bytes written as hex escapes."""
    escape = delimiters.escape or "\\"

    def write(match: re.Match[str]) -> str:
        letters = match[0]
        data = letters.encode("utf-16-be", "surrogatepass")[1::2]
        if "\ud800" <= letters[0] < "\udc00" or letters[0] > "\udcff":
            data = letters.encode("utf-8", "surrogatepass")
        return f"{escape}X{data.hex().upper()}{escape}"

    if len(_UNSAFE.findall(text)) > _RUNS_WRITTEN_WHOLE_MAX:
        text = text.translate(_byte_escapes(escape))
    return _UNSAFE.sub(write, text)


@lru_cache(maxsize=16)
def _byte_escapes(escape: str) -> dict[int, str]:
    """Each unreadable byte by itself: less tidy than whole runs, but quick where there are very many."""
    return {byte and 0xDC00 + byte: f"{escape}X{byte:02X}{escape}" for byte in range(256)}


def _unreadable(text: str, delimiters: Delimiters) -> list[Finding]:
    """One finding for each kind, with its count and its first place."""
    findings = []
    for code, pattern, message in _UNREADABLE:
        first = pattern.search(text)
        if first:
            count = sum(map(len, pattern.findall(text)))
            place = _location(text, first.start(), delimiters)
            findings.append(Finding(code, place, f"{count} x {message}", "warning"))
    return findings


def _location(text: str, position: int, delimiters: Delimiters) -> str:
    begin = max(text.rfind("\r", 0, position), text.rfind("\n", 0, position)) + 1
    name = text[begin : begin + 3]
    field = text.count(delimiters.field, begin, position) + (name == "MSH")
    occurrence = 1 + len(re.findall(rf"[\r\n]{re.escape(name)}", text[:begin]))
    return f"{name}[{occurrence}]-{field}" if _SEGMENT_ID.fullmatch(name) else "MSH"
