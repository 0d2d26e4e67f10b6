"""One destination's turn: its due deliveries go out side by side, within a window that its answers widen or narrow."""

import asyncio
import random
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from chartwire.core.clock import monotonic, now
from chartwire.core.errors import ChartwireError, TransientError
from chartwire.core.limits import (
    DELIVERIES_HELD_PER_LANE_MAX,
    DELIVERY_LANE_SLICE_S,
    DELIVERY_LEASE_MARGIN_S,
)
from chartwire.delivery.flush import Flusher, Result
from chartwire.delivery.keyring import Keyring
from chartwire.delivery.rate import Bucket, bucket_of
from chartwire.delivery.schedule import Attempt, Decision, decide
from chartwire.delivery.send import Delivery, Destination, webhook_of
from chartwire.delivery.settings import EndpointSettings, read_settings
from chartwire.events.lanes import Claim
from chartwire.store.pool import Connection, Pool
from chartwire.store.queries import q
from chartwire.trust.outbound import Outbound
from chartwire.trust.seal import Sealer

_FIRST_WINDOW = 4
_DEFER_S = 5.0
_STORE_PAUSE_S = 0.5
_FAULT_PAUSE_S = 30.0
_WINDOWS_KEPT_MAX = 10_000
_RATE_WAIT_S_MAX = 1.0
_REPLAY_SHARE = 4
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Sending:
    """What every lane of a worker shares. `windows` and `buckets` remember each destination's window and rate between
    its turns. No attempt takes longer than `timeout_s`, whatever the endpoint asks for."""

    pool: Pool
    door: Outbound
    sealer: Sealer
    flusher: Flusher
    timeout_s: float
    windows: dict[UUID, int] = field(default_factory=dict)
    buckets: dict[UUID, Bucket] = field(default_factory=dict)


class LaneRun:
    """Works one claimed lane until nothing is due, its slice of time is over, or it must stop; then gives it back.

    Nothing starts that could outlast the lease. An endpoint that answers may have as many requests open as its settings
    say, and gets no more a second; one that does not answer is down to one a turn, and its turn ends
    with it, so that it costs a socket and delays nobody.
    """

    def __init__(self, sending: Sending, claim: Claim, lease_until_s: float) -> None:
        self.claim = claim
        self.lease_until_s = lease_until_s
        self.turn: int | None = None
        """How often the lane had been woken when its worker last told it to look."""
        self._sending = sending
        self._destination: Destination | None = None
        self._settings = EndpointSettings()
        self._bucket: Bucket | None = None
        self._slice_until_s = monotonic() + DELIVERY_LANE_SLICE_S
        self._window = sending.windows.get(claim.lane_id, _FIRST_WINDOW)
        self._queue: deque[Delivery] = deque()
        self._replays: deque[Delivery] = deque()
        self._started = 0
        self._held: set[UUID] = set()
        self._sends: set[asyncio.Task[None]] = set()
        self._pause_until: datetime | None = None
        self._stopping = False
        self._look = True
        self._changed = asyncio.Event()

    def poke(self) -> None:
        """Look for new deliveries while this lane is held."""
        self._look = True
        self._changed.set()

    @property
    def is_failing(self) -> bool:
        """Whether the last attempt there got no answer, as far as this worker knows."""
        return self._window == 1

    def defer(self) -> None:
        """Leave this turn to others: the lane goes back untouched, for a few seconds."""
        self._pause_until = now() + timedelta(seconds=_DEFER_S)

    def stop(self) -> None:
        """Start nothing more: the process ends, or the lane is no longer ours."""
        self._stopping = True
        self._changed.set()

    async def run(self) -> datetime | None:
        """Work and give back; answers when this lane has something due again, None when it has nothing or is lost."""
        try:
            await self._work()
        except ChartwireError as error:
            _log.warning("delivery_lane_stopped", code=error.code, lane_id=str(self.claim.lane_id))
            passing = isinstance(error, TransientError)
            self._pause_until = now() + timedelta(seconds=_STORE_PAUSE_S if passing else _FAULT_PAUSE_S)
            await self._work()
        finally:
            for task in self._sends:
                task.cancel()
        self._remember_window()
        return await self._give_back()

    async def _work(self) -> None:
        """Returns when nothing is left to start and all that was sent is recorded, so that nobody sends it again."""
        while True:
            if self._wants_more():
                await self._load()
            self._start_some()
            if not self._may_start():
                self._drop_queue()
            if not self._held and not (self._look and self._may_start()):
                return
            await self._changed.wait()
            self._changed.clear()

    def _wants_more(self) -> bool:
        return (
            self._look
            and len(self._sends) < self._window
            and len(self._queue) < self._window
            and len(self._held) <= DELIVERIES_HELD_PER_LANE_MAX // 2
            and self._may_start()
        )

    def _may_start(self) -> bool:
        at = monotonic()
        return (
            not self._stopping
            and self._pause_until is None
            and at < self._slice_until_s
            and at + self._timeout_s + DELIVERY_LEASE_MARGIN_S <= self.lease_until_s
        )

    @property
    def _timeout_s(self) -> float:
        return min(self._settings.timeout_s, self._sending.timeout_s)

    async def _load(self) -> None:
        room = DELIVERIES_HELD_PER_LANE_MAX - len(self._held)
        org, lane = self.claim.org_id, self.claim.lane_id
        async with self._sending.pool.transaction(org) as tx:
            self._destination = await self._load_destination(tx)
            if self._destination is None:
                self.stop()
                return
            replay_room = max(1, room // _REPLAY_SHARE)
            rows = await tx.fetch(q.due_deliveries, org, lane, list(self._held), room, replay_room)
        replays = sum(row["replay_id"] is not None for row in rows)
        self._look = len(rows) - replays == room or replays == replay_room
        for row in rows:
            self._held.add(row["event_id"])
            (self._replays if row["replay_id"] else self._queue).append(
                Delivery(
                    org,
                    row["event_id"],
                    lane,
                    row["attempts"],
                    row["created_at"],
                    row["body"],
                    row["message_id"],
                    row["historical"],
                    row["replay_id"],
                    row["attempts_before"],
                )
            )

    async def _load_destination(self, tx: Connection) -> Destination | None:
        org, lane = self.claim.org_id, self.claim.lane_id
        row = await tx.fetchrow(q.load_destination, org, lane)
        if row is None or row["state"] != "enabled":
            return None
        self._settings = read_settings(row["settings"])
        self._bucket = bucket_of(self._sending.buckets, lane, self._settings)
        return webhook_of(row, Keyring(self._sending.sealer, org, lane), self._sending.door, self._timeout_s)

    def _start_some(self) -> None:
        room = min(self._window, self._settings.max_in_flight)
        while (self._queue or self._replays) and len(self._sends) < room and self._may_start() and self._has_turn():
            task = asyncio.create_task(self._attempt(self._next()))
            self._sends.add(task)
            task.add_done_callback(self._sent)

    def _next(self) -> Delivery:
        """While both wait, one in four is of a replay."""
        self._started += 1
        replays_turn = not self._queue or self._started % _REPLAY_SHARE == 0
        return (self._replays if self._replays and replays_turn else self._queue).popleft()

    def _has_turn(self) -> bool:
        """Whether the endpoint's rate allows one more now; else the lane waits here for a moment, or comes back."""
        wait_s = self._bucket.take(monotonic()) if self._bucket else 0.0
        if wait_s > _RATE_WAIT_S_MAX:
            self._pause_until = now() + timedelta(seconds=wait_s)
        elif wait_s:
            asyncio.get_running_loop().call_later(wait_s, self._changed.set)
        return not wait_s

    def _drop_queue(self) -> None:
        self._held.difference_update(delivery.event_id for delivery in (*self._queue, *self._replays))
        self._queue.clear()
        self._replays.clear()

    async def _attempt(self, delivery: Delivery) -> None:
        assert self._destination is not None
        if delivery.historical:
            attempt = Attempt("historical", now(), error="historical")
        else:
            attempt = await _send(self._destination, delivery)
            self._fit_window(attempt)
        number = delivery.attempts - delivery.attempts_before + 1
        decision = decide(attempt, number, now(), random.uniform, self._settings.schedule)
        self._heed(decision)
        recorded = self._sending.flusher.add(Result(delivery, self.claim.fence, attempt, decision))
        recorded.add_done_callback(lambda done: self._recorded(delivery.event_id, done))

    def _sent(self, task: "asyncio.Task[None]") -> None:
        self._sends.discard(task)
        self._changed.set()

    def _recorded(self, event_id: UUID, recorded: "asyncio.Future[bool]") -> None:
        self._held.discard(event_id)
        if recorded.cancelled() or not recorded.result():
            self._stopping = True
        if self._settings.ordering == "per_resource":
            self._look = True  # what waited for this one may be due now
        self._changed.set()

    def _fit_window(self, attempt: Attempt) -> None:
        if attempt.ending == "answered":
            self._window = min(self._window * 2, self._settings.max_in_flight)
        else:
            self._window, self._slice_until_s = 1, 0.0

    def _heed(self, decision: Decision) -> None:
        if decision.outcome == "disabled":
            self._stopping = True
        if decision.pause_until is not None:
            self._pause_until = max(self._pause_until or decision.pause_until, decision.pause_until)

    def _remember_window(self) -> None:
        windows = self._sending.windows
        if len(windows) >= _WINDOWS_KEPT_MAX:
            windows.clear()
            self._sending.buckets.clear()
        windows[self.claim.lane_id] = self._window

    async def _give_back(self) -> datetime | None:
        """Release the lane, patiently: left alone it would wait for the end of its lease."""
        wait_s = 0.05
        while True:
            try:
                async with self._sending.pool.connection() as connection:
                    claim = self.claim
                    arguments = (claim.org_id, claim.lane_id, claim.fence, self._pause_until)
                    wake_at: datetime | None = await connection.fetchval(q.release_delivery_lane, *arguments)
                    return wake_at
            except TransientError:
                if monotonic() > self.lease_until_s:
                    return None
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, 1.0)


async def _send(destination: Destination, delivery: Delivery) -> Attempt:
    """One attempt; a fault of our own ends it as unknown: tried again, then dead, and never in its neighbours' way."""
    started_at = now()
    try:
        return await destination.send(delivery)
    except Exception as error:
        _log.error("delivery_attempt_failed", lane_id=str(delivery.destination_id), error=type(error).__name__)
        return Attempt("unknown", started_at, error="internal_error")
