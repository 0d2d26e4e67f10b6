"""The course of a visit: the events that stand after its messages, by the table visits.yaml. Pure.

Moves are taken in order of time. An event that makes something new of the visit is a frame of its own; one that repeats
it, and every update, corrects what stands; a cancellation makes it as if the last event of its kind had never been.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from chartwire.mapping.conversion import Json
from chartwire.record.lineage import Move, Stamp

WITH_PLACE = frozenset({"place", "prior", "others"})
"""What a move to a place says: the place itself, the one before, and any others."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of visits.yaml."""

    to: dict[str, str] = field(default_factory=dict)
    sets: frozenset[str] = frozenset()
    about: str = ""
    begins: str = ""
    ended: str = ""
    leaves: bool = False
    cancels: frozenset[str] = frozenset()

    def next_status(self, present: str, told: str) -> str:
        """The status after the event. `told` is what the message itself converts to."""
        if self.ended and told == self.ended:
            return told
        following = self.to.get(present, present)
        if following == "told":
            return told
        return "unknown" if following == "none" else following


@cache
def _rules() -> dict[str, Rule]:
    table: dict[str, Json] = yaml.safe_load(files("chartwire.record").joinpath("visits.yaml").read_text("utf-8"))
    return {event: _rule(row) for event, row in table.items()}


def _rule(row: Json) -> Rule:
    sets = frozenset(row.get("sets", ()))
    more = WITH_PLACE if "place" in sets else frozenset()
    return Rule(**(row | {"sets": sets | more, "cancels": frozenset(row.get("cancels", ()))}))


UPDATE = Rule({"none": "told"})
"""The row of an update: it changes no status."""


def rule_of(event: str) -> Rule:
    """The row of an event; an event that the table does not name is an update."""
    return _rules().get(event, UPDATE)


@dataclass(slots=True, eq=False)
class Entry:
    """A move that stands. `new`: it made something new of the visit, else it repeats or corrects what stood then.

    `dropped` names what it said of events that were cancelled since.
    """

    move: Move
    new: bool
    dropped: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Frame:
    """An event that stands. `values` are what it said, each with who said so, as corrected by `corrections` since."""

    entry: Entry
    rule: Rule
    values: dict[str, tuple[Any, Stamp]]
    corrections: list[tuple[Entry, str]] = field(default_factory=list)

    def owns(self, name: str) -> bool:
        """Whether a correction of `name` is about this event: the last one that spoke of it. A discharge ends a visit
        though it may not say when."""
        return name in self.rule.sets and (name in self.values or name not in {"class", *WITH_PLACE})

    @property
    def said(self) -> Json:
        return {name: value for name, (value, _) in self.values.items()}


@dataclass(frozen=True, slots=True)
class State:
    """How a visit stands after some frames."""

    status: str = "none"
    kind: Any = None
    place: Any = None
    away: bool = False

    def after(self, rule: Rule, said: Json) -> "State":
        status = rule.next_status(self.status, said.get("status", "unknown"))
        away = rule.leaves if "place" in rule.sets else self.away
        return State(status, said.get("class", self.kind), said.get("place", self.place), away)


class Course:
    """The events that stand, in order of time."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self._entries: list[Entry] = []

    def take(self, move: Move) -> None:
        """One move more, later than all before it."""
        rule = rule_of(move.event)
        if rule.cancels and self.frames:
            self._cancel(move, rule)
            return
        self._entries.append(Entry(move, not self.frames or self._is_new(move, rule)))
        self._apply(self._entries[-1])

    def last(self, events: frozenset[str]) -> int | None:
        """The place of the last of these events among the frames."""
        found = (at for at in range(len(self.frames) - 1, -1, -1) if self.frames[at].entry.move.event in events)
        return next(found, None)

    def _is_new(self, move: Move, rule: Rule) -> bool:
        if not rule.sets:
            return False
        before = State()
        for frame in self.frames:
            before = before.after(frame.rule, frame.said)
        after = before.after(rule, move.said)
        moved = (after.place, after.away) != (before.place, before.away)
        changed = {"class": after.kind != before.kind, "place": moved}
        return after.status != before.status or changed.get(rule.about, False)

    def _apply(self, entry: Entry) -> None:
        """A new event keeps what is its own; all else corrects the last event whose own it is, or the first one."""
        move, rule = entry.move, rule_of(entry.move.event)
        values = {name: (value, move.stamp) for name, value in move.said.items() if name not in entry.dropped}
        if not self.frames:
            self.frames.append(Frame(entry, rule, values))
            return
        own = rule.sets if entry.new else frozenset()
        for name in values.keys() - own - {"status"}:
            home = next((frame for frame in reversed(self.frames) if frame.owns(name)), self.frames[0])
            home.values[name] = values[name]
            home.corrections.append((entry, name))
        if entry.new:
            self.frames.append(Frame(entry, rule, {name: values[name] for name in values.keys() & {*own, "status"}}))

    def _cancel(self, move: Move, rule: Rule) -> None:
        """Make it as if the last event of that kind had never been; with an admission goes all that came after it.

        Where that was the first word, the cancellation is: with what it says itself, and what the event did not set.
        """
        at = self.last(rule.cancels)
        if at is None:
            return
        gone = self.frames[at]
        for entry, name in gone.corrections:
            entry.dropped.add(name)
        place = self._entries.index(gone.entry)
        del self._entries[place : None if "class" in gone.rule.sets else place + 1]
        if at == 0:
            kept = {name: value for name, value in gone.said.items() if name not in gone.rule.sets}
            said = {"class": gone.said.get("class")} | move.said | kept
            self._entries.insert(0, Entry(move._replace(said=said), new=True))
        self.frames = []
        for entry in self._entries:
            self._apply(entry)


def course_of(moves: Iterable[Move]) -> Course:
    """The course after these moves. Where sources of several ranks spoke, only the strongest count."""
    told, course = list(moves), Course()
    rank = max((move.stamp.rank for move in told), default=0)
    for move in told:
        if move.stamp.rank == rank:
            course.take(move)
    return course
