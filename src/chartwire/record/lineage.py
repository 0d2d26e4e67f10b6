"""Which source field set which element: one compact column a version.

Stored as JSON text: `{"w": [writer, ...], "e": {path: [[writer index, source field, positions], ...]}}`. A writer is
`[source, message, recorded, rank]`. `positions` lists the array items that the field gave, is absent for a single
value, and null where the sender cleared the element. An element path is `birthDate`, `period.start`, `value[x]`.
A visit also keeps what each message said of its course (course.py): `"m": [[writer index, event, when, at, said]]`.
"""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec


class Stamp(NamedTuple):
    """Who speaks, with what weight: source and message (UUID text), the source's recorded time (UTC text), rank.

    `message` is the one that first said so; `recorded` is when the source last did.
    """

    source: str
    message: str
    recorded: str | None
    rank: int


class Part(NamedTuple):
    """What one source field gave to one element. `cleared` is a value of its own: the sender said there is none."""

    stamp: Stamp
    source_field: str
    positions: tuple[int, ...] | None = None
    cleared: bool = False


class Move(NamedTuple):
    """What one message said of a visit's course: its `event`, when it counts (`when`, UTC text: the recorded time, or
    the latest one known where there is none), when it happened (`at`), and the values by name (None: cleared)."""

    stamp: Stamp
    event: str
    when: str
    at: str | None
    said: dict[str, Any]


class _Stored(msgspec.Struct, gc=False):
    w: list[Stamp] = []
    e: dict[str, list[list[Any]]] = {}
    m: list[tuple[int, str, str, str | None, dict[str, Any]]] = []


_decoder = msgspec.json.Decoder(_Stored)


@dataclass(slots=True)
class Lineage:
    """The parts of every element of one resource version, by element path; of a visit also its moves."""

    parts: dict[str, list[Part]] = field(default_factory=dict)
    moves: tuple[Move, ...] = ()

    @classmethod
    def read(cls, text: str) -> "Lineage":
        """The lineage that `write` wrote. `{}` is an empty one."""
        stored = _decoder.decode(text)
        parts = {path: [_part(stored.w, row) for row in rows] for path, rows in stored.e.items()}
        return cls(parts, tuple(Move(stored.w[row[0]], *row[1:]) for row in stored.m))

    def write(self) -> str:
        """Compact JSON text; writers that no element names any more are left out."""
        numbers: dict[Stamp, int] = {}
        elements = {path: [_row(numbers, part) for part in parts] for path, parts in self.parts.items() if parts}
        moves = [[numbers.setdefault(move.stamp, len(numbers)), *move[1:]] for move in self.moves]
        return msgspec.json.encode({"w": list(numbers), "e": elements} | ({"m": moves} if moves else {})).decode()

    def describe(self) -> dict[str, list[dict[str, Any]]]:
        """For people: element path -> source, message, recorded time and field of each part."""
        return {path: [_spoken(part) for part in parts] for path, parts in self.parts.items()}


def judge(new: Stamp, old: Stamp) -> int:
    """1 where the new word counts, -1 where the old one stands, 0 for a tie (domain-rules.md section 2).

    Authority first, then the source's recorded time, then order of arrival within one source. Two sources of equal
    rank whose times are equal or not both known tie.
    """
    if new.rank != old.rank:
        return 1 if new.rank > old.rank else -1
    if new.recorded is not None and old.recorded is not None and new.recorded != old.recorded:
        return 1 if new.recorded > old.recorded else -1
    return 1 if new.source == old.source else 0


def _part(stamps: list[Stamp], row: list[Any]) -> Part:
    stamp, source_field = stamps[row[0]], row[1]
    if len(row) == 2:
        return Part(stamp, source_field)
    return Part(stamp, source_field, None, cleared=True) if row[2] is None else Part(stamp, source_field, tuple(row[2]))


def _row(numbers: dict[Stamp, int], part: Part) -> list[Any]:
    number = numbers.setdefault(part.stamp, len(numbers))
    if part.cleared:
        return [number, part.source_field, None]
    if part.positions is None:
        return [number, part.source_field]
    return [number, part.source_field, part.positions]


def _spoken(part: Part) -> dict[str, Any]:
    row: dict[str, Any] = {
        "source_id": part.stamp.source,
        "message_id": part.stamp.message,
        "recorded_at": part.stamp.recorded,
        "rank": part.stamp.rank,
        "field": part.source_field,
    }
    if part.positions is not None:
        row["items"] = list(part.positions)
    if part.cleared:
        row["cleared"] = True
    return row
