"""Webhook endpoints: failing, switched off, or behind."""

from collections.abc import Callable

from chartwire.alerts.observations import Look, Observation, Seen
from chartwire.alerts.words import spelled
from chartwire.core.ids import PREFIXES, to_prefixed
from chartwire.store.pool import Row
from chartwire.store.queries import q

_WHY = {"gone": "it answered 410, gone", "failing": "it failed for too long"}


async def failing(look: Look) -> Seen:
    """Since when an endpoint that is switched on has had no success."""
    rows = await look.tx.fetch(q.failing_endpoints, look.org)
    return _seen(rows, look, lambda row, for_s: f"endpoint {row['name']} fails for {spelled(for_s)}")


async def disabled(look: Look) -> Seen:
    """Endpoints that were switched off by what they answered, not by their owner."""
    rows = await look.tx.fetch(q.disabled_endpoints, look.org)
    return _seen(rows, look, lambda row, _: f"endpoint {row['name']} was switched off: {_WHY[row['state_reason']]}")


async def lag(look: Look) -> Seen:
    """How long the oldest delivery of an endpoint has been due; one that waits for its next try is not."""
    rows = await look.tx.fetch(q.overdue_deliveries, look.org, look.at)
    return _seen(rows, look, lambda row, for_s: f"deliveries to endpoint {row['name']} are {spelled(for_s)} late")


def _seen(rows: list[Row], look: Look, text: Callable[[Row, float], str]) -> Seen:
    found = []
    for row in rows:
        for_s = (look.at - row["since"]).total_seconds()
        key = f"endpoint:{to_prefixed(PREFIXES['endpoint'], row['id'])}"
        found.append(Observation(key, for_s, text(row, for_s)))
    return Seen(found)
