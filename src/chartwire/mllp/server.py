"""The process role `listener`: intake, sources and every configured socket, from start to drained stop."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from chartwire.channels.intake import RETRY_S, Intake
from chartwire.channels.sources import REFRESH_S, SourceDirectory
from chartwire.mapping.convert import load_maps
from chartwire.mllp.fates import Fates
from chartwire.mllp.keeper import Keeper
from chartwire.mllp.listener import Listener
from chartwire.mllp.reception import Reception
from chartwire.mllp.settings import ListenerSettings
from chartwire.store.pool import Pool
from chartwire.store.wakeup import Notifier

_DRAIN_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class MllpSettings:
    """What the role needs: both database logins (direct addresses) and the sockets to open.

    `mapped` are the events that have a map (`ADT^A01`); None asks the shipped maps.
    """

    app_dsn: str
    engine_dsn: str
    listeners: tuple[ListenerSettings, ...]
    drain_s: float = _DRAIN_S
    refresh_s: float = REFRESH_S
    retry_s: float = RETRY_S
    mapped: frozenset[str] | None = None


class MllpServer:
    """Everything between the sockets and the inbox, in one process."""

    def __init__(self, settings: MllpSettings) -> None:
        self._settings = settings
        mapped = frozenset(load_maps().events) if settings.mapped is None else settings.mapped
        self._pool = Pool(settings.app_dsn, size=4)
        self._engine_pool = Pool(settings.engine_dsn, size=1)
        self._notifier = Notifier(settings.app_dsn)
        self.directory = SourceDirectory(self._pool, self._engine_pool, refresh_s=settings.refresh_s)
        self.intake = Intake(self._pool, self._notifier, metric_events=mapped, retry_s=settings.retry_s)
        self._fates = Fates(self._pool)
        self._keeper = Keeper(self._pool)
        self._listeners = [
            Listener(one, Reception(one.name, self.directory, self.intake, self._fates, self._keeper, mapped))
            for one in settings.listeners
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
        await asyncio.gather(*(listener.close(self._settings.drain_s) for listener in self._listeners))
        await self._keeper.close()
        await self.intake.close()
        await self._fates.close()
        await self.directory.close()
        await self._notifier.close()
        await self._pool.close()
        await self._engine_pool.close()


async def serve_listener(
    settings: MllpSettings, stop: asyncio.Event, *, ready: Callable[[Mapping[str, int]], None] | None = None
) -> None:
    """Serve until `stop` is set, then drain. `ready` is told the bound ports once every socket listens.

    Raises what MllpServer.start raises; whatever was started is closed before that.
    """
    server = MllpServer(settings)
    try:
        await server.start()
        if ready is not None:
            ready(server.ports)
        await stop.wait()
    finally:
        await server.close()
