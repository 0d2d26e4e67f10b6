"""A parsed HL7 v2 message: segments at once, fields on first touch, repetitions and components on demand."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from chartwire.formats.hl7v2.escapes import Delimiters, unescaper
from chartwire.formats.hl7v2.paths import compile_path

NULL: Final = '""'
"""A value that the sender cleared; distinct from None (empty or absent)."""

HEADERS: Final = frozenset({"MSH", "FHS", "BHS"})
"""Segments whose first two fields are the delimiters themselves (HL7 v2.9.2 section 2.14)."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to know about a message that is still readable. `location` as `PID[1]-5`; no patient data."""

    code: str
    location: str
    message: str
    severity: Literal["error", "warning", "information"]


class Syntax:
    """What every part of one message shares: delimiters, charset and the unescape function made from them."""

    __slots__ = ("charset", "delimiters", "empty", "unescape")

    def __init__(self, delimiters: Delimiters, charset: str) -> None:
        self.delimiters = delimiters
        self.charset = charset
        self.unescape: Callable[[str], str] = unescaper(delimiters, charset)
        self.empty = Repetition("", self)

    def leaf(self, raw: str) -> str | None:
        """The unescaped value of a leaf: None where empty; `""` stays NULL."""
        if not raw:
            return None
        escape = self.delimiters.escape
        return self.unescape(raw) if escape and escape in raw else raw


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
            mark = self._syntax.delimiters.subcomponent
            if not mark or mark not in part:
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
        parts = self._parts.get(field) if self._parts else None
        if parts is None:
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
        mark = self._syntax.delimiters.repetition
        if field <= 2 and self.name in HEADERS:
            parts = [Repetition(raw, self._syntax, [[raw]])]
        elif mark and mark in raw:
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


class Document:
    """One message. `raw` are the bytes as they came, `text` what `charset` (a Python codec) made of them.

    Bytes that the charset cannot read, and NUL, stand in `text` and in values as the escape `\\Xhh..\\` and are named
    in `findings`: no value ever holds U+FFFD, NUL or a lone surrogate.
    """

    __slots__ = ("_by_name", "charset", "delimiters", "findings", "raw", "segments", "text")

    def __init__(
        self,
        raw: bytes,
        text: str,
        syntax: Syntax,
        segments: list[Segment],
        by_name: dict[str, list[Segment]],
        findings: list[Finding],
    ) -> None:
        self.raw = raw
        self.text = text
        self.charset = syntax.charset
        self.delimiters = syntax.delimiters
        self.segments = segments
        self.findings = findings
        self._by_name = by_name

    def first(self, name: str) -> Segment | None:
        """The first segment of that name."""
        found = self._by_name.get(name)
        return found[0] if found else None

    def all(self, name: str) -> list[Segment]:
        """All segments of that name, in message order."""
        return list(self._by_name.get(name, ()))

    def get(self, path: str) -> str | None:
        """One unescaped value by path (`PID-5.1`, `OBX(3)-5(2).1.2`): None absent or empty, NULL for `""`.

        Parts that are not written are 1. Raises ParseError `bad_path` for a text that is no path.
        """
        where = compile_path(path)
        found = self._by_name.get(where.segment, ())
        if where.occurrence > len(found):
            return None
        return found[where.occurrence - 1].value(where.field, where.repetition, where.component, where.sub)

    def __repr__(self) -> str:
        return f"Document({len(self.segments)} segments, {self.charset})"
