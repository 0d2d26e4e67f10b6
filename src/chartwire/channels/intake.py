"""The inbox: messages are committed here in groups, before anything answers for them.

One writer a process takes whatever has gathered, stores it by one call (one transaction, synchronous_commit on), and
tells each waiter after the commit. No timer: while one group is being written the next one gathers, so that a lone
message waits for nobody and a crowd shares one fsync. A crowd is on its way to the store before the waiters of the last
group are told: the store works while the answers leave.

**Once and only once.** The ledger (organisation, source, control id, body without MSH-7) decides. A resend stores
nothing and gets the ACK that the first one got. When the connection breaks during the commit nobody knows whether it
happened: the same messages are sent again under the same ids, and a message that finds its own id in the ledger had
been stored.

**Unable.** While the store is away a group is tried for `retry_s`; then its waiters are told (TransientError), and
until the store is back each further group gets one try. Where the store refuses a group for what stands in it, each
message is redone alone, so that none takes another one along.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple, Protocol
from uuid import UUID

import structlog

from chartwire.core.clock import monotonic
from chartwire.core.crashpoints import hit
from chartwire.core.errors import ChartwireError, TransientError
from chartwire.core.ids import uuid7
from chartwire.core.limits import (
    INTAKE_FLUSH_BYTES_MAX,
    INTAKE_FLUSH_MESSAGES_MAX,
    INTAKE_LEDGER_DAYS,
    MLLP_IN_FLIGHT_BYTES_MAX,
)
from chartwire.core.telemetry import Counter, Gauge, Histogram
from chartwire.store.pool import Connection, Pool
from chartwire.store.queries import q
from chartwire.store.wakeup import Notifier

WAKE_CHANNEL = "chartwire_lanes"
RETRY_S = 4.0
_RETRY_FIRST_S = 0.05
_RETRY_MAX_S = 0.5
_GATHER_ROUNDS_MAX = 4
_GATHER_MESSAGES = 16
_FORGET_MAX = 10_000
QUEUE_BYTES_MAX = 2 * MLLP_IN_FLIGHT_BYTES_MAX
_ARRIVAL_BYTES = 1024

Outcome = Literal["fresh", "resend", "reused"]

MESSAGES = Counter("chartwire_intake_messages_total", "Messages committed or known", ("event", "state", "outcome"))
FLUSHES = Histogram("chartwire_intake_flush_seconds", "One group commit")
FLUSH_MESSAGES = Histogram(
    "chartwire_intake_flush_messages", "Messages in one group commit", bounds=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
)
WAITING = Gauge("chartwire_intake_waiting_messages", "Messages that wait for their commit")
FAILURES = Counter("chartwire_intake_failures_total", "Group commits that failed", ("code",))

_log = structlog.get_logger(__name__)


class Arrival(NamedTuple):
    """One message as it is stored; the fields are the parameters of `intake_flush`, in their order.

    `id` is a uuid7 made on arrival: the message id and the correlation id of all that follows. `state` is received,
    filtered or dead. `partners` is an array literal of further lanes. `ack` are the unframed bytes that every resend
    will get, b'' where the answer is made after processing. `reuse_ack`, where given, refuses a message whose control
    id came before with another body.
    """

    org: UUID
    source: UUID
    id: UUID
    received_at: datetime
    state: Literal["received", "filtered", "dead"]
    event: str
    control_id: str
    body_hash: bytes
    mrn: str | None
    lane: UUID | None
    partners: str | None
    charset: str
    mode: str
    ack_code: str | None
    ack: bytes
    reuse_ack: bytes | None
    error_code: str | None
    error_location: str | None
    error_text: str | None
    raw: bytes


_MOSTLY_EMPTY = tuple(
    Arrival._fields.index(name) for name in ("partners", "reuse_ack", "error_code", "error_location", "error_text")
)


class Answer(NamedTuple):
    """What became of an arrival. For a resend `ack` and `message_id` are those of the first one."""

    outcome: Outcome
    ack: bytes
    message_id: UUID


class Door(Protocol):
    """Whoever waits for several messages at once, such as a connection."""

    def release(self) -> None:
        """Called once after each group in which some of its messages were told: now answer."""


class Ticket(Protocol):
    """Waits for one message."""

    @property
    def door(self) -> Door:
        """Whom to release after the group."""

    def settled(self, answer: Answer) -> None:
        """The message is durable. Must not raise."""

    def unable(self, error: ChartwireError) -> None:
        """It may or may not have been stored: promise nothing. Must not raise."""


class _Stored(NamedTuple):
    """A committed group and its answers."""

    batch: Sequence[tuple[Arrival, Ticket]]
    answers: Sequence[Answer]


class Intake:
    """The writer of one process. `metric_events` are the event names that may become metric labels."""

    def __init__(
        self,
        pool: Pool,
        notifier: Notifier,
        *,
        metric_events: frozenset[str] = frozenset(),
        retry_s: float = RETRY_S,
    ) -> None:
        self._pool = pool
        self._notifier = notifier
        self._metric_events = metric_events
        self._retry_s = retry_s
        self._queue: deque[tuple[Arrival, Ticket]] = deque()
        self._asked: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._able = True
        self._closing = False
        self._queued_bytes = 0

    def start(self) -> None:
        """Begin writing in the running loop."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Write what has gathered, then end. What is submitted from now on is told unable."""
        self._closing = True
        self._wake()
        task, self._task = self._task, None
        if task is not None:
            await task

    @property
    def waiting(self) -> int:
        """Messages submitted and not yet taken into a group."""
        return len(self._queue)

    def submit(self, arrival: Arrival, ticket: Ticket) -> None:
        """Take a message into the next group; `ticket` is told later, never from within this call.

        While more than QUEUE_BYTES_MAX wait (senders that come and go during an outage) it is told unable.
        """
        size = len(arrival.raw) + _ARRIVAL_BYTES
        if self._queued_bytes + size > QUEUE_BYTES_MAX:
            full = TransientError("too much waits for the store", code="intake_full")
            asyncio.get_running_loop().call_soon(self._tell_unable, [(arrival, ticket)], full)
            return
        self._queued_bytes += size
        self._queue.append((arrival, ticket))
        if self._asked is not None:
            self._wake()

    async def accept(self, arrival: Arrival) -> Answer:
        """`submit` for a caller with one message: returns after the commit. Raises TransientError when unable."""
        ticket = _FutureTicket()
        self.submit(arrival, ticket)
        return await ticket.future

    def _wake(self) -> None:
        asked, self._asked = self._asked, None
        if asked is not None and not asked.done():
            asked.set_result(None)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        stored: _Stored | None = None
        while self._queue or not self._closing:
            if not self._queue:
                self._asked = loop.create_future()
                await self._asked
                continue
            if stored is None:
                await self._gather()
            batch = self._take()
            WAITING.set(len(self._queue))
            if stored is not None:
                loop.call_soon(self._tell, stored)  # in the next turn: this one's writes come first, the group to store
            stored = await self._outcome(batch)
            if stored is not None and len(self._queue) < _GATHER_MESSAGES:
                self._tell(stored)
                stored = None
        self._task = None

    async def _gather(self) -> None:
        """Let the loop read what has come already: no wait, but one group for what would otherwise be several.

        Only up to a size at which a group's fixed cost hardly counts: the rest gathers while this one is written.
        """
        seen = 0
        for _ in range(_GATHER_ROUNDS_MAX):
            if not seen < len(self._queue) < _GATHER_MESSAGES:
                return
            seen = len(self._queue)
            await asyncio.sleep(0)

    def _take(self) -> list[tuple[Arrival, Ticket]]:
        queue = self._queue
        batch = [queue.popleft()]
        size = len(batch[0][0].raw)
        while queue and len(batch) < INTAKE_FLUSH_MESSAGES_MAX:
            size += len(queue[0][0].raw)
            if size > INTAKE_FLUSH_BYTES_MAX:
                break
            batch.append(queue.popleft())
        self._queued_bytes -= sum(len(arrival.raw) + _ARRIVAL_BYTES for arrival, _ in batch)
        return batch

    async def _outcome(self, batch: list[tuple[Arrival, Ticket]]) -> "_Stored | None":
        """What is to be told once this is stored; None where that failed, and whom it concerns has been told."""
        try:
            return _Stored(batch, await self._store([arrival for arrival, _ in batch]))
        except TransientError as error:
            self._tell_unable(batch, error)
        except Exception as error:  # whatever it is, the writer goes on: all later messages depend on it
            if len(batch) == 1:
                problem = error if isinstance(error, ChartwireError) else _unexpected(error)
                _log.error("message_not_storable", code=problem.code, message_id=str(batch[0][0].id))
                self._tell_unable(batch, problem)
                return None
            for one in batch:
                stored = await self._outcome([one])
                if stored is not None:
                    self._tell(stored)
        return None

    async def _store(self, arrivals: Sequence[Arrival]) -> list[Answer]:
        """Commit these and read the answers of resends, again and again while the store is away, for `retry_s`."""
        give_up = monotonic() + (self._retry_s if self._able else 0.0)
        pause_s = _RETRY_FIRST_S
        while True:
            try:
                answers = await self._store_once(arrivals)
            except TransientError as error:
                FAILURES.add(1, error.code)
                if monotonic() + pause_s > give_up:
                    self._able = False
                    raise
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, _RETRY_MAX_S)
            else:
                self._able = True
                return answers

    async def _store_once(self, arrivals: Sequence[Arrival]) -> list[Answer]:
        begun = monotonic()
        hit("intake.before_flush")
        async with self._pool.connection() as connection:
            rows = await connection.fetch(q.intake_flush, *_columns(arrivals))
            hit("intake.after_flush")
            answers = [Answer("fresh", arrival.ack, arrival.id) for arrival in arrivals]
            if rows:
                await _amend(connection, arrivals, answers, [(row[0] - 1, row[1]) for row in rows])
        FLUSHES.observe(monotonic() - begun)
        FLUSH_MESSAGES.observe(len(arrivals))
        self._notifier.notify(WAKE_CHANNEL)
        return answers

    def _tell(self, stored: "_Stored") -> None:
        doors: dict[Door, None] = {}
        told: dict[tuple[str, str, str], int] = {}
        for (arrival, ticket), answer in zip(*stored, strict=True):
            labels = arrival.event, arrival.state, answer.outcome
            told[labels] = told.get(labels, 0) + 1
            ticket.settled(answer)
            doors[ticket.door] = None
        for (event, state, outcome), count in told.items():
            MESSAGES.add(count, event if event in self._metric_events else "other", state, outcome)
        for door in doors:
            door.release()

    def _tell_unable(self, batch: Sequence[tuple[Arrival, Ticket]], error: ChartwireError) -> None:
        """Tell these, and what the same doors have submitted behind them: nothing may be stored before what was sent
        earlier on its connection, since the sender sends all of it again."""
        doors = dict.fromkeys(ticket.door for _, ticket in batch)
        behind = [one for one in self._queue if one[1].door in doors]
        self._queue = deque(one for one in self._queue if one[1].door not in doors)
        _log.warning("intake_unable", code=error.code, messages=len(batch) + len(behind))
        for _, ticket in (*batch, *behind):
            ticket.unable(error)
        for door in doors:
            door.release()


def _columns(arrivals: Sequence[Arrival]) -> list[tuple[Any, ...] | None]:
    """One array a parameter; None for one that holds nothing, which unnest reads as all null."""
    columns: list[tuple[Any, ...] | None] = list(zip(*arrivals, strict=True))
    for number in _MOSTLY_EMPTY:
        column = columns[number]
        if column is not None and column.count(None) == len(column):
            columns[number] = None
    return columns


async def _amend(
    connection: Connection, arrivals: Sequence[Arrival], answers: list[Answer], unusual: list[tuple[int, Outcome]]
) -> None:
    """Put in the answers of messages that were no plain new ones. Resends are read in a statement of their own, which
    sees what a concurrent group committed meanwhile."""
    resent = [position for position, outcome in unusual if outcome == "resend"]
    reused = [arrivals[position] for position, outcome in unusual if outcome == "reused"]
    for position, outcome in unusual:
        arrival = arrivals[position]
        if outcome == "reused":
            ack = arrival.ack if arrival.reuse_ack is None else arrival.reuse_ack
            answers[position] = Answer("reused", ack, arrival.id)
    await _note_reused(connection, [arrival for arrival in reused if arrival.reuse_ack is None])
    if not resent:
        return
    keys: list[tuple[Any, ...]] = [
        (arrivals[p].org, arrivals[p].source, arrivals[p].control_id, arrivals[p].body_hash) for p in resent
    ]
    rows = await connection.fetch(q.intake_answers, *zip(*keys, strict=True))
    if len(rows) != len(resent):
        raise TransientError("a resend's first message left the ledger meanwhile", code="ledger_expired")
    for row in rows:
        position = resent[row["position"] - 1]
        first = row["message_id"]
        outcome = "fresh" if first == arrivals[position].id else "resend"
        answers[position] = Answer(outcome, row["ack"], first)


async def _note_reused(connection: Connection, arrivals: Sequence[Arrival]) -> None:
    """One open case a source tells a person that its control ids come again with other messages. (Refused ones are dead
    letters.)"""
    if arrivals:
        rows = [(arrival.org, uuid7(), arrival.source, arrival.id) for arrival in arrivals]
        await connection.execute(q.note_reused_control_ids, *map(list, zip(*rows, strict=True)))


async def forget_resends(pool: Pool, org: UUID, at: datetime) -> int:
    """Drop the ledger's keys of one organisation that are older than INTAKE_LEDGER_DAYS at `at` (aware), a bounded
    number a call; answers how many. A later resend of such a message counts as a new one (architecture.md, Store)."""
    async with pool.transaction(org) as tx:
        tag = await tx.execute(q.expire_ledger, org, at - timedelta(days=INTAKE_LEDGER_DAYS), _FORGET_MAX)
    return int(tag.rpartition(" ")[2])


def _unexpected(error: Exception) -> ChartwireError:
    return ChartwireError(f"unexpected {type(error).__name__}", code="internal")


class _FutureTicket:
    """A ticket and door of one."""

    def __init__(self) -> None:
        self.future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.door: Door = self

    def settled(self, answer: Answer) -> None:
        with contextlib.suppress(asyncio.InvalidStateError):
            self.future.set_result(answer)

    def unable(self, error: ChartwireError) -> None:
        with contextlib.suppress(asyncio.InvalidStateError):
            self.future.set_exception(error)

    def release(self) -> None:
        """Nothing more to do: the future has woken the caller."""
