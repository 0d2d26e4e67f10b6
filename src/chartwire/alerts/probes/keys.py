"""API keys that end."""

from datetime import timedelta
from typing import Final

from chartwire.alerts.observations import Look, Observation, Seen
from chartwire.alerts.words import spelled
from chartwire.core.ids import PREFIXES, to_prefixed
from chartwire.store.queries import q

_TOLD_AFTER_ITS_END: Final = timedelta(days=7)


async def expiry(look: Look) -> Seen:
    """Days until a key ends, of keys that were not withdrawn; one that ended a week ago was let go."""
    rows = await look.tx.fetch(q.keys_that_end, look.org, look.at - _TOLD_AFTER_ITS_END)
    found = []
    for row in rows:
        left = row["expires_at"] - look.at
        when = f"ends in {spelled(left.total_seconds())}" if left > timedelta() else "has ended"
        text = f"API key {row['name'] or ''} ...{row['last_four']} {when}"
        key = f"key:{to_prefixed(PREFIXES['credential'], row['credential_id'])}"
        found.append(Observation(key, left / timedelta(days=1), text))
    return Seen(found)
