"""Segment groups of a message (PATIENT, ORDER, OBSERVATION, ...) by data: maps/structures.yaml.

Tolerant of real-world order: a segment goes to the innermost open group that takes it, else opens the group that it
begins; where that group's first segment is missing or late, the group is opened without it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import yaml

from chartwire.formats.hl7v2 import Segment
from chartwire.mapping.conversion import Contribution, Mapped
from chartwire.mapping.gates import filled_fields, joined
from chartwire.mapping.language import MapError, Mark, Reader

_GROUP_KEYS: Final = ("opens", "holds", "groups")
ROOT: Final = "MESSAGE"


@dataclass(slots=True)
class Group:
    """A kind of group: what opens it, what else it holds, and the groups inside."""

    name: str
    opens: tuple[str, ...]
    holds: frozenset[str]
    parent: "Group | None"
    groups: list["Group"] = field(default_factory=list)

    def takes(self, segment: str) -> bool:
        """Whether the segment stands in this group itself."""
        return segment in self.holds or segment in self.opens

    def ancestors(self) -> Iterator["Group"]:
        """This group, its parent, and so on up to the message."""
        group: Group | None = self
        while group is not None:
            yield group
            group = group.parent

    def descend(self) -> Iterator["Group"]:
        """This group and all inside, outer ones first."""
        yield self
        for group in self.groups:
            yield from group.descend()


class Frame:
    """One occurrence of a group: its segments by name, the frames inside, and what has been made of it."""

    __slots__ = (
        "_pattern", "below", "children", "group", "made", "more", "origins", "parent", "segments", "separator",
        "variables",
    )  # fmt: skip

    def __init__(self, group: Group, parent: "Frame | None", separator: str) -> None:
        self.group = group
        self.separator = separator
        self._pattern: tuple[frozenset[str], ...] | None = None
        self.parent: Frame | None = parent
        self.segments: dict[str, Segment] = {}
        self.more: dict[str, list[Segment]] = {}
        self.children: list[Frame] = []
        self.made: dict[str, Mapped] = {}
        self.below: dict[str, Mapped] = {}
        self.origins: dict[str, tuple[Contribution, ...]] = {}
        self.variables: dict[str, object] = {}

    def add(self, segment: Segment) -> None:
        """Take a segment; the first of its name is the one that paths read."""
        if segment.name in self.segments:
            self.more.setdefault(segment.name, []).append(segment)
        else:
            self.segments[segment.name] = segment

    def note(self, name: str, mapped: Mapped) -> None:
        """Say what the resource map of that name made of this frame; the frame around learns of the first."""
        self.made[name] = mapped
        if self.parent is not None:
            self.parent.below.setdefault(name, mapped)

    def all(self, name: str) -> list[Segment]:
        """Every segment of that name in this frame."""
        first = self.segments.get(name)
        return [first, *self.more.get(name, ())] if first else []

    def pattern(self) -> tuple[frozenset[str], ...]:
        """The filled fields of this frame and of each one around it, innermost first. Ask when all segments are in."""
        if self._pattern is None:
            separator = self.separator
            sets = [filled_fields(segment, separator) for segment in self.segments.values()]
            for more in self.more.values():
                sets += [filled_fields(segment, separator) for segment in more]
            own = sets[0] if len(sets) == 1 else joined(tuple(sets))
            self._pattern = (own, *(self.parent.pattern() if self.parent is not None else ()))
        return self._pattern

    def filled(self) -> frozenset[str]:
        """The filled fields of this frame and those around it."""
        return frozenset().union(*self.pattern())

    def inside(self, name: str) -> "list[Frame]":
        """Frames of that group anywhere inside, in message order; the frame itself where it is one."""
        found = [self] if self.group.name == name else []
        for child in self.children:
            found += [child] if child.group.name == name and not child.children else child.inside(name)
        return found

    def dissolve(self) -> None:
        """Cut the ties between frames, so that they go at once and leave nothing to the garbage collector."""
        for child in self.children:
            child.dissolve()
        self.children, self.parent = [], None


@dataclass(frozen=True, slots=True)
class _Move:
    up: int
    down: tuple[Group, ...]


class Structure:
    """The groups of one kind of message, and the plan for every segment in every state."""

    def __init__(self, name: str, root: Group) -> None:
        self.name = name
        self.root = root
        self.groups = {group.name: group for group in root.descend()}
        self._moves: dict[tuple[str, str], _Move | None] = {}

    def arrange(self, segments: list[Segment], separator: str) -> Frame:
        """The frames of one message. Segments that no group takes (Z segments) are left out."""
        root = frame = Frame(self.root, None, separator)
        for segment in segments:
            name = segment.name
            if name in frame.group.opens and not _begun(frame, name):
                frame.add(segment)
                continue
            move = self._move(frame.group, name)
            if move is None:
                continue
            frame = _walk(frame, move, name)
            frame.add(segment)
        return root

    def climb(self, group: Group, segment: str) -> int | None:
        """How many frames up from `group` the segment stands; None where it is in none of them."""
        for up, ancestor in enumerate(group.ancestors()):
            if ancestor.takes(segment):
                return up
        return None

    def _move(self, group: Group, segment: str) -> _Move | None:
        key = (group.name, segment)
        if key not in self._moves:
            if len(self._moves) > 10_000:
                self._moves.clear()
            self._moves[key] = self._plan(group, segment)
        return self._moves[key]

    def _plan(self, group: Group, segment: str) -> _Move | None:
        for up, ancestor in enumerate(group.ancestors()):
            for child in ancestor.groups:
                if segment in child.opens:
                    return _Move(up, (child,))
            if segment in ancestor.holds:
                return _Move(up, ())
        for up, ancestor in enumerate(group.ancestors()):
            for inner in ancestor.descend():
                if inner is not ancestor and inner.takes(segment):
                    chain = [step for step in inner.ancestors() if step is not ancestor]
                    below = chain[: _index_below(chain, ancestor)]
                    return _Move(up, tuple(reversed(below)))
        return None


def _index_below(chain: list[Group], ancestor: Group) -> int:
    for position, group in enumerate(chain):
        if group.parent is ancestor:
            return position + 1
    return len(chain)


def _begun(frame: Frame, segment: str) -> bool:
    opens = frame.group.opens
    return any(name in frame.segments for name in opens[opens.index(segment) :])


def _walk(frame: Frame, move: _Move, segment: str) -> Frame:
    previous = frame
    for _ in range(move.up):
        previous, frame = frame, frame.parent or frame
    if (
        move.down
        and previous.group is move.down[0]
        and segment in previous.group.opens
        and not _begun(previous, segment)
    ):
        return previous
    for group in move.down:
        inner = Frame(group, frame, frame.separator)
        frame.children.append(inner)
        frame = inner
    return frame


def read_structures(text: str, file: str) -> dict[str, Structure]:
    """All structures of a file. Raises MapError."""
    reader = Reader(text, file)
    found = {}
    for name, node in reader.items(reader.root):
        root = Group(ROOT, (), frozenset(), None)
        _fill(reader, root, node)
        names = [group.name for group in root.descend()]
        if len(set(names)) < len(names):
            raise MapError(f"structure {name} names a group twice", Mark(file, reader.mark(node).line))
        found[name] = Structure(name, root)
    return found


def _fill(reader: Reader, group: Group, node: yaml.Node) -> None:
    for key, value in reader.items(node, _GROUP_KEYS):
        if key == "opens":
            group.opens = reader.texts(value)
        elif key == "holds":
            group.holds = frozenset(reader.texts(value))
        else:
            for name, inner in reader.items(value):
                child = Group(name, (), frozenset(), group)
                group.groups.append(child)
                _fill(reader, child, inner)
