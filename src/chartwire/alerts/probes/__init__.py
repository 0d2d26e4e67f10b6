"""One kind of thing to watch a function, by the names of rules.yaml: those that see the store alone.

What belongs to a machine (its disk, its backups, its certificates, its processes) is handed over by the composition
root, in a table of the same shape.
"""

from collections.abc import Mapping
from typing import Final

from chartwire.alerts.observations import Probe
from chartwire.alerts.probes import database, endpoints, feeds, keys, work

PROBES: Final[Mapping[str, Probe]] = {
    "feed_silence": feeds.silence,
    "feed_gap": feeds.gap,
    "feed_halted": feeds.halted,
    "ack_error_rate": feeds.ack_errors,
    "sender_clock": feeds.sender_clocks,
    "lane_age": work.lane_age,
    "dead_letters": work.dead_letters,
    "dead_letter_cause": work.causes,
    "review_backlog": work.review_backlog,
    "review_wait": work.review_wait,
    "endpoint_failing": endpoints.failing,
    "endpoint_disabled": endpoints.disabled,
    "delivery_lag": endpoints.lag,
    "key_expiry": keys.expiry,
    "database_slow": database.slow,
    "clock_skew": database.clock_skew,
    "partitions": database.partitions,
}
