"""Rate limits: how much one key and one organisation may ask, counted in this process without asking anyone.

GCRA: a quota of q a window fills evenly and may be spent at once. Each request is charged to its key and, tenfold
wider, to its organisation, in the bucket of its class: reads, searches, writes, and batches by a tenth of their items.
Where several API processes share a port each grants its even share, so that together they never grant more than the
quota. Answers tell the tighter bucket in `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10) and `X-RateLimit-*`;
429 is the problem `quota-exceeded` with the policies that were violated. (reference: webhooks-and-api 6.12)
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import ceil, inf
from time import time
from typing import Literal, NamedTuple
from uuid import UUID

from chartwire.api.http import Header
from chartwire.api.problem import ApiError
from chartwire.core.access import Access
from chartwire.core.clock import monotonic
from chartwire.core.telemetry import Counter

LimitClass = Literal["read", "search", "write", "batch"]
"""Which bucket a route is charged to."""

WINDOW_S = 60
ORGANISATION_FACTOR = 10
BATCH_ITEMS_PER_UNIT = 10
BUCKETS_MAX = 20_000
CONCURRENT = "concurrent-requests"
_REFUSED = Counter("chartwire_http_limited_requests_total", "Requests refused with 429.", ("policy",))


@dataclass(frozen=True, slots=True)
class Quotas:
    """Units a minute for one key, by class; 0 is no limit. `concurrent`: requests of one key at the same time, 0 as
    well. `processes`: how many share them."""

    per_minute: Mapping[LimitClass, float] = field(
        default_factory=lambda: {"read": 600_000, "search": 300_000, "write": 120_000, "batch": 24_000}
    )
    concurrent: int = 500
    processes: int = 1


class _Policy(NamedTuple):
    """One bucket's rule, with what never changes of its headers."""

    name: str
    quota: int
    cost_s: float
    policies: Header
    limit: Header


class Limits:
    """The buckets of one process. `clock` gives seconds that never go back."""

    def __init__(self, quotas: Quotas, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._policies = {name: _policies(name, quotas) for name in quotas.per_minute}
        self._full_at: dict[tuple[UUID | str, LimitClass], float] = {}
        self._in_flight: dict[str, int] = {}
        self._concurrent = ceil(quotas.concurrent / quotas.processes) if quotas.concurrent else inf

    def charge(self, access: Access, limit_class: LimitClass, units: float = 1.0) -> tuple[Header, ...]:
        """Spend `units` of the key's and the organisation's bucket; the headers that tell what is left.

        Raises ApiError (429 `quota_exceeded`) and spends nothing where either has too little.
        """
        policies = self._policies[limit_class]
        if policies is None:
            return ()
        at, full_at = self._clock(), self._full_at
        key, shared = (access.actor, limit_class), (access.org, limit_class)
        own = max(at, full_at.get(key, at)) + units * policies[0].cost_s
        all_ = max(at, full_at.get(shared, at)) + units * policies[1].cost_s
        if own - at > WINDOW_S or all_ - at > WINDOW_S:
            raise _exceeded(policies, (own - at, all_ - at))
        if len(full_at) >= BUCKETS_MAX:
            self._forget(at)
        full_at[key], full_at[shared] = own, all_
        return _told(policies[0], own - at)

    @contextmanager
    def running(self, access: Access) -> Iterator[None]:
        """One request of the key while it runs. Raises ApiError (429 `quota_exceeded`) above the limit."""
        count = self._in_flight.get(access.actor, 0) + 1
        if count > self._concurrent:
            _REFUSED.add(1, CONCURRENT)
            told = "more requests of this key are under way than may be at the same time"
            raise _refused(told, [CONCURRENT], 1)
        self._in_flight[access.actor] = count
        try:
            yield
        finally:
            left = self._in_flight[access.actor] - 1
            if left:
                self._in_flight[access.actor] = left
            else:
                del self._in_flight[access.actor]

    def _forget(self, at: float) -> None:
        """Drop the buckets that are full; where all are in use, the one that has waited longest."""
        self._full_at = {key: full for key, full in self._full_at.items() if full > at}
        while len(self._full_at) >= BUCKETS_MAX:
            del self._full_at[next(iter(self._full_at))]


def _policies(limit_class: LimitClass, quotas: Quotas) -> tuple[_Policy, _Policy] | None:
    """The key's and the organisation's rule of a class; None where there is no limit."""
    share = quotas.per_minute[limit_class] / quotas.processes
    if not share:
        return None
    quota = max(1, int(share))
    names = (limit_class, f"organisation-{limit_class}")
    both = f'"{names[0]}";q={quota};w={WINDOW_S}, "{names[1]}";q={quota * ORGANISATION_FACTOR};w={WINDOW_S}'
    policies: Header = (b"ratelimit-policy", both.encode())
    limit: Header = (b"x-ratelimit-limit", b"%d" % quota)
    own = _Policy(names[0], quota, WINDOW_S / quota, policies, limit)
    shared = _Policy(names[1], quota * ORGANISATION_FACTOR, WINDOW_S / quota / ORGANISATION_FACTOR, policies, limit)
    return own, shared


def _told(policy: _Policy, spent_s: float) -> tuple[Header, ...]:
    left = max(0, int((WINDOW_S - spent_s) / policy.cost_s + 1e-6))
    reset_s = ceil(spent_s)
    return (
        policy.policies,
        (b"ratelimit", b'"%b";r=%d;t=%d' % (policy.name.encode(), left, reset_s)),
        policy.limit,
        (b"x-ratelimit-remaining", b"%d" % left),
        (b"x-ratelimit-reset", b"%d" % (time() + reset_s)),
    )


def _exceeded(policies: tuple[_Policy, _Policy], spent_s: tuple[float, float]) -> ApiError:
    violated = [(policy, spent) for policy, spent in zip(policies, spent_s, strict=True) if spent > WINDOW_S]
    for policy, _ in violated:
        _REFUSED.add(1, policy.name)
    wait_s = ceil(max(spent for _, spent in violated) - WINDOW_S)
    told = _told(policies[0], min(spent_s[0], WINDOW_S))
    return _refused("the quota of this minute is spent", [one.name for one, _ in violated], wait_s, told)


def _refused(message: str, violated: list[str], wait_s: int, told: tuple[Header, ...] = ()) -> ApiError:
    headers = [*told, (b"retry-after", b"%d" % max(1, wait_s))]
    return ApiError(message, code="quota_exceeded", error_class="rate", headers=headers, violated=violated)
