"""The API role: the services that the HTTP doors are handed."""

import asyncio
import contextlib
import os
from collections.abc import Callable
from functools import partial
from typing import Self

from chartwire.api.clients import Clients
from chartwire.api.fhir.carriers import Carriers
from chartwire.api.limits import BATCH_ITEMS_PER_UNIT, LimitClass, Limits, Quotas
from chartwire.api.services import Services as ApiServices
from chartwire.app.bundling import open_carrier
from chartwire.app.installation import Gate
from chartwire.app.knobs import Settings
from chartwire.app.listening import listener_names
from chartwire.app.metrics import Exporter
from chartwire.app.services import DatabaseAddress, Services, idempotency_kept_s, master_key
from chartwire.events.lanes import WAKE_CHANNEL
from chartwire.mllp.verdicts import preview
from chartwire.store.wakeup import Notifier
from chartwire.trust.audit import AuditTrail
from chartwire.trust.credentials import Credentials
from chartwire.trust.outbound import Outbound
from chartwire.trust.seal import Sealer


class Doors:
    """What the HTTP doors need from the other rooms, for one process."""

    def __init__(
        self,
        settings: Settings,
        process: str,
        shared: Services,
        address: DatabaseAddress,
        processes: int = 1,
        leaving: Callable[[], bool] = lambda: False,
    ) -> None:
        self._pool = shared.pool
        self._notifier = Notifier(address.app)
        self._gate = Gate(shared.pool, settings.installation_fingerprint)
        self._door = Outbound(armed=self._gate)
        self._sealer = Sealer(master_key(settings))
        self._carriers = Carriers(partial(open_carrier, settings, process, os.getpid()))
        self._exporter = Exporter(settings.run_dir, process, shared.pool, shared.engine_pool)
        self.services = ApiServices(
            pool=shared.pool,
            credentials=Credentials(shared.pool),
            audit=AuditTrail(shared.pool),
            sealer=self._sealer,
            outbound=self._door,
            wake=lambda: self._notifier.notify(WAKE_CHANNEL),
            export_metrics=self._exporter,
            preview_ack=preview,
            parked_kept_s=settings.parked_write_days * 86_400.0,
            idempotency_kept_s=idempotency_kept_s(settings),
            limits=Limits(_quotas(settings, processes)),
            clients=Clients(settings.trusted_proxies),
            base_url=settings.public_url,
            leaving=leaving,
            carriers=self._carriers,
            listeners=listener_names(settings),
        )
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._gate.start()
        self._notifier.start()
        self._reading = asyncio.create_task(self._exporter.keep_reading())
        return self

    async def __aexit__(self, *exception: object) -> None:
        if self._reading is not None:
            self._reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reading
        await self._carriers.close()
        await self._notifier.close()
        await self._door.close()
        await self._gate.close()


def _quotas(settings: Settings, processes: int) -> Quotas:
    per_minute: dict[LimitClass, float] = {
        "read": settings.api_reads_per_minute,
        "search": settings.api_searches_per_minute,
        "write": settings.api_writes_per_minute,
        "batch": settings.api_batch_items_per_minute / BATCH_ITEMS_PER_UNIT,
    }
    return Quotas(per_minute, settings.api_concurrent_requests, processes)
