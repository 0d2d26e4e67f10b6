"""What became of messages after the commit: for answers that wait for processing.

One task looks, for all that wait at once, every POLL_S; with nobody waiting it sleeps.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import structlog

from chartwire.core.clock import monotonic
from chartwire.core.errors import ChartwireError
from chartwire.store.background import Background
from chartwire.store.pool import Connection, Pool, Row
from chartwire.store.queries import q

POLL_S = 0.02
_log = structlog.get_logger(__name__)


class Fate(NamedTuple):
    """The end of a message's processing: its state and, for a dead letter, code, place and text of the fault."""

    state: str
    error_code: str | None
    error_location: str | None
    error_text: str | None
    settled_at: datetime


class LedgerKey(NamedTuple):
    """Where the ledger keeps the answer of a message."""

    source: UUID
    control_id: str
    body_hash: bytes


@dataclass(eq=False, slots=True)
class Watch:
    """One wait. `build` makes the unframed answer, which is written to the ledger where `key` is given; `told` gets
    the answer that the ledger then holds, or None at the deadline (seconds of `core.clock.monotonic`). Neither may
    raise."""

    org: UUID
    message_id: UUID
    deadline: float
    build: Callable[[Fate], bytes]
    told: Callable[[bytes | None], None]
    key: LedgerKey | None = None


class Fates:
    """All waits of one process."""

    def __init__(self, pool: Pool, *, poll_s: float = POLL_S) -> None:
        self._pool = pool
        self._poll_s = poll_s
        self._watches: dict[Watch, None] = {}
        self._asked = asyncio.Event()
        self._background = Background(self._run)

    def start(self) -> None:
        """Begin looking in the running loop."""
        self._background.start()

    async def close(self) -> None:
        """Stop looking; who still waits is told None."""
        await self._background.close()
        self._give_up(list(self._watches))

    def watch(self, watch: Watch) -> None:
        """Take up a wait."""
        self._watches[watch] = None
        self._asked.set()

    async def _run(self) -> None:
        while True:
            await self._asked.wait()
            by_org: dict[UUID, list[Watch]] = {}
            for watch in self._watches:
                by_org.setdefault(watch.org, []).append(watch)
            for org, watches in by_org.items():
                await self._look(org, watches)
            now = monotonic()
            self._give_up([watch for watch in self._watches if watch.deadline <= now])
            if not self._watches:
                self._asked.clear()
            else:
                await asyncio.sleep(self._poll_s)

    async def _look(self, org: UUID, watches: Sequence[Watch]) -> None:
        try:
            async with self._pool.transaction(org) as tx:
                rows = await tx.fetch(q.settled_messages, org, list({watch.message_id for watch in watches}))
                found = {row["id"]: row for row in rows}
                answers = [(watch, await _answer(tx, watch, found[watch.message_id]))
                           for watch in watches if watch.message_id in found]  # fmt: skip
        except ChartwireError as error:
            _log.warning("fates_not_read", code=error.code)
            return
        for watch, answer in answers:
            if self._watches.pop(watch, watch) is None:
                watch.told(answer)

    def _give_up(self, watches: Sequence[Watch]) -> None:
        for watch in watches:
            del self._watches[watch]
            watch.told(None)


async def _answer(tx: Connection, watch: Watch, row: Row) -> bytes:
    answer = watch.build(
        Fate(row["state"], row["error_code"], row["error_location"], row["error_text"], row["settled_at"])
    )
    if watch.key is None:
        return answer
    stored: bytes | None = await tx.fetchval(q.ledger_ack, watch.org, *watch.key, answer)
    return stored or answer
