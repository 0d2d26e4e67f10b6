"""What feeds usually do, learned from their messages, and how long each is silent now.

A feed is watched while it may send: not retired, paused or on hold. A break in that, and a standstill of the rounds,
begins its watch anew: what could not come is no silence, and is not learned either.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from chartwire.alerts.rhythm import (
    NOTHING,
    SILENCE_MIN_S,
    SLOT,
    SLOTS,
    SLOTS_LEARNED_MIN,
    Silence,
    Usual,
    judge,
    learned,
    slot_of,
    slot_start,
)
from chartwire.core.ids import uuid7_floor
from chartwire.store.pool import Connection, Row
from chartwire.store.queries import q

BREAK_S: Final = 180.0
"""A feed that was not looked at for so long was not watched."""

_HISTORY: Final = timedelta(weeks=6)
_LEARNED_AT_ONCE: Final = timedelta(days=1)
_FEEDS_AT_ONCE: Final = 100
_LATE: Final = timedelta(minutes=1)
"""Messages are stored a little after they came."""


@dataclass(frozen=True, slots=True)
class FeedSilence:
    """How long a feed has been silent; `compared` is None where its week is not known."""

    source_id: UUID
    name: str
    silent_s: float
    compared: Silence | None


async def attend(tx: Connection, org: UUID, at: datetime) -> None:
    """Note that the feeds that may send are watched at `at`."""
    await tx.execute(q.attend_feeds, org, at, at - timedelta(seconds=BREAK_S))


async def learn(tx: Connection, org: UUID, at: datetime) -> None:
    """Learn the slots that ended since the last time, of some of the feeds that `attend` noted at `at`; of a long past
    at most a day a call."""
    end = slot_start(at - _LATE)
    for row in await tx.fetch(q.feeds_to_learn, org, end, _floor(at - _HISTORY), at, _FEEDS_AT_ONCE):
        start = _start(row)
        until = _until(row, start, end)
        counts = await _counts(tx, org, row["source_id"], start, until)
        week = _week(row)
        while start < until:
            slot = slot_of(start, row["zone"])
            week[slot] = learned(week[slot], counts.get(start, 0))
            start += SLOT
        means, variances, weeks = zip(*week.values(), strict=True)
        await tx.execute(q.write_rhythm, org, row["source_id"], means, variances, weeks, max(start, until))


async def silences(tx: Connection, org: UUID, at: datetime) -> list[FeedSilence]:
    """Every watched feed that has sent anything, and how long it has been silent at `at`."""
    found = await tx.fetch(q.feed_silences, org)
    since = {row["source_id"]: max(row["last_at"], row["since"]) for row in found}
    silent = [one for one, start in since.items() if (at - start).total_seconds() >= SILENCE_MIN_S]
    rhythms = {row["source_id"]: row for row in await tx.fetch(q.rhythms_of, org, silent)} if silent else {}
    return [_silence(row, rhythms.get(row["source_id"]), since[row["source_id"]], at) for row in found]


async def usual_gaps(tx: Connection, org: UUID, zones: Mapping[UUID, str | None], at: datetime) -> dict[UUID, float]:
    """Seconds between messages that are usual at this hour, of feeds whose week is known and that usually send now."""
    slots = [slot_of(at, zone or "UTC") for zone in zones.values()]
    rows = await tx.fetch(q.usual_now, org, list(zones), slots, SLOTS_LEARNED_MIN)
    return {row["source_id"]: SLOT.total_seconds() / row["mean"] for row in rows}


def _silence(row: Row, rhythm: Row | None, start: datetime, at: datetime) -> FeedSilence:
    compared = judge(_week(rhythm), start, at, row["zone"]) if rhythm else None
    return FeedSilence(row["source_id"], row["name"], (at - start).total_seconds(), compared)


def _start(row: Row) -> datetime:
    """Where to go on learning: after the last break of the watch; at the first message of a feed that is new."""
    counted_until: datetime | None = row["counted_until"]
    if counted_until is None:
        return slot_start(row["first_at"])
    broken_from: datetime | None = row["broken_from"]
    if broken_from and slot_start(broken_from) <= counted_until < row["since"]:
        return slot_start(row["since"]) + SLOT
    return counted_until


def _until(row: Row, start: datetime, end: datetime) -> datetime:
    """How far to learn from `start` on: not into the last break."""
    until = min(end, start + _LEARNED_AT_ONCE)
    if row["broken_from"] and start < slot_start(row["broken_from"]):
        until = min(until, slot_start(row["broken_from"]))
    return until


async def _counts(
    tx: Connection, org: UUID, source_id: UUID, start: datetime, until: datetime
) -> Mapping[datetime, int]:
    bounds = (_floor(start - _LATE), _floor(until + _LATE))
    rows = await tx.fetch(q.count_arrivals, org, source_id, *bounds, start, until)
    return {row["slot"]: row["messages"] for row in rows}


def _week(row: Row) -> dict[int, Usual]:
    """The week as stored: one array of each figure."""
    if row["means"] is None:
        return dict.fromkeys(range(SLOTS), NOTHING)
    return dict(enumerate(map(Usual, row["means"], row["variances"], row["weeks"])))


def _floor(at: datetime) -> UUID:
    return uuid7_floor(int(at.timestamp() * 1000))
