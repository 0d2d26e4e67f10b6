"""The API role: the services that the HTTP doors are handed."""

import asyncio
import contextlib
from typing import Any, Self
from uuid import UUID

from chartwire.api.services import ReplayMode
from chartwire.api.services import Services as ApiServices
from chartwire.app.knobs import Settings
from chartwire.app.metrics import Exporter
from chartwire.app.services import DatabaseAddress, Services, master_key
from chartwire.channels.replay import replay
from chartwire.core.access import Access
from chartwire.delivery import destinations
from chartwire.events.lanes import WAKE_CHANNEL
from chartwire.store.wakeup import Notifier
from chartwire.trust.audit import AuditTrail
from chartwire.trust.credentials import Credentials
from chartwire.trust.outbound import Outbound
from chartwire.trust.seal import Sealer


class Doors:
    """What the HTTP doors need from the other rooms, for one process."""

    def __init__(self, settings: Settings, process: str, shared: Services, address: DatabaseAddress) -> None:
        self._pool = shared.pool
        self._notifier = Notifier(address.app)
        self._door = Outbound()
        self._sealer = Sealer(master_key(settings))
        self._exporter = Exporter(settings.run_dir, process, shared.pool, shared.engine_pool)
        self.services = ApiServices(
            pool=shared.pool,
            credentials=Credentials(shared.pool),
            audit=AuditTrail(shared.pool),
            sealer=self._sealer,
            replay=self._replay,
            create_endpoint=self._create_endpoint,
            remove_endpoint=self._remove_endpoint,
            export_metrics=self._exporter,
        )
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._notifier.start()
        self._reading = asyncio.create_task(self._exporter.keep_reading())
        return self

    async def __aexit__(self, *exception: object) -> None:
        if self._reading is not None:
            self._reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reading
        await self._notifier.close()
        await self._door.close()

    async def _replay(self, access: Access, message_id: UUID, mode: ReplayMode) -> UUID:
        child = await replay(self._pool, access, message_id, mode=mode)
        self._notifier.notify(WAKE_CHANNEL)
        return child

    async def _create_endpoint(self, access: Access, name: str, url: str, event_types: list[str]) -> dict[str, Any]:
        draft = destinations.Draft(name, url, tuple(event_types) or ("*",))
        endpoint, secret = await destinations.create(self._pool, access, self._door, self._sealer, draft)
        return {"id": endpoint.id, "secret": secret}

    async def _remove_endpoint(self, access: Access, endpoint_id: UUID) -> None:
        async with self._pool.transaction(access.org) as tx:
            await destinations.disable(tx, access, endpoint_id)
