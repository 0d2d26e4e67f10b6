"""What is kept of refused peers: a capped quarantine, and audit rows of senders that named another organisation."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final
from uuid import UUID

import structlog

from chartwire.channels.sources import INSTALLATION
from chartwire.core.clock import monotonic
from chartwire.core.errors import ChartwireError
from chartwire.core.limits import QUARANTINE_BYTES_PER_PEER_MAX, QUARANTINE_MESSAGES_PER_PEER_MAX
from chartwire.core.telemetry import Counter
from chartwire.store.background import Background
from chartwire.store.pool import Pool
from chartwire.store.queries import q

_QUEUE_MAX: Final = 64
_FULL_FOR_S: Final = 30.0
_FULL_PEERS_MAX: Final = 1024

QUARANTINED = Counter("chartwire_mllp_quarantined_total", "Messages of unknown peers", ("kept",))

Done = Callable[[ChartwireError | None], None]
_log = structlog.get_logger(__name__)


class Keeper:
    """One writer a process for what is not on the fast path. `Done` gets None, or why nothing could be written."""

    def __init__(
        self,
        pool: Pool,
        *,
        messages_per_peer: int = QUARANTINE_MESSAGES_PER_PEER_MAX,
        bytes_per_peer: int = QUARANTINE_BYTES_PER_PEER_MAX,
    ) -> None:
        self._pool = pool
        self._messages_per_peer = messages_per_peer
        self._bytes_per_peer = bytes_per_peer
        self._full_until: dict[str, float] = {}
        self._jobs: asyncio.Queue[tuple[Callable[[], Awaitable[None]], Done]] = asyncio.Queue(_QUEUE_MAX)
        self._background = Background(self._run)

    def start(self) -> None:
        """Begin writing in the running loop."""
        self._background.start()

    async def close(self) -> None:
        """Write what waits, then end."""
        if self._background.running:
            await self._jobs.join()
        await self._background.close()

    def quarantine(self, peer: str, reason: str, message_id: UUID, raw: bytes, done: Done) -> None:
        """Keep a message of an unknown peer (an IP address) as far as its caps allow; `done` comes either way."""
        if len(raw) > self._bytes_per_peer or self._full_until.get(peer, 0.0) > monotonic() or self._jobs.full():
            QUARANTINED.add(1, "no")
            asyncio.get_running_loop().call_soon(done, None)
            return
        self._jobs.put_nowait((lambda: self._quarantine(peer, reason, message_id, raw), done))

    def audit(self, org: UUID, actor: str, shape: str, message_id: UUID, done: Done) -> None:
        """Write that a sender of `org` was refused for naming another organisation."""

        async def write() -> None:
            async with self._pool.transaction(org) as tx:
                await tx.execute(q.audit_refused_sender, org, message_id, actor, shape, str(message_id))

        try:
            self._jobs.put_nowait((write, done))
        except asyncio.QueueFull:
            error = ChartwireError("too many refusals wait for their audit row", code="audit_queue_full")
            asyncio.get_running_loop().call_soon(done, error)

    async def _run(self) -> None:
        while True:
            write, done = await self._jobs.get()
            problem: ChartwireError | None = None
            try:
                await write()
            except ChartwireError as error:
                _log.warning("refusal_not_kept", code=error.code)
                problem = error
            finally:
                self._jobs.task_done()
            done(problem)

    async def _quarantine(self, peer: str, reason: str, message_id: UUID, raw: bytes) -> None:
        async with self._pool.transaction(INSTALLATION) as tx:
            await tx.execute(q.lock_quarantine_peer, peer)
            kept = await tx.fetchval(
                q.quarantine_message, INSTALLATION, message_id, peer, reason, raw, self._messages_per_peer,
                self._bytes_per_peer,
            )  # fmt: skip
        QUARANTINED.add(1, "yes" if kept else "no")
        if kept is None:
            if len(self._full_until) >= _FULL_PEERS_MAX:
                self._full_until.clear()
            self._full_until[peer] = monotonic() + _FULL_FOR_S
