"""What follows when an endpoint fails and fails: notice at 50, 70 and 90 % of its time, then it is switched off.

Each step is an event of the organisation, in the feed and to its other endpoints. An endpoint that was switched off for
failing is probed now and then; that it answers is an event too, but switching it on again is its owner's.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from chartwire.delivery.payload import ENDPOINT
from chartwire.delivery.settings import read_settings
from chartwire.events.outbox import Event
from chartwire.store.pool import Connection, Row
from chartwire.store.queries import q

KIND = "webhook_watch"
STEPS = (50, 70, 90, 100)
PROBE_EVERY = timedelta(hours=1)
Announce = Callable[[Connection, UUID, datetime, Sequence[Event]], Awaitable[None]]
"""Writes events, routes them and wakes who gets them, at the end of the transaction."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a look at an endpoint leads to: the step to tell of (None: nothing new), and when to look again (None: when
    something happens)."""

    step: int | None
    look_at: datetime | None


def judge(row: Row, at: datetime) -> Verdict:
    """What to do about an endpoint (columns of lock_destination)."""
    if row["state"] != "enabled":
        told = 100 if row["state_reason"] in ("failing", "gone") and row["notice"] < 100 else None
        return Verdict(told, at + PROBE_EVERY if row["state_reason"] == "failing" else None)
    if row["failing_since"] is None:
        return Verdict(0 if row["notice"] else None, None)
    period = timedelta(seconds=read_settings(row["settings"]).disable_after_s)
    percent = (at - row["failing_since"]) / period * 100
    reached = max((step for step in STEPS if step <= percent), default=0)
    if reached == STEPS[-1]:
        return Verdict(reached, at + PROBE_EVERY)
    following = next(step for step in STEPS if step > percent)
    return Verdict(reached if reached > row["notice"] else None, row["failing_since"] + period * following / 100)


async def look(tx: Connection, org: UUID, endpoint_id: UUID, at: datetime, announce: Announce) -> datetime | None:
    """Take the next step with one endpoint, where there is one; answers when to look again."""
    row = await tx.fetchrow(q.lock_destination, org, endpoint_id)
    if row is None:
        return None
    verdict = judge(row, at)
    if verdict.step is not None:
        if verdict.step == STEPS[-1]:
            await tx.execute(q.disable_failing_destination, org, endpoint_id)
        version = await tx.fetchval(q.set_destination_notice, org, endpoint_id, verdict.step)
        await announce(tx, org, at, [_event_of_step(row, verdict.step, version)])
    return verdict.look_at


def endpoint_event(name: str, endpoint_id: UUID, version: int, detail: dict[str, object]) -> Event:
    """An event about an endpoint."""
    return Event(name, ENDPOINT, endpoint_id, version, None, (), None, "live", detail)


def _event_of_step(row: Row, step: int, version: int) -> Event:
    """0 is recovery, 100 that the endpoint was switched off."""
    word = {0: "recovered", 100: "disabled"}.get(step, "failing")
    reason = "gone" if row["state_reason"] == "gone" else "failing"
    detail: dict[str, object] = {} if step == 0 else {"reason": reason, "percent": step}
    return endpoint_event(f"webhook_endpoint.{word}", row["id"], version, detail)
