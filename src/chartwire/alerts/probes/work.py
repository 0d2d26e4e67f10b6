"""Messages on their way: late, dead, or waiting for a person."""

from datetime import datetime
from typing import Final

from chartwire.alerts.observations import Look, Observation, Seen
from chartwire.alerts.words import counted, spelled
from chartwire.core.ids import PREFIXES, to_prefixed
from chartwire.store.queries import q

_LANES_LOOKED_AT: Final = 1_000
_CAUSES_MAX: Final = 100
_CASES_COUNTED_MAX: Final = 10_000


async def lane_age(look: Look) -> Seen:
    """How long the oldest message has waited whose lane nothing holds."""
    oldest = await look.tx.fetchval(q.oldest_waiting, look.org, _LANES_LOOKED_AT)
    waited_s = _since(oldest, look.at)
    return Seen([Observation("lanes", waited_s, f"the oldest message has waited {spelled(waited_s)} to be processed")])


async def dead_letters(look: Look) -> Seen:
    """Open dead letters by feed."""
    return Seen([
        Observation(f"source:{to_prefixed(PREFIXES['source'], row['source_id'])}", row["messages"],
                    f"feed {row['name']}: {counted(row['messages'], 'dead message')} without a decision")
        for row in await look.tx.fetch(q.dead_by_feed, look.org)
    ])  # fmt: skip


async def causes(look: Look) -> Seen:
    """Open causes of dead letters: event, error code and place, never what a message says."""
    rows = await look.tx.fetch(q.dead_causes, look.org, _CAUSES_MAX)
    return Seen([
        Observation(f"cause:{to_prefixed(PREFIXES['dead_letters'], row['fingerprint'])}", row["messages"],
                    f"feed {row['name']}: {counted(row['messages'], 'dead message')} {row['event']}, "
                    f"{row['error_code'] or 'unknown error'}")
        for row in rows
    ])  # fmt: skip


async def review_backlog(look: Look) -> Seen:
    """Open cases."""
    cases = await look.tx.fetchval(q.open_cases, look.org, _CASES_COUNTED_MAX)
    return Seen([Observation("reviews", cases, f"{counted(cases, 'case')} to decide")])


async def review_wait(look: Look) -> Seen:
    """How long the oldest lane has waited for a decision."""
    since = await look.tx.fetchval(q.oldest_held_by_case, look.org)
    waited_s = _since(since, look.at)
    return Seen(
        [Observation("reviews", waited_s, f"messages have waited {spelled(waited_s)} for the decision of a case")]
    )


def _since(moment: datetime | None, at: datetime) -> float:
    return max((at - moment).total_seconds(), 0.0) if moment else 0.0
