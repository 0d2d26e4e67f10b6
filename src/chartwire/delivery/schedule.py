"""What an attempt leads to: data and pure functions. By default eleven attempts over about three days, then dead.

An attempt whose outcome is unknown (sent, no whole answer) is its own state and is resolved by sending the same id and
body again on the same schedule: the receiver tells duplicates by `webhook-id`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Literal

from chartwire.core.limits import DELIVERY_RETRY_AFTER_MAX_S

SCHEDULE_S: tuple[float, ...] = (5, 60, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
JITTER = 0.2

Outcome = Literal["delivered", "retrying", "unknown", "dead", "disabled"]
State = Literal["delivered", "retrying", "unknown", "dead"]
Ending = Literal["answered", "not_connected", "unknown", "refused", "historical"]

_BY_ENDING: dict[Ending, Outcome] = {
    "not_connected": "retrying",
    "unknown": "unknown",
    "refused": "dead",
    "historical": "dead",
}
_BY_STATUS: dict[int, Outcome] = {410: "disabled"}
_MAY_SAY_WHEN = frozenset({429, 503})
_STATE: dict[Outcome, State] = {
    "delivered": "delivered",
    "retrying": "retrying",
    "unknown": "unknown",
    "dead": "dead",
    "disabled": "dead",
}


@dataclass(frozen=True, slots=True)
class Attempt:
    """How one attempt ended. `error` is a code for programs; `response` the start of the answer's body."""

    ending: Ending
    started_at: datetime
    duration_ms: float = 0.0
    status: int | None = None
    retry_after: str | None = None
    error: str | None = None
    response: bytes | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows: `next_attempt_at` for a delivery that stays open; `pause_until` holds the whole endpoint."""

    outcome: Outcome
    next_attempt_at: datetime | None = None
    pause_until: datetime | None = None

    @property
    def state(self) -> State:
        """The state of the delivery: one that meets a disabled endpoint is dead."""
        return _STATE[self.outcome]


def decide(
    attempt: Attempt,
    number: int,
    now: datetime,
    uniform: Callable[[float, float], float],
    waits_s: Sequence[float] = SCHEDULE_S,
) -> Decision:
    """What follows the `number`-th attempt (from 1). `uniform(low, high)` draws the jitter of `waits_s`.

    2xx delivered; 410 disables the endpoint; whatever else is not permanent is tried again after the schedule's wait
    +-20 %. Retry-After of 429 and 503, at most an hour, holds every delivery of the endpoint and lengthens the wait.
    """
    outcome = _outcome(attempt)
    if outcome in ("delivered", "dead", "disabled"):
        return Decision(outcome)
    asked_s = retry_after_s(attempt.retry_after, now) if attempt.status in _MAY_SAY_WHEN else 0.0
    pause_until = now + timedelta(seconds=asked_s) if asked_s else None
    if number > len(waits_s):
        return Decision("dead", pause_until=pause_until)
    wait_s = max(waits_s[number - 1] * uniform(1 - JITTER, 1 + JITTER), asked_s)
    return Decision(outcome, now + timedelta(seconds=wait_s), pause_until)


def retry_after_s(header: str | None, now: datetime) -> float:
    """Seconds that a Retry-After header asks for (RFC 9110 section 10.2.3: seconds or a date), 0 to one hour."""
    if header is None:
        return 0.0
    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(min(int(text[:9]), DELIVERY_RETRY_AFTER_MAX_S))
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return 0.0
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(max((moment - now).total_seconds(), 0.0), DELIVERY_RETRY_AFTER_MAX_S)


def _outcome(attempt: Attempt) -> Outcome:
    if attempt.ending != "answered":
        return _BY_ENDING[attempt.ending]
    status = attempt.status or 0
    return "delivered" if 200 <= status < 300 else _BY_STATUS.get(status, "retrying")
