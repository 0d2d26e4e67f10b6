"""How many requests a second an endpoint wants: a token bucket, pure.

A bucket begins with one token. Its lane may have been with another worker before, so whoever takes it over begins as if
the burst had just been spent, and the rate holds whoever works the lane.
"""

from dataclasses import dataclass
from uuid import UUID

from chartwire.core.clock import monotonic
from chartwire.delivery.settings import EndpointSettings, RateLimit


@dataclass(slots=True)
class Bucket:
    """The tokens of one endpoint; `at_s` is when they were last counted, by a clock that never goes back."""

    limit: RateLimit
    at_s: float
    tokens: float = 1.0

    def take(self, now_s: float) -> float:
        """0 where a request may go out now, which is counted; else the seconds until one may."""
        gained = (now_s - self.at_s) * self.limit.per_second
        self.tokens, self.at_s = min(self.tokens + gained, float(self.limit.burst)), now_s
        if self.tokens >= 1.0 - 1e-9:
            self.tokens -= 1.0
            return 0.0
        return (1.0 - self.tokens) / self.limit.per_second


def bucket_of(buckets: dict[UUID, Bucket], lane_id: UUID, settings: EndpointSettings) -> Bucket | None:
    """The bucket of an endpoint with a rate limit, a new one where the limit is another than before."""
    if settings.rate_limit is None:
        buckets.pop(lane_id, None)
        return None
    kept = buckets.get(lane_id)
    if kept is None or kept.limit != settings.rate_limit:
        kept = buckets[lane_id] = Bucket(settings.rate_limit, monotonic())
    return kept
