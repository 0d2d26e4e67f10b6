"""Wake-ups between processes: LISTEN on a direct connection, one coalesced NOTIFY after commit on another.

A wake-up carries no data and no promise. It may come twice or, when a process dies, never: whoever waits also looks by
itself every few seconds. NOTIFY stays out of the data's transaction, where it would serialise all commits.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from chartwire.core.errors import ChartwireError
from chartwire.store.background import Background
from chartwire.store.connect import RawConnection, connect
from chartwire.store.errors import DRIVER_ERRORS

_BACKOFF_FIRST_S = 0.05
_BACKOFF_MAX_S = 2.0
_KEEPALIVE_S = 30.0
_NOTIFY_EVERY_S = 0.004


class Listener:
    """Calls `callback` (quick, must not raise) for notifications on `channel`, once for all that came together.

    It is also called after every connect, since notifications in between are lost. `dsn` is a direct address: LISTEN
    does not pass a transaction pooler.
    """

    def __init__(self, dsn: str, channel: str, callback: Callable[[], None]) -> None:
        self._link = _Link(dsn, self._listen)
        self._channel = channel
        self._callback = callback
        self._scheduled = False

    def start(self) -> None:
        """Begin in the running loop; a server that is away now is tried again later."""
        self._link.start()

    async def close(self) -> None:
        """End, connection included."""
        await self._link.close()

    async def _listen(self, raw: RawConnection) -> None:
        broken = asyncio.Event()
        raw.add_termination_listener(lambda _: broken.set())
        await raw.add_listener(self._channel, self._heard)
        self._wake()
        while not broken.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(broken.wait(), _KEEPALIVE_S)
            if not broken.is_set():
                await raw.execute("select 1", timeout=_KEEPALIVE_S)

    def _heard(self, *_notification: object) -> None:
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._wake)

    def _wake(self) -> None:
        self._scheduled = False
        self._callback()


class Notifier:
    """Wakes the listeners of a channel: at once after a pause, in a stream every few milliseconds for what gathered.

    Each wake-up costs its listeners a look at the database, and looks that find one thing each cost most.
    """

    def __init__(self, dsn: str) -> None:
        self._link = _Link(dsn, self._send)
        self._pending: set[str] = set()
        self._asked = asyncio.Event()

    def start(self) -> None:
        """Begin in the running loop; a server that is away now is tried again later."""
        self._link.start()

    async def close(self) -> None:
        """End, connection included; what is still pending is dropped."""
        await self._link.close()

    def notify(self, channel: str) -> None:
        """Ask for a wake-up, after the commit that it is about. Returns at once; kept while the server is away."""
        self._pending.add(channel)
        self._asked.set()

    async def _send(self, raw: RawConnection) -> None:
        while True:
            await self._asked.wait()
            self._asked.clear()
            channels, self._pending = self._pending, set()
            try:
                await raw.execute("select pg_notify(c, '') from unnest($1::text[]) as c", sorted(channels))
            except BaseException:
                self._pending |= channels
                self._asked.set()
                raise
            await asyncio.sleep(_NOTIFY_EVERY_S)


class _Link:
    """A connection of its own, given to `use` again after each break, for as long as the task runs."""

    def __init__(self, dsn: str, use: Callable[[RawConnection], Awaitable[None]]) -> None:
        self._dsn = dsn
        self._use = use
        self._background = Background(self._run)

    def start(self) -> None:
        self._background.start()

    async def close(self) -> None:
        await self._background.close()

    async def _run(self) -> None:
        backoff_s = _BACKOFF_FIRST_S
        while True:
            try:
                raw = await connect(self._dsn)
            except ChartwireError:
                await asyncio.sleep(backoff_s)
                backoff_s = min(backoff_s * 2, _BACKOFF_MAX_S)
                continue
            backoff_s = _BACKOFF_FIRST_S
            try:
                await self._use(raw)
            except DRIVER_ERRORS:
                await asyncio.sleep(backoff_s)
            finally:
                raw.terminate()
