"""One process role each as a coroutine: put together from the rooms below, run until told to end.

Each imports its rooms when it runs, so that an idle process holds only what its role needs.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from chartwire.app.child import Order
from chartwire.app.ending import Ending
from chartwire.app.knobs import Settings
from chartwire.app.services import database_address, services

Ready = Callable[[dict[str, Any]], None]
Role = Callable[[Order, Settings, Ending, Ready], Awaitable[None]]


async def run_listener(order: Order, settings: Settings, ending: Ending, ready: Ready) -> None:
    """MLLP listeners: everything between a socket and the inbox."""
    from chartwire.app.listening import listener_settings
    from chartwire.mllp.server import serve_listener

    address = database_address(settings)
    async with _metrics(settings, order.process):
        sockets = listener_settings(settings, shared=int(order.extras.get("processes", 1)) > 1)
        await serve_listener(
            address.app, address.engine, sockets, ending.stop, ready=lambda ports: ready({"ports": dict(ports)})
        )


async def run_worker(order: Order, settings: Settings, ending: Ending, ready: Ready) -> None:
    """Messages from their lanes to the record, and deliveries to their destinations."""
    from chartwire.app.working import Workers

    address = database_address(settings)
    async with services(settings) as shared, _metrics(settings, order.process):
        await Workers(settings, order.process, shared, address).run(ending.stop, lambda: ready({}))


async def run_api(order: Order, settings: Settings, ending: Ending, ready: Ready) -> None:
    """The HTTP doors."""
    from chartwire.api.server import ServerSettings, serve_api
    from chartwire.app.answering import Doors
    from chartwire.app.listening import http_tls

    address, processes = database_address(settings), int(order.extras.get("processes", 1))
    async with (
        services(settings) as shared,
        _metrics(settings, order.process),
        Doors(settings, order.process, shared, address, processes, ending.leaving.is_set) as doors,
    ):
        grace_s = int(settings.stop_timeout_s / 2)
        server = ServerSettings(settings.http_host, settings.http_port, processes > 1, grace_s, http_tls(settings))
        await serve_api(server, doors.services, ending.stop, lambda port: ready({"port": port}))


async def run_backup(order: Order, settings: Settings, ending: Ending, ready: Ready) -> None:
    """The embedded database's log and base backups into `backup_dir`; `order.extras` has the administrator's DSN."""
    from chartwire.app.backup.keeper import Keeper

    async with _metrics(settings, order.process):
        await Keeper(settings, order.extras["admin_dsn"]).run(ending.stop, lambda: ready({}))


async def run_sink(order: Order, _settings: Settings, ending: Ending, ready: Ready) -> None:
    """The sandbox's webhook receiver."""
    from simulators.webhook_sink import WebhookSink

    sink = await WebhookSink([order.extras["secret"]]).serve("127.0.0.1", order.extras["port"])
    ready({"url": sink.url})
    await ending.stop.wait()
    await sink.close()


ROLES: dict[str, Role] = {
    "listener": run_listener,
    "worker": run_worker,
    "api": run_api,
    "backup": run_backup,
    "sink": run_sink,
}


@contextlib.asynccontextmanager
async def _metrics(settings: Settings, process: str) -> AsyncIterator[None]:
    from chartwire.app.snapshots import keep_writing

    writer = asyncio.create_task(keep_writing(settings.run_dir, process))
    try:
        yield
    finally:
        writer.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await writer
