"""Hold, release, pause and resume a source, by hand or by a maintenance window.

**Hold**: accept, answer and keep; process later, in order. **Pause**: do not accept; a listener answers as a hub that
is unable does (`unable_answers` of the source: by default it closes without an answer, so that the sender keeps its
queue), within REFRESH_S of channels/sources.py. A source stands still as long as there is any reason for it: a person's
and each window's are apart, so that the end of one ends no other.

What follows from a change (lanes to free, windows that begin or end) is done in rounds by the workers: `keep_holds`.
"""

import asyncio
import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog

from chartwire.channels.windows import HaltMode, Window, ends_of, next_change, spans_of
from chartwire.core import clock
from chartwire.core.access import Access
from chartwire.core.errors import ChartwireError, NotFoundError
from chartwire.core.ids import order_key_digest
from chartwire.events import lanes as lane_engine
from chartwire.store.pool import Connection, Pool, Row
from chartwire.store.queries import q

EVERY_S = 0.5
BY_HAND = UUID(int=0)
"""The `window_id` of what a person began."""

_ROUND = order_key_digest("chartwire", "holds")
_LANES_A_STEP, _MESSAGES_A_STEP = 200, 1_000
_NEVER = datetime(9999, 1, 1, tzinfo=UTC)
_LOOK_AGAIN = timedelta(seconds=30)
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Halt:
    """One reason why a source stands still. `window_id` is None for a person's."""

    mode: HaltMode
    reason: str
    actor: str
    since: datetime
    until: datetime | None
    window_id: UUID | None


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether a source stands still, and why."""

    source_id: UUID
    name: str
    on_hold: bool
    paused: bool
    halts: tuple[Halt, ...]


async def begin(tx: Connection, access: Access, source_id: UUID, mode: HaltMode, reason: str) -> Standing:
    """Let a source stand still. After a hold nothing of it is carried once this transaction has committed.

    Again it changes the reason only. Raises NotFoundError.
    """
    await tx.execute(q.lock_source, source_id)
    now = clock.now()
    await tx.execute(q.insert_halt, access.org, source_id, mode, BY_HAND, reason, access.actor, now, None)
    return await _applied(tx, access.org, source_id)


async def end(tx: Connection, access: Access, source_id: UUID, mode: HaltMode) -> Standing:
    """Take back what a person began; a window that covers this moment keeps the source still until its own end.

    Raises NotFoundError.
    """
    await tx.execute(q.lock_source, source_id)
    await tx.execute(q.delete_halt, access.org, source_id, mode, BY_HAND)
    standing = await _applied(tx, access.org, source_id)
    await look_at(tx, access.org)
    return standing


async def standing_of(tx: Connection, org: UUID, source_id: UUID) -> Standing:
    """Whether a source stands still, and why. Raises NotFoundError."""
    row = await tx.fetchrow(q.source_standing, org, source_id)
    if row is None:
        raise NotFoundError("this organisation has no source of this id", code="unknown_source")
    halts = tuple(map(_halt, await tx.fetch(q.halts_of_organisation, org, source_id)))
    return Standing(row["id"], row["name"], row["on_hold"], row["paused"], halts)


async def look_at(tx: Connection, org: UUID) -> None:
    """Have the rounds look at this organisation's holds and windows at once."""
    await tx.execute(q.schedule_holds, org, _ROUND, clock.now())


async def keep_holds(pool: Pool, engine: Pool, stop: asyncio.Event, *, every_s: float = EVERY_S) -> None:
    """Do the rounds until `stop`. Several processes may: each takes what is due and not taken."""
    while not stop.is_set():
        try:
            await keep_due_holds(pool, engine)
        except ChartwireError as error:
            _log.warning("holds_wait", code=error.code)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), every_s)


async def keep_due_holds(pool: Pool, engine: Pool) -> None:
    """One round: windows begin and end by now, and the lanes of what is released go on."""
    async with engine.connection() as connection:
        due = await connection.fetch(q.claim_due_holds, clock.now())
    for row in due:
        await keep(pool, row["org_id"], row["fence"])


async def keep(pool: Pool, org: UUID, fence: int) -> None:
    """Bring one organisation's sources to what is wanted now, free their lanes, and say when to look again."""
    now = clock.now()
    async with pool.transaction(org) as tx:
        windows = await windows_of(tx, org)
        await _apply_windows(tx, org, windows, now)
    while await _free_some(pool, org):
        pass
    following = next_change(windows, now) or _NEVER
    if any(spans_of(windows, now)):  # a source that is made meanwhile stands still too
        following = min(following, now + _LOOK_AGAIN)
    async with pool.transaction(org) as tx:
        await tx.execute(q.schedule_holds_next, org, _ROUND, fence, following)


async def windows_of(tx: Connection, org: UUID) -> list[Window]:
    """Every maintenance window of an organisation."""
    return [window_of(row) for row in await tx.fetch(q.windows_of_organisation, org)]


def window_of(row: Row) -> Window:
    """A window as the store has it."""
    return Window(row["id"], row["source_id"], row["mode"], row["starts_at"], row["ends_at"], row["weekly_zone"],
                  row["reason"])  # fmt: skip


async def _apply_windows(tx: Connection, org: UUID, windows: Iterable[Window], now: datetime) -> None:
    """Sources in order of their ids, as whoever locks several of them does."""
    by_id = {window.id: window for window in windows}
    begun = await tx.fetch(q.halts_of_organisation, org, None)
    for row in await tx.fetch(q.source_ids, org):
        source_id = row["id"]
        wanted = ends_of(by_id.values(), source_id, now)
        held = {halt["window_id"]: halt for halt in begun if halt["source_id"] == source_id}
        over = [halt for window_id, halt in held.items() if window_id != BY_HAND and window_id not in wanted]
        new = {window_id: until for window_id, until in wanted.items() if _differs(held.get(window_id), until)}
        if not over and not new:
            continue
        await tx.execute(q.lock_source, source_id)
        for halt in over:
            await tx.execute(q.delete_halt, org, source_id, halt["mode"], halt["window_id"])
        for window_id, until in new.items():
            window = by_id[window_id]
            await tx.execute(q.insert_halt, org, source_id, window.mode, window_id, window.reason, "window", now, until)
        await _applied(tx, org, source_id)


def _differs(halt: Row | None, until: datetime) -> bool:
    return halt is None or halt["until"] != until


async def _applied(tx: Connection, org: UUID, source_id: UUID) -> Standing:
    await tx.execute(q.apply_halts, org, source_id)
    return await standing_of(tx, org, source_id)


async def _free_some(pool: Pool, org: UUID) -> bool:
    """Some of the lanes and messages that nothing holds any more; False when there are none."""
    async with pool.transaction(org) as tx:
        lanes = [row["lane_id"] for row in await tx.fetch(q.lanes_to_free, org, _LANES_A_STEP)]
        if lanes:
            await lane_engine.lock(tx, lanes)
            await tx.execute(q.free_lanes, org, lanes)
            return True
    async with pool.transaction(org) as tx:
        return await tx.execute(q.unmark_released, org, _MESSAGES_A_STEP) != "UPDATE 0"


def _halt(row: Row) -> Halt:
    window_id = None if row["window_id"] == BY_HAND else row["window_id"]
    return Halt(row["mode"], row["reason"], row["actor"], row["since"], row["until"], window_id)
