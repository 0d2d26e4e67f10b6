"""Feeds: silent, halted, answered with errors, or with a clock that is wrong."""

from datetime import datetime, timedelta
from statistics import median
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from chartwire.alerts.feeds import FeedSilence, silences
from chartwire.alerts.observations import Look, Observation, Seen
from chartwire.alerts.words import counted, spelled
from chartwire.core.ids import PREFIXES, to_prefixed, uuid7_floor
from chartwire.formats.hl7v2 import to_instant
from chartwire.store.queries import q

_ERRORS_WITHIN: Final = timedelta(minutes=15)
_ERRORS_MIN: Final = 5
_MESSAGES_COUNTED_MAX: Final = 100_000
_CLOCK_WITHIN: Final = timedelta(hours=1)
_CLOCK_MESSAGES: Final = 9
_CLOCK_MESSAGES_MIN: Final = 3
_HEAD_BYTES: Final = 512


async def silence(look: Look) -> Seen:
    """Feeds, judged by their own week where it is known and by the bound where it is not."""
    return Seen([_silent(one) for one in await silences(look.tx, look.org, look.at)])


async def gap(look: Look) -> Seen:
    """Feeds, by how long they are silent."""
    found = await silences(look.tx, look.org, look.at)
    return Seen([Observation(_key(one.source_id), one.silent_s, _silent_text(one)) for one in found])


async def halted(look: Look) -> Seen:
    """Feeds that somebody halted by hand, without an end."""
    words = {"hold": "on hold", "pause": "paused"}
    found = []
    for row in await look.tx.fetch(q.halted_feeds, look.org):
        for_s = (look.at - row["since"]).total_seconds()
        text = f"feed {row['name']} is {words[row['mode']]} for {spelled(for_s)}"
        found.append(Observation(_key(row["source_id"]), for_s, text))
    return Seen(found)


async def ack_errors(look: Look) -> Seen:
    """The share of messages that were answered with an error."""
    rows = await look.tx.fetch(q.ack_errors, look.org, _floor(look.at - _ERRORS_WITHIN), _ERRORS_MIN,
                               _MESSAGES_COUNTED_MAX)  # fmt: skip
    return Seen([
        Observation(_key(row["source_id"]), row["errors"] / row["messages"],
                    f"feed {row['name']}: {row['errors']} of {counted(row['messages'], 'message')} of the last "
                    f"{spelled(_ERRORS_WITHIN.total_seconds())} were answered with an error")
        for row in rows
    ])  # fmt: skip


async def sender_clocks(look: Look) -> Seen:
    """How far in the future senders are, by the median of their last messages: a message that is late may have waited,
    one that is early tells of a clock."""
    rows = await look.tx.fetch(q.last_heads, look.org, _floor(look.at - _CLOCK_WITHIN), _CLOCK_MESSAGES, _HEAD_BYTES)
    ahead: dict[tuple[UUID, str], list[float]] = {}
    for row in rows:
        seconds = _ahead_s(bytes(row["head"]), row["received_at"], row["zone"])
        if seconds is not None:
            ahead.setdefault((row["source_id"], row["name"]), []).append(seconds)
    return Seen([
        Observation(_key(source_id), median(found), f"the clock of feed {name} is {spelled(median(found))} ahead")
        for (source_id, name), found in ahead.items() if len(found) >= _CLOCK_MESSAGES_MIN
    ])  # fmt: skip


def _ahead_s(head: bytes, received_at: datetime, zone: str | None) -> float | None:
    """How far MSH-7 lies after the receipt; None where it names no moment."""
    fields = head.split(b"\r")[0].split(head[3:4])
    text = fields[6].split(head[4:5])[0].decode("ascii", "replace") if len(fields) > 6 else ""
    told = to_instant(text, ZoneInfo(zone) if zone else None)
    if told.value is None or told.findings:
        return None
    return (datetime.fromisoformat(told.value) - received_at).total_seconds()


def _silent(feed: FeedSilence) -> Observation:
    bad = feed.compared.alarm if feed.compared else None
    return Observation(_key(feed.source_id), feed.silent_s, _silent_text(feed), bad)


def _silent_text(feed: FeedSilence) -> str:
    usually = ""
    if feed.compared:
        gap_s = feed.compared.usual_gap_s
        usually = f"; usually {spelled(gap_s)} at this hour" if gap_s else "; usually silent too at this hour"
    return f"feed {feed.name} silent for {spelled(feed.silent_s)}{usually}"


def _key(source_id: UUID) -> str:
    return f"source:{to_prefixed(PREFIXES['source'], source_id)}"


def _floor(at: datetime) -> UUID:
    return uuid7_floor(int(at.timestamp() * 1000))
