"""Writes down how attempts ended: gathered for a few milliseconds, one commit for all organisations.

Apart from the senders, so that no endpoint's result waits for another endpoint's timeout.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

import structlog

from chartwire.core.clock import now
from chartwire.core.crashpoints import hit
from chartwire.core.errors import ChartwireError, TransientError
from chartwire.core.limits import DELIVERY_FLUSH_RESULTS_MAX, DELIVERY_FLUSH_S
from chartwire.core.telemetry import Counter, Histogram
from chartwire.delivery.schedule import Attempt, Decision
from chartwire.delivery.send import Delivery
from chartwire.store.pool import Pool
from chartwire.store.queries import q

_RETRY_S_MAX = 2.0
_log = structlog.get_logger(__name__)
_attempts = Counter("chartwire_delivery_attempts_total", "Attempts by what they led to", ("outcome",))
_stale = Counter("chartwire_delivery_results_refused_total", "Results that came after the lane went to another worker")
_attempt_s = Histogram("chartwire_delivery_attempt_seconds", "Duration of an attempt")
_event_s = Histogram(
    "chartwire_delivery_latency_seconds",
    "From the event to a delivery's success",
    bounds=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 600.0, 3600.0, 86_400.0),
)


@dataclass(frozen=True, slots=True)
class Result:
    """How one attempt ended and what follows, under the fence of the lane that made it."""

    delivery: Delivery
    fence: int
    attempt: Attempt
    decision: Decision

    @property
    def key(self) -> tuple[Any, Any]:
        """What identifies the delivery in an answer of the store."""
        return self.delivery.event_id, self.delivery.destination_id


class Flusher:
    """Takes results at any rate and records them in batches; one task a process (`run`)."""

    def __init__(self, pool: Pool, *, gather_s: float = DELIVERY_FLUSH_S) -> None:
        self._pool = pool
        self._gather_s = gather_s
        self._waiting: list[tuple[Result, asyncio.Future[bool]]] = []
        self._some = asyncio.Event()

    def add(self, result: Result) -> "asyncio.Future[bool]":
        """Queue a result. The future tells whether it was recorded; False: the fence refused it.

        Senders bound the queue: they hold at most DELIVERIES_HELD_PER_LANE_MAX unrecorded deliveries a lane.
        """
        recorded: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((result, recorded))
        self._some.set()
        return recorded

    async def run(self) -> None:
        """Record until cancelled. While the store is away results wait; the lease decides what they are worth then."""
        while True:
            await self._some.wait()
            await asyncio.sleep(self._gather_s)
            batch = self._waiting[:DELIVERY_FLUSH_RESULTS_MAX]
            del self._waiting[: len(batch)]
            if not self._waiting:
                self._some.clear()
            await self._record(batch)

    async def _record(self, batch: list[tuple[Result, "asyncio.Future[bool]"]]) -> None:
        try:
            recorded = await self._write_patiently([result for result, _ in batch])
        except ChartwireError as error:
            if len(batch) > 1:
                for pair in batch:
                    await self._record([pair])
                return
            _log.error("delivery_result_unwritable", code=error.code)
            recorded = set()
        for result, future in batch:
            _count(result, result.key in recorded)
            if not future.done():
                future.set_result(result.key in recorded)

    async def _write_patiently(self, results: list[Result]) -> set[tuple[Any, Any]]:
        wait_s = 0.05
        while True:
            try:
                return await self._write(results)
            except TransientError as error:
                _log.warning("delivery_flush_waits", code=error.code)
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, _RETRY_S_MAX)

    async def _write(self, results: list[Result]) -> set[tuple[Any, Any]]:
        hit("delivery.before_record")
        async with self._pool.connection() as connection:  # one statement commits by itself, in one round trip
            rows = await connection.fetch(q.record_attempts, *_columns(results))
        hit("delivery.after_record")
        return {(row["event_id"], row["destination_id"]) for row in rows}


def _columns(results: list[Result]) -> list[list[Any]]:
    return [
        [each.delivery.org_id for each in results],
        [each.delivery.event_id for each in results],
        [each.delivery.destination_id for each in results],
        [each.fence for each in results],
        [each.delivery.attempts + 1 for each in results],
        [each.decision.outcome for each in results],
        [each.decision.state for each in results],
        [each.decision.next_attempt_at for each in results],
        [each.attempt.started_at for each in results],
        [each.attempt.status for each in results],
        [round(each.attempt.duration_ms) for each in results],
        [each.attempt.error for each in results],
        [each.attempt.response for each in results],
    ]


def _count(result: Result, recorded: bool) -> None:
    if not recorded:
        _stale.add()
        return
    _attempts.add(1, result.decision.outcome)
    _attempt_s.observe(result.attempt.duration_ms / 1000)
    if result.decision.outcome == "delivered":
        _event_s.observe((now() - result.delivery.created_at).total_seconds())
