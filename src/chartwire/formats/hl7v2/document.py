"""A parsed HL7 v2 message: segments at once, fields on first touch, repetitions and components on demand."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from typing import Final, Literal

from chartwire.formats.hl7v2.escapes import Delimiters, unescaper
from chartwire.formats.hl7v2.paths import compile_path

NULL: Final = '""'
"""A value that the sender cleared; distinct from None (empty or absent)."""

HEADERS: Final = frozenset({"MSH", "FHS", "BHS"})
"""Segments whose first two fields are the delimiters themselves (HL7 v2.9.2 section 2.14)."""


_SPLIT_ANEW_MAX: Final = 250
"""Characters of a field up to which splitting it again costs less than keeping its parts."""


_NEVER: Final = "\0"
"""Stands for a delimiter that MSH-2 does not name: the text of a Document holds no NUL."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to know about a message that is still readable. `location` as `PID[1]-5`; no patient data."""

    code: str
    location: str
    message: str
    severity: Literal["error", "warning", "information"]


class Syntax:
    """What every part of one message shares: delimiters, charset and the unescape function made from them."""

    __slots__ = ("charset", "delimiters", "empty", "marks", "unescape")

    def __init__(self, delimiters: Delimiters, charset: str) -> None:
        self.delimiters = delimiters
        self.charset = charset
        self.unescape: Callable[[str], str] = unescaper(delimiters, charset)
        self.empty = Repetition("", self)
        _, component, repetition, escape, sub, _ = delimiters
        self.marks = (repetition or _NEVER, component, sub or _NEVER, escape or _NEVER)

    def leaf(self, raw: str) -> str | None:
        """The unescaped value of a leaf: None where empty; `""` stays NULL."""
        if not raw:
            return None
        return self.unescape(raw) if self.marks[3] in raw else raw


@lru_cache(maxsize=256)
def syntax_of(delimiters: Delimiters, charset: str) -> Syntax:
    """The Syntax of messages with these delimiters and this charset (a Python codec)."""
    return Syntax(delimiters, charset)


class Repetition:
    """One repetition of a field. Read-only."""

    __slots__ = ("_parts", "_syntax", "raw")

    def __init__(self, raw: str, syntax: Syntax, parts: list[str | list[str]] | None = None) -> None:
        self.raw = raw
        self._syntax = syntax
        self._parts = parts

    @property
    def null(self) -> bool:
        """Whether the sender cleared it: exactly `""`."""
        return self.raw == NULL

    @property
    def text(self) -> str | None:
        """The whole repetition unescaped, delimiters kept: for ST, TX and FT. None where empty."""
        return self._syntax.leaf(self.raw)

    @property
    def component_count(self) -> int:
        """How many components stand here; 0 where empty."""
        return len(self._components()) if self.raw else 0

    def value(self, component: int = 1, sub: int = 1) -> str | None:
        """The unescaped leaf at these positions, counted from 1: None empty or absent, NULL for `""`."""
        parts = self._components()
        if not 0 < component <= len(parts):
            return None
        part = parts[component - 1]
        if isinstance(part, str):
            mark = self._syntax.marks[2]
            if mark not in part:
                return self._syntax.leaf(part) if sub == 1 else None
            part = parts[component - 1] = part.split(mark)
        return self._syntax.leaf(part[sub - 1]) if 0 < sub <= len(part) else None

    def _components(self) -> list[str | list[str]]:
        parts = self._parts
        if parts is None:
            parts = self._parts = [*self.raw.split(self._syntax.delimiters.component)]
        return parts

    def __repr__(self) -> str:
        return f"Repetition({len(self.raw)} characters)"


def _part(raw: str, mark: str, position: int) -> str:
    parts = raw.split(mark, position) if position > 0 else []
    return parts[position - 1] if 0 < position <= len(parts) else ""


class Segment:
    """One segment. `index` is its position in the message from 0, `occurrence` among those of its name from 1."""

    __slots__ = ("_fields", "_line", "_parts", "_repetitions", "_syntax", "index", "name", "occurrence")

    def __init__(self, name: str, index: int, occurrence: int, line: str, syntax: Syntax) -> None:
        self.name = name
        self.index = index
        self.occurrence = occurrence
        self._line = line
        self._syntax = syntax
        self._fields: list[str] = []
        self._parts: dict[int, list[str | Repetition]] | None = None
        self._repetitions: dict[int, list[Repetition]] | None = None

    @property
    def line(self) -> str:
        """The segment as it stands in the message, without its terminator."""
        return self._line

    @property
    def field_count(self) -> int:
        """The number of the last field that stands in the segment."""
        return len(self._fields or self._split()) - 1

    def raw(self, field: int) -> str:
        """Undecoded field text, '' if absent. MSH-1 is the field separator, MSH-2 the encoding characters."""
        fields = self._fields or self._split()
        return fields[field] if 0 < field < len(fields) else ""

    def value(self, field: int, repetition: int = 1, component: int = 1, sub: int = 1) -> str | None:
        """The unescaped leaf, positions counted from 1: None empty or absent, NULL for `""`."""
        fields = self._fields or self._split()
        raw = fields[field] if 0 < field < len(fields) else ""
        if not raw:
            return None
        if len(raw) > _SPLIT_ANEW_MAX or (field < 3 and self.name in HEADERS):
            return self._kept_value(field, repetition, component, sub)
        syntax = self._syntax
        repetition_mark, component_mark, sub_mark, escape = syntax.marks
        if repetition_mark in raw:
            raw = _part(raw, repetition_mark, repetition)
        elif repetition != 1:
            return None
        if component_mark in raw:
            raw = _part(raw, component_mark, component)
        elif component != 1:
            return None
        if sub_mark in raw:
            raw = _part(raw, sub_mark, sub)
        elif sub != 1:
            return None
        return syntax.unescape(raw) if escape in raw else raw or None

    def _kept_value(self, field: int, repetition: int, component: int, sub: int) -> str | None:
        """As `value`, keeping the parts of the field, so that reading a long one piece by piece stays linear."""
        parts = self._divide(field)
        if not 0 < repetition <= len(parts):
            return None
        one = parts[repetition - 1]
        if isinstance(one, str):
            one = parts[repetition - 1] = Repetition(one, self._syntax)
        return one.value(component, sub)

    def repetitions(self, field: int) -> list[Repetition]:
        """All repetitions, empty ones in their places; [] when the field is empty or absent. Do not change the list."""
        if self._repetitions is None:
            self._repetitions = {}
        found = self._repetitions.get(field)
        if found is None:
            syntax, empty = self._syntax, self._syntax.empty
            found = self._repetitions[field] = [
                (Repetition(one, syntax) if one else empty) if isinstance(one, str) else one
                for one in self._divide(field)
            ]
        return found

    def _divide(self, field: int) -> list[str | Repetition]:
        """The repetitions of a field, each a text until it is first read."""
        if self._parts is None:
            self._parts = {}
        parts = self._parts.get(field)
        if parts is not None:
            return parts
        raw = self.raw(field)
        mark = self._syntax.marks[0]
        if field <= 2 and self.name in HEADERS:
            parts = [Repetition(raw, self._syntax, [[raw]])]
        elif mark in raw:
            parts = [*raw.split(mark)]
        else:
            parts = [raw] if raw else []
        self._parts[field] = parts
        return parts

    def _split(self) -> list[str]:
        mark = self._syntax.delimiters.field
        fields = self._line.split(mark)
        if self.name in HEADERS:
            fields.insert(1, mark)
        self._fields = fields
        return fields

    def __repr__(self) -> str:
        return f"Segment({self.name}[{self.occurrence}] at {self.index})"


_by_index: Final = attrgetter("index")


class Document:
    """One message. `raw` are the bytes as they came, `text` what `charset` (a Python codec) made of them.

    Bytes that the charset cannot read, and NUL, stand in `text` and in values as the escape `\\Xhh..\\` and are named
    in `findings`: no value ever holds U+FFFD, NUL or a lone surrogate.
    """

    __slots__ = (
        "_lines",
        "_made",
        "_places",
        "_segments",
        "_syntax",
        "charset",
        "delimiters",
        "findings",
        "raw",
        "text",
    )

    def __init__(
        self,
        raw: bytes,
        text: str,
        syntax: Syntax,
        lines: list[str],
        places: dict[str, list[int]],
        findings: list[Finding],
    ) -> None:
        self.raw = raw
        self.text = text
        self.charset = syntax.charset
        self.delimiters = syntax.delimiters
        self.findings = findings
        self._syntax = syntax
        self._lines = lines
        self._places = places
        self._made: dict[int, Segment] = {}
        self._segments: list[Segment] | None = None

    @property
    def segments(self) -> list[Segment]:
        """All segments, in message order. Do not change the list."""
        found = self._segments
        if found is None:
            made = [segment for name in self._places for segment in self.all(name)]
            found = self._segments = sorted(made, key=_by_index)
        return found

    def first(self, name: str) -> Segment | None:
        """The first segment of that name."""
        places = self._places.get(name)
        return self._segment(name, places[0], 1) if places else None

    def all(self, name: str) -> list[Segment]:
        """All segments of that name, in message order."""
        places = self._places.get(name, ())
        return [self._segment(name, place, occurrence) for occurrence, place in enumerate(places, 1)]

    def get(self, path: str) -> str | None:
        """One unescaped value by path (`PID-5.1`, `OBX(3)-5(2).1.2`): None absent or empty, NULL for `""`.

        Parts that are not written are 1. Raises ParseError `bad_path` for a text that is no path.
        """
        name, occurrence, field, repetition, component, sub = compile_path(path)
        places = self._places.get(name)
        if places is None or occurrence > len(places):
            return None
        place = places[occurrence - 1]
        segment = self._made.get(place) or self._segment(name, place, occurrence)
        return segment.value(field, repetition, component, sub)

    def _segment(self, name: str, place: int, occurrence: int) -> Segment:
        made = self._made.get(place)
        if made is None:
            made = self._made[place] = Segment(name, place, occurrence, self._lines[place], self._syntax)
        return made

    def __repr__(self) -> str:
        return f"Document({len(self._lines)} segments, {self.charset})"
