"""One listening socket and its connections."""

import asyncio
import contextlib
from typing import Final

import structlog

from chartwire.core.clock import monotonic
from chartwire.core.telemetry import Gauge
from chartwire.mllp.budget import Budget
from chartwire.mllp.connection import Connection
from chartwire.mllp.reception import Reception
from chartwire.mllp.settings import ListenerSettings
from chartwire.trust.certificates import LiveTls

_BACKLOG: Final = 512
_HANDSHAKE_TIMEOUT_S: Final = 10.0
_SWEEP_S: Final = 1.0

CONNECTIONS = Gauge("chartwire_mllp_connections", "Open connections", ("listener",))
_log = structlog.get_logger(__name__)


class Listener:
    """Accepts MLLP connections on one socket, plain or TLS, within the bounds of its settings."""

    def __init__(self, settings: ListenerSettings, reception: Reception) -> None:
        self.settings = settings
        self.reception = reception
        self.bounds = settings.bounds
        self.budget = Budget(settings.bounds.in_flight_bytes)
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.Task[None] | None = None
        self._tls: LiveTls | None = None
        self._emptied = asyncio.Event()

    async def start(self) -> None:
        """Listen. Raises OSError for an address in use and ssl.SSLError for unusable certificates."""
        tls = self._tls = LiveTls(self.settings.name, self.settings.tls) if self.settings.tls else None
        self._server = await asyncio.get_running_loop().create_server(
            lambda: Connection(self),
            self.settings.host,
            self.settings.port,
            backlog=_BACKLOG,
            reuse_port=self.settings.reuse_port or None,
            ssl=tls.context if tls else None,
            ssl_handshake_timeout=_HANDSHAKE_TIMEOUT_S if tls else None,
        )
        if tls is not None:
            tls.start()
        self._sweeper = asyncio.get_running_loop().create_task(self._sweep())
        _log.info("listening", listener=self.settings.name, port=self.port, tls=tls is not None)

    @property
    def port(self) -> int:
        """The port that is bound, 0 while none is."""
        sockets = self._server.sockets if self._server else ()
        return int(sockets[0].getsockname()[1]) if sockets else 0

    async def close(self, drain_s: float) -> None:
        """Accept no more, answer what was taken within `drain_s` seconds, close every connection."""
        if self._server is None:
            return
        self._server.close()
        self._emptied.clear()
        for connection in list(self._connections):
            connection.drain()
        if self._connections:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._emptied.wait(), drain_s)
        for connection in list(self._connections):
            connection.abort()
        if self._sweeper is not None:
            self._sweeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sweeper
        if self._tls is not None:
            await self._tls.close()
        self._server = None

    def opened(self, connection: Connection) -> bool:
        """Whether there is room for one more connection."""
        if self._server is None or len(self._connections) >= self.bounds.connections:
            return False
        self._connections.add(connection)
        CONNECTIONS.set(len(self._connections), self.settings.name)
        return True

    def closed(self, connection: Connection) -> None:
        """The connection is gone."""
        self._connections.discard(connection)
        if not self._connections:
            self._emptied.set()
        CONNECTIONS.set(len(self._connections), self.settings.name)

    async def _sweep(self) -> None:
        bounds = self.bounds
        every_s = min(_SWEEP_S, bounds.idle_timeout_s / 4, bounds.frame_timeout_s / 4, bounds.write_timeout_s / 4)
        while True:
            await asyncio.sleep(every_s)
            now_s = monotonic()
            for connection in list(self._connections):
                connection.sweep(now_s)
            self.budget.report()
