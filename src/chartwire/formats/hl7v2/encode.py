"""Values and documents to bytes: escaping, re-encoding, and a small builder for messages of our own."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from chartwire.core.errors import ValidationError
from chartwire.formats.hl7v2.charsets import codec_of
from chartwire.formats.hl7v2.document import HEADERS, NULL, Document
from chartwire.formats.hl7v2.escapes import DEFAULT_DELIMITERS, Delimiters

Component = str | int | None | Sequence[str | int | None]
"""A component, or its subcomponents."""
Field = Component | Sequence[Component]

_CHARSET_FIELD: Final = 18
_CONTROLS: Final = "".join(map(chr, range(1, 32))).replace("\t", "").replace("\n", "")


def escape(text: str, delimiters: Delimiters = DEFAULT_DELIMITERS, charset: str = "utf-8") -> str:
    """`text` as a leaf value: delimiters as letters, LF as `.br`, other control characters as hex of `charset`.

    NULL (`""`) stays as it is: it means "clear". Reading the result gives `text` again. Raises ValidationError
    `unencodable` for NUL, a lone surrogate, or a delimiter where MSH-2 names no escape character.
    """
    if text == NULL:
        return text
    pattern, letters = _escapes(delimiters, charset)
    if not pattern.search(text):
        return text
    if not delimiters.escape or "\x00" in text:
        raise ValidationError("a value that these delimiters cannot carry", code="unencodable")
    return pattern.sub(lambda match: letters[match[0]], text)


@lru_cache(maxsize=256)
def _escapes(delimiters: Delimiters, charset: str) -> tuple[re.Pattern[str], dict[str, str]]:
    mark = delimiters.escape
    letters = {
        delimiters.field: f"{mark}F{mark}",
        delimiters.component: f"{mark}S{mark}",
        delimiters.repetition: f"{mark}R{mark}",
        delimiters.escape: f"{mark}E{mark}",
        delimiters.subcomponent: f"{mark}T{mark}",
        delimiters.truncation: f"{mark}P{mark}",
        "\n": f"{mark}.br{mark}",
    }
    letters |= {letter: f"{mark}X{letter.encode(charset).hex().upper()}{mark}" for letter in _CONTROLS}
    letters.pop("", None)
    return re.compile("[" + "".join(map(re.escape, letters)) + "\x00]"), letters


def encode(document: Document) -> bytes:
    """The document's segments, each ended by CR, in its own charset, every field as it came (unknown escapes too).

    Bytes that were undecodable leave as the hex escapes that stand for them; a byte order mark and empty segments go.
    Raises ValidationError `unencodable` where a charset reads a character that it cannot write.
    """
    text = "\r".join(segment.line for segment in document.segments) + "\r"
    try:
        return text.encode(document.charset)
    except UnicodeEncodeError:
        raise ValidationError("text that its own charset cannot carry", code="unencodable") from None


def message(
    segments: Sequence[Sequence[Field]],
    *,
    charset: str = "UNICODE UTF-8",
    delimiters: Delimiters = DEFAULT_DELIMITERS,
) -> bytes:
    """A message from segments such as `["PID", "1", None, [("4711", None, None, "HOSP", "MR")], None, ("DOE", "JO")]`.

    Place in the list = field number (place 0 the segment id; MSH-1 and MSH-2 are filled in). A field is a leaf, a tuple
    of components (each a leaf or a tuple of subcomponents), or a list of repetitions of these. `charset` is a table
    0211 name; MSH-18 is set to it where it is empty and the text is not ASCII. Raises ValidationError `unencodable`
    for text that the charset or the delimiters cannot carry, `unknown_charset` for a name that the table lacks.
    """
    codec = codec_of(charset)
    if codec is None:
        raise ValidationError("no charset of this name in table 0211", code="unknown_charset")
    writer = _Writer(delimiters, codec)
    lines = [writer.segment(segment) for segment in segments]
    if not all(map(str.isascii, lines)):
        lines = [_with_charset(line, charset, delimiters.field) for line in lines]
    try:
        return "".join(f"{line}\r" for line in lines).encode(codec)
    except UnicodeEncodeError:
        raise ValidationError("a value that the charset cannot carry", code="unencodable") from None


def _with_charset(line: str, charset: str, mark: str) -> str:
    if line[:3] != "MSH":
        return line
    fields = line.split(mark)
    fields += [""] * (_CHARSET_FIELD - len(fields))
    fields[_CHARSET_FIELD - 1] = fields[_CHARSET_FIELD - 1] or charset
    return mark.join(fields)


class _Writer:
    """Joins nested values with one message's delimiters."""

    def __init__(self, delimiters: Delimiters, codec: str) -> None:
        self.delimiters = delimiters
        self.codec = codec

    def segment(self, fields: Sequence[Field]) -> str:
        name, *rest = fields
        assert isinstance(name, str)
        written = [self.field(value) for value in rest]
        if name in HEADERS:
            written[:2] = [self.delimiters.encoding_characters]
        return self.delimiters.field.join((name, *written))

    def field(self, value: Field) -> str:
        if isinstance(value, list):
            return self._join(self.delimiters.repetition, [self.repetition(one) for one in value])
        return self.repetition(value)

    def repetition(self, value: Field) -> str:
        if isinstance(value, tuple):
            return self._join(self.delimiters.component, [self.component(one) for one in value])
        return self.leaf(value)

    def component(self, value: object) -> str:
        if isinstance(value, tuple):
            return self._join(self.delimiters.subcomponent, [self.leaf(one) for one in value])
        return self.leaf(value)

    def leaf(self, value: object) -> str:
        return "" if value is None else escape(str(value), self.delimiters, self.codec)

    def _join(self, mark: str, parts: list[str]) -> str:
        if len(parts) > 1 and not mark:
            raise ValidationError("MSH-2 names no delimiter for these parts", code="unencodable")
        return mark.join(parts)
