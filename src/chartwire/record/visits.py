"""What becomes of a visit: the events of its course, in the order of their time, by the table visits.yaml. Pure.

The course is kept as moves in the lineage: what each message said of status, class, places and discharge. The elements
of COURSE are always drawn anew from all moves, so that it does not matter in which order messages arrive, and a
cancellation gives back exactly what was before. All other elements of an Encounter merge one by one (merge.py).
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace

from chartwire.core.limits import EQUAL_UPDATES_MAX, VISIT_MOVES_MAX
from chartwire.mapping.conversion import Json, Mapped
from chartwire.record.course import UPDATE, course_of, rule_of
from chartwire.record.drawing import COURSE, DISCHARGE, Drawn, draw
from chartwire.record.elements import shape_of
from chartwire.record.lineage import Lineage, Move, Stamp
from chartwire.record.merge import Merged, merge

_PRESENT, _PRIOR = "PV1-3", "PV1-6"
_BEGAN = {"planned": "ADT^A05", "arrived": "ADT^A04", "in-progress": "ADT^A01", "finished": "ADT^A03"}
"""The event that a visit stands for whose moves are not known, by its status; any other is as an update left it."""


def retell(
    standing: Json, lineage: Lineage, mapped: Mapped, stamp: Stamp, event: str, *, replay: bool = False
) -> Merged:
    """What becomes of an Encounter (`standing`, without meta; {} for a new one) when `mapped` is told by an event."""
    move = _move_of(mapped, stamp, event)
    merged = merge(standing, lineage, _without_course(mapped), stamp, replay=replay)
    known = lineage.moves or _seed(standing, lineage)
    if any(_ties(one, move) for one in known):
        merged.ties.append("status")
        return merged
    moves = heard(known, move)
    merged.refreshed = merged.refreshed or moves != lineage.moves
    merged.lineage = Lineage(merged.lineage.parts, moves)
    _put(merged, standing, draw(moves))
    return merged


def redrawn(body: Json, lineage: Lineage) -> tuple[Json, Lineage]:
    """A body and its lineage with the course as its moves tell it; as they are where there are none."""
    merged = Merged(body, lineage)
    if lineage.moves:
        _put(merged, body, draw(lineage.moves))
    return merged.body, merged.lineage


def begin_course_anew(merged: Merged) -> None:
    """After a write that set elements of the course: what stands is where the course begins, and moves before it count
    no more. An update that a feed tells later changes nothing of it, a discharge ends it."""
    if any(path in COURSE for path in merged.changed):
        merged.lineage = Lineage(merged.lineage.parts)


def unheard(moves: Sequence[Move], messages: frozenset[str]) -> tuple[Move, ...]:
    """The moves of a visit as if these messages had never been.

    The others are heard anew, in order of arrival: how late a cancellation counts depends on what was known then.
    """
    kept = [move for move in moves if move.stamp.message not in messages]
    if len(kept) == len(moves):
        return tuple(moves)
    found: tuple[Move, ...] = ()
    for move in sorted(kept, key=lambda one: one.stamp.message):
        found = heard(found, move._replace(when=move.stamp.recorded or ""))
    return found


def _move_of(mapped: Mapped, stamp: Stamp, event: str) -> Move:
    """What a message says of the course."""
    told, rule, happened = shape_of("Encounter").told(mapped.body), rule_of(event), mapped.facts.get("happened")
    said: Json = {"status": mapped.body.get("status", "unknown")}
    if "class" in told:
        said["class"] = told["class"]
    said |= _places(mapped)
    if not rule.cancels:
        said |= {name: told[path] for name, path in DISCHARGE.items() if path in told}
        said |= {name: None for name, path in DISCHARGE.items() if path in mapped.clears}
    at = told.get(rule.begins) or happened
    if rule.begins == DISCHARGE["end"] and at and "end" not in said:
        said["end"] = at
    return Move(stamp, event, stamp.recorded or "", at, said)


def _places(mapped: Mapped) -> Json:
    """`place` (PV1-3), `prior` (PV1-6), and `others` with the fields that gave them."""
    said: Json = {}
    if _PRESENT in mapped.clears.get("location", "").split():
        said["place"] = None
    items = iter(mapped.body.get("location", ()))
    for source_field, count in mapped.lineage.get("location", ()):
        for item in (next(items) for _ in range(count)):
            if source_field == _PRESENT:
                said["place"] = item["location"]
            elif source_field == _PRIOR:
                said["prior"] = item["location"]
            else:
                said.setdefault("others", []).append([source_field, item])
    return said


def _without_course(mapped: Mapped) -> Mapped:
    """The rest of an Encounter, which merges element by element."""
    shape = shape_of("Encounter")
    body = shape.body({path: value for path, value in shape.told(mapped.body).items() if path not in COURSE})
    clears = {path: name for path, name in mapped.clears.items() if path not in COURSE}
    return replace(mapped, body=body, clears=clears)


def _seed(standing: Json, lineage: Lineage) -> tuple[Move, ...]:
    """One move that says what stands, for a visit whose moves are not known."""
    parts = [part for path in COURSE for part in lineage.parts.get(path, ())]
    if not standing or not parts:
        return ()
    stamp = max((part.stamp for part in parts), key=lambda one: (one.rank, one.recorded or ""))
    told = shape_of("Encounter").told(standing)
    said = {name: told[path] for name, path in DISCHARGE.items() if path in told}
    said |= {name: told[name] for name in ("status", "class") if name in told}
    present = [item["location"] for item in standing.get("location", ()) if item.get("status") in {"active", "planned"}]
    if present:
        said["place"] = present[0]
    event = _BEGAN.get(standing.get("status", ""), "")
    return (Move(stamp, event, stamp.recorded or "", None, said),)


def _ties(known: Move, move: Move) -> bool:
    """Whether another source says something else of the same moment with the same weight."""
    mine, theirs = move.stamp, known.stamp
    if mine.source == theirs.source or (mine.rank, mine.recorded) != (theirs.rank, theirs.recorded):
        return False
    return (known.event, known.said) != (move.event, move.said)


def _put(merged: Merged, standing: Json, drawn: Drawn) -> None:
    """Set the elements of the course in a merged body and its lineage."""
    shape = shape_of("Encounter")
    told, before, parts = shape.told(merged.body), shape.told(standing), dict(merged.lineage.parts)
    for path in COURSE:
        value, told_by = drawn.get(path, (None, []))
        if value is not None:
            told[path], parts[path] = value, told_by
        elif path in told or path in parts:
            told.pop(path, None)
            parts.pop(path, None)
        if value != before.get(path):
            merged.changed.append(path)
    merged.body = shape.body(told)
    merged.lineage = Lineage(parts, merged.lineage.moves)


def heard(moves: Sequence[Move], move: Move) -> tuple[Move, ...]:
    """The moves of a visit after one more, in order of time. One that is known already changes nothing."""
    if any(_same(known, move) for known in moves):
        return tuple(moves)
    when = move.when or max((known.when for known in moves), default="")
    when = _never_late(moves, move, when)
    at = bisect_right([known.when for known in moves], when)
    found = [*moves[:at], move._replace(when=when), *moves[at:]]
    _thin(found, at)
    _bound(found)
    return tuple(found)


def _same(known: Move, move: Move) -> bool:
    mine, theirs = move.stamp, known.stamp
    if mine.message == theirs.message:
        return known.event == move.event
    if mine.recorded is None or (mine.source, mine.recorded, mine.rank) != (
        theirs.source,
        theirs.recorded,
        theirs.rank,
    ):
        return False
    return (known.event, known.said) == (move.event, move.said)


def _never_late(moves: Sequence[Move], move: Move, when: str) -> str:
    """A cancellation is never too old: where all that it could cancel is later, it is as late as that."""
    cancels = rule_of(move.event).cancels
    before = [known.event for known in moves if known.when <= when]
    if sum(event in cancels for event in before) > before.count(move.event):
        return when
    return moves[-1].when if cancels and course_of(moves).last(cancels) is not None else when


def _thin(moves: list[Move], at: int) -> None:
    """Of updates that follow each other and say the same, the first and the last few are enough: what comes late comes
    between those that were said lately."""
    first = last = at
    while first > 0 and _repeats(moves[first - 1], moves[at]):
        first -= 1
    while last < len(moves) - 1 and _repeats(moves[last + 1], moves[at]):
        last += 1
    if last - first >= EQUAL_UPDATES_MAX:
        del moves[first + 1]


def _repeats(one: Move, other: Move) -> bool:
    return rule_of(one.event) == UPDATE and _word(one) == _word(other)


def _word(move: Move) -> tuple[str, Json, str, int]:
    return move.event, move.said, move.stamp.source, move.stamp.rank


def _bound(moves: list[Move]) -> None:
    """At most VISIT_MOVES_MAX: the oldest updates go first."""
    while len(moves) > VISIT_MOVES_MAX:
        del moves[next((number for number, move in enumerate(moves) if rule_of(move.event) == UPDATE), 0)]
