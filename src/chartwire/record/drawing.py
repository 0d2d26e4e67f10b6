"""The elements of an Encounter that its course decides, drawn from the events that stand. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from chartwire.mapping.conversion import Json
from chartwire.record.course import WITH_PLACE, Frame, State, course_of
from chartwire.record.lineage import Move, Part, Stamp

DISCHARGE = {
    "end": "period.end",
    "disposition": "hospitalization.dischargeDisposition",
    "destination": "hospitalization.destination",
}
"""What a discharge sets: name in moves and in visits.yaml -> element path."""

COURSE = ("status", "statusHistory", "class", "classHistory", "location", *DISCHARGE.values())
"""The element paths of an Encounter that its course decides."""

Drawn = dict[str, tuple[Any, list[Part]]]
"""Element path -> value and lineage."""

_FIELDS = {"end": "PV1-45", "disposition": "PV1-36", "destination": "PV1-37"}


def draw(moves: Sequence[Move]) -> Drawn:
    """The elements of COURSE after these moves; one that is not there has no value."""
    drawing = _Drawing()
    for frame in course_of(moves).frames:
        drawing.take(frame)
    return drawing.drawn()


@dataclass(slots=True)
class _Stay:
    """A place, since when and until when, as said by whom. `expected`: the patient is on the way there."""

    place: Json
    stamp: Stamp
    since: str | None
    until: str | None = None
    over: bool = False
    expected: bool = False

    def item(self, status: str) -> Json:
        """As an item of Encounter.location."""
        period = _period(self.since, self.until)
        return {"location": self.place, "status": status} | ({"period": period} if period else {})


class _Drawing:
    """Goes through the frames and notes what each of them changes."""

    def __init__(self) -> None:
        self.state = State()
        self.status_by: Stamp | None = None
        self.class_by: Stamp | None = None
        self.since: dict[str, str | None] = {}
        self.statuses: list[Json] = []
        self.classes: list[Json] = []
        self.stays: list[_Stay] = []
        self.others: tuple[list[Any], Stamp] | None = None
        self.discharge: dict[str, tuple[Any, Stamp]] = {}

    def take(self, frame: Frame) -> None:
        move = frame.entry.move
        at = move.at or move.when or None
        before, self.state = self.state, self.state.after(frame.rule, frame.said)
        if before.status == "finished" != self.state.status:
            self.discharge = {}
        if self.state.status != before.status:
            self._leave("status", before.status if before.status != "none" else None, at, self.statuses)
            self.status_by = move.stamp
        if self.state.kind != before.kind:
            self._leave("class", before.kind, at, self.classes)
            self.class_by = frame.values["class"][1]
        self.discharge |= {name: frame.values[name] for name in DISCHARGE if name in frame.values}
        if frame.values.keys() & WITH_PLACE:
            self._move(frame, at)

    def _leave(self, name: str, value: Any, at: str | None, history: list[Json]) -> None:
        period = _period(self.since.get(name), at)
        if value is not None and period:
            history.append({name: value, "period": period})
        self.since[name] = at

    def _move(self, frame: Frame, at: str | None) -> None:
        said, leaves = frame.said, frame.rule.leaves
        present, place, prior = self.stays[-1] if self.stays else None, said.get("place"), said.get("prior")
        arrives = "place" in said and (
            present is None or present.place != place or ((present.over or present.expected) and not leaves)
        )
        if present and (arrives or leaves):
            self._end(present, at)
        if arrives and place is not None:
            if not self.stays and prior not in (None, place):
                self.stays.append(_Stay(*frame.values["prior"], None, at, over=True))
            self.stays.append(_Stay(*frame.values["place"], None if leaves else at, expected=leaves))
        if arrives or "others" in frame.values:
            self.others = frame.values.get("others")

    def _end(self, stay: _Stay, at: str | None) -> None:
        """A place that the patient was on the way to and did not reach was none."""
        if stay.expected:
            self.stays.remove(stay)
        elif not stay.over:
            stay.until, stay.over = at, True

    def drawn(self) -> Drawn:
        """The elements of the course."""
        found: Drawn = {}
        if self.status_by:
            found["status"] = self.state.status, [Part(self.status_by, "MSH-9")]
            if self.statuses:
                found["statusHistory"] = self.statuses, [Part(self.status_by, "MSH-9")]
        if self.class_by:
            found["class"] = self.state.kind, [Part(self.class_by, "PV1-2")]
            if self.classes:
                found["classHistory"] = self.classes, [Part(self.class_by, "PV1-2")]
        for name, (value, stamp) in self.discharge.items():
            if value is not None:
                found[DISCHARGE[name]] = value, [Part(stamp, _FIELDS[name])]
        items = self._places()
        if items:
            parts = [Part(stamp, name, (at,)) for at, (_, stamp, name) in enumerate(items)]
            found["location"] = [item for item, _, _ in items], parts
        return found

    def _places(self) -> list[tuple[Json, Stamp, str]]:
        """The items of Encounter.location, where the patient is first. A cancelled visit was nowhere."""
        if self.state.status == "cancelled":
            return []
        finished = self.state.status == "finished"
        if finished and self.stays and not self.stays[-1].over:
            self._end(self.stays[-1], self.discharge.get("end", (self.since.get("status"),))[0])
        items = [(stay.item(self._status_of(stay)), stay.stamp, "PV1-3") for stay in reversed(self.stays)]
        if self.others and not finished:
            items += [(item, self.others[1], name) for name, item in self.others[0] or ()]
        return items

    def _status_of(self, stay: _Stay) -> str:
        if stay.over:
            return "completed"
        return "planned" if stay.expected or self.state.status == "planned" else "active"


def _period(start: str | None, end: str | None) -> Json:
    """A Period; without its end where the two contradict each other (R4 per-1)."""
    if start and end and _is_before(end, start):
        end = None
    return {name: moment for name, moment in (("start", start), ("end", end)) if moment}


def _is_before(one: str, other: str) -> bool:
    try:
        return datetime.fromisoformat(one) < datetime.fromisoformat(other)
    except (ValueError, TypeError):  # a date alone, beside a time with its zone
        return one[:10] < other[:10]
