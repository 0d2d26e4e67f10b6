"""The process role `listener`: intake, sources and every configured socket, from start to drained stop."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from chartwire.channels.intake import RETRY_S, Intake
from chartwire.channels.sources import REFRESH_S, SourceDirectory
from chartwire.core import garbage
from chartwire.mapping import load_maps
from chartwire.mllp.fates import Fates
from chartwire.mllp.keeper import Keeper
from chartwire.mllp.listener import Listener
from chartwire.mllp.reception import Reception
from chartwire.mllp.settings import ListenerSettings
from chartwire.store.pool import Pool
from chartwire.store.wakeup import Notifier

DRAIN_S: Final = 10.0


class MllpServer:
    """Everything between the sockets and the inbox, in one process."""

    def __init__(
        self,
        app_dsn: str,
        engine_dsn: str,
        listeners: Sequence[ListenerSettings],
        *,
        mapped: frozenset[str] | None = None,
        drain_s: float = DRAIN_S,
        refresh_s: float = REFRESH_S,
        retry_s: float = RETRY_S,
    ) -> None:
        """Both logins are direct addresses. `mapped` are the events that have a map; None asks the shipped maps."""
        if mapped is None:
            mapped = frozenset(load_maps().events)
        self._drain_s = drain_s
        self._pool = Pool(app_dsn, size=4)
        self._engine_pool = Pool(engine_dsn, size=1)
        self._notifier = Notifier(app_dsn)
        self.directory = SourceDirectory(self._pool, self._engine_pool, refresh_s=refresh_s)
        self.intake = Intake(self._pool, self._notifier, metric_events=mapped, retry_s=retry_s)
        self._fates = Fates(self._pool)
        self._keeper = Keeper(self._pool)
        self._listeners = [
            Listener(one, Reception(one.name, self.directory, self.intake, self._fates, self._keeper, mapped))
            for one in listeners
        ]

    async def start(self) -> None:
        """Read the sources, then listen. Raises TransientError without a store, OSError for an address in use."""
        await self.directory.refresh()
        self.directory.start()
        self._notifier.start()
        self.intake.start()
        self._fates.start()
        self._keeper.start()
        for listener in self._listeners:
            await listener.start()

    @property
    def ports(self) -> Mapping[str, int]:
        """The bound port of each listener, by name."""
        return {listener.settings.name: listener.port for listener in self._listeners}

    async def close(self) -> None:
        """Accept no more, finish and answer what was taken, close."""
        await asyncio.gather(*(listener.close(self._drain_s) for listener in self._listeners))
        await self._keeper.close()
        await self.intake.close()
        await self._fates.close()
        await self.directory.close()
        await self._notifier.close()
        await self._pool.close()
        await self._engine_pool.close()


async def serve_listener(
    app_dsn: str,
    engine_dsn: str,
    listeners: Sequence[ListenerSettings],
    stop: asyncio.Event,
    *,
    ready: Callable[[Mapping[str, int]], None] | None = None,
) -> None:
    """Serve until `stop` is set, then drain. `ready` is told the bound port of each listener once all of them listen.

    Raises what MllpServer.start raises; whatever was started is closed before that.
    """
    server = MllpServer(app_dsn, engine_dsn, listeners)
    try:
        await server.start()
        garbage.settle()
        if ready is not None:
            ready(server.ports)
        await stop.wait()
    finally:
        await server.close()
