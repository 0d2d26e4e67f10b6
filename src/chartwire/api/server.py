"""The HTTP server: uvicorn on uvloop and httptools, started and ended by the composition root."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Generator
from dataclasses import dataclass

import uvicorn

from chartwire.api.asgi import make_app
from chartwire.api.services import Services
from chartwire.trust.certificates import LiveTls, TlsSettings

_KEEP_ALIVE_S = 75
_GRACE_S = 10
_IN_FLIGHT_MAX = 1_000
_BACKLOG = 1_024


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Where to listen. `shared` lets several processes listen on one port (SO_REUSEPORT). `port` 0 is any free one.
    With `tls` it speaks https only."""

    host: str = "127.0.0.1"
    port: int = 8080
    shared: bool = False
    grace_s: int = _GRACE_S
    tls: TlsSettings | None = None


class _Server(uvicorn.Server):
    """Leaves signals to the process that runs it, and tells when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listens = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then tell."""
        await super().startup(sockets)
        self.listens.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Captures none."""
        yield


async def serve_api(
    settings: ServerSettings, services: Services, stop: asyncio.Event, ready: Callable[[int], None] = lambda _: None
) -> None:
    """Serve until `stop` is set; requests in flight then have `grace_s` seconds. `ready` is told the port.

    Logs no access line: a URL may hold a name. Raises OSError when the address cannot be had, OSError or ssl.SSLError
    for certificates that do not serve.
    """
    tls = LiveTls("http", settings.tls) if settings.tls else None
    listening = _listen(settings)
    server = _Server(_configuration(services, settings, tls.context if tls else None))
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    if tls is not None:
        tls.start()
    try:
        if await _first(serving, server.listens):
            ready(listening.getsockname()[1])
            await _first(serving, stop)
    finally:
        server.should_exit = True
        await serving
        await services.audit.close()
        listening.close()
        if tls is not None:
            await tls.close()


async def _first(serving: asyncio.Task[None], event: asyncio.Event) -> bool:
    """Wait for the event or the server's end, whichever is first: whether it was the event."""
    waiting = asyncio.create_task(event.wait())
    await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    return event.is_set()


def _configuration(services: Services, settings: ServerSettings, tls: ssl.SSLContext | None) -> uvicorn.Config:
    return uvicorn.Config(
        make_app(services),
        http="httptools",
        loop="none",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=settings.grace_s,
        limit_concurrency=_IN_FLIGHT_MAX,
        ssl_context_factory=(lambda _config, _default: tls) if tls else None,
    )


def _listen(settings: ServerSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if settings.shared:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listening.bind((settings.host, settings.port))
        listening.listen(_BACKLOG)
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    return listening
