"""What HL7 says of each version: structures, segments, data types and tables (definitions/hl7v2.json.gz).

The file is read once, when the first message is validated; its lines are taken apart as they are asked for. Its form is
told in definitions/hl7v2.py of the repository, which makes it.
"""

import gzip
from functools import cache
from importlib import resources
from typing import Final, NamedTuple

import msgspec

_ALIASES: Final = {"2.0": "2.1", "2.0D": "2.1", "2.3.2": "2.3.1", "2.7.1": "2.7"}
"""Versions without tables of their own whose messages are those of another one."""

TIME_STAMP: Final = "TS"


class Part(NamedTuple):
    """A field of a segment or a component of a data type.

    `type` is '' where anything may stand, `maximum` how often it may repeat (0 unbounded), `length` in characters (0
    unknown), `table` its number in four digits or ''.
    """

    type: str
    required: bool = False
    withdrawn: bool = False
    maximum: int = 1
    length: int = 0
    table: str = ""


class Version:
    """One version of HL7 v2. `number` is its own, such as 2.5.1."""

    def __init__(self, number: str, content: "_Content") -> None:
        self.number = number
        self._content = content
        self._index = content.versions[number]
        self._parts: dict[tuple[str, str], tuple[Part, ...]] = {}

    @property
    def normative_lengths(self) -> bool:
        """Whether lengths are maximum lengths (up to 2.6), rather than what a receiver must take at least."""
        return _order(self.number) < (2, 7)

    def segment(self, name: str) -> tuple[Part, ...] | None:
        """The fields of a segment, None for one that this version does not have."""
        return self._read("segments", name)

    def type(self, name: str) -> tuple[Part, ...] | None:
        """The components of a composite data type, None for a simple or unknown one."""
        return self._read("types", name)

    def structure(self, name: str) -> str | None:
        """The grammar of a message structure such as ADT_A01."""
        place = self._index.structures.get(name)
        return None if place is None else self._content.pools.structures[place]

    def structure_of(self, code: str, trigger: str) -> str | None:
        """The name of the structure of an event (table 0354), None where this version does not know the event."""
        structures = self._index.structures
        event = f"{code}_{trigger}"
        name = self._index.events.get(event, event)
        if name in structures:
            return name
        if code in structures:
            return code
        only = [name for name in structures if name.startswith(f"{code}_")] if code and not trigger else []
        return only[0] if len(only) == 1 else None

    def _read(self, kind: str, name: str) -> tuple[Part, ...] | None:
        found = self._parts.get((kind, name))
        if found is None:
            place = getattr(self._index, kind).get(name)
            if place is None:
                return None
            lines = getattr(self._content.pools, kind)
            found = tuple(map(_part, lines[place].split("|"))) if lines[place] else ()
            if name == TIME_STAMP:  # up to 2.4 its parts were plain text in name only
                found = (found[0]._replace(type="DTM"), *found[1:])
            self._parts[kind, name] = found
        return found


def version_of(number: str) -> Version:
    """The tables for MSH-12.1: of that version, else of the nearest lower one (2.5.1 where it is no version at all)."""
    return _version(number)


def knows(number: str) -> bool:
    """Whether there are tables for this version."""
    return number in _content().versions or number in _ALIASES


def part_name(whole: str, number: int) -> str:
    """What HL7 calls a field (`PID`, 3) or component (`CX`, 4): '' where there is none of that number."""
    names = _content().names.get(whole, "").split("|")
    return names[number - 1] if 0 < number <= len(names) else ""


def segment_name(segment: str) -> str:
    """What HL7 calls a segment, '' where it is none of HL7's."""
    return _content().segment_names.get(segment, "")


@cache
def table(number: str) -> frozenset[str] | None:
    """The codes of a table in any version, None where HL7 lists none or each site has its own."""
    codes = _content().tables.get(number)
    return None if codes is None else frozenset(codes.split("\n"))


def is_open(segment: str) -> bool:
    """Whether any number of fields may follow the last one of a segment."""
    return segment in _content().open_segments


def is_hl7_table(number: str) -> bool:
    """Whether HL7 defines the codes of a table; of the others it only suggests them."""
    return int(number) in _content().hl7_tables


class _Pools(msgspec.Struct):
    segments: list[str]
    types: list[str]
    structures: list[str]


class _Index(msgspec.Struct):
    segments: dict[str, int]
    types: dict[str, int]
    structures: dict[str, int]
    events: dict[str, str]


class _Content(msgspec.Struct):
    pools: _Pools
    versions: dict[str, _Index]
    tables: dict[str, str]
    open_segments: frozenset[str]
    names: dict[str, str]
    segment_names: dict[str, str]
    hl7_tables: frozenset[int]


@cache
def _content() -> _Content:
    file = resources.files("chartwire.formats.hl7v2") / "definitions" / "hl7v2.json.gz"
    return msgspec.json.decode(gzip.decompress(file.read_bytes()), type=_Content)


def _version(number: str) -> Version:
    content = _content()
    known = _ALIASES.get(number, number)
    if known not in content.versions:
        wanted = _order(number) or _order("2.5.1")
        lower = [name for name in content.versions if _order(name) <= wanted]
        known = lower[-1] if lower else next(iter(content.versions))
    return _made(known)


@cache
def _made(number: str) -> Version:
    return Version(number, _content())


def _order(number: str) -> tuple[int, ...]:
    """`2.5.1` as (2, 5, 1), () for what is no version."""
    parts = number.split(".")
    if not all(part.isascii() and part.isdigit() and len(part) < 5 for part in parts):
        return ()
    return tuple(map(int, parts))


def _part(text: str) -> Part:
    kind, usage, maximum, length, table = (text.split(",") + [""] * 4)[:5]
    return Part(
        kind,
        usage == "R",
        usage == "W",
        0 if maximum == "*" else int(maximum or 1),
        int(length or 0),
        table,
    )
