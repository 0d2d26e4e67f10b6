"""The worker role: intake lanes and delivery lanes in one process, woken by NOTIFY and by each other."""

import asyncio
from collections.abc import Callable
from uuid import UUID

from chartwire.alerts.notices import deliver_due
from chartwire.alerts.probes import PROBES
from chartwire.alerts.rounds import Rounds
from chartwire.app.installation import Gate
from chartwire.app.knobs import Settings
from chartwire.app.services import DatabaseAddress, Services, master_key
from chartwire.app.watching import Machine
from chartwire.channels.halts import keep_holds
from chartwire.channels.maintenance import keep_in_order
from chartwire.channels.path import Path
from chartwire.channels.reindexing import keep_indexed
from chartwire.channels.route import announce
from chartwire.channels.sources import SourceDirectory
from chartwire.channels.worker import IntakeWorker
from chartwire.core.source import Source
from chartwire.delivery.watch import EndpointWatch
from chartwire.delivery.worker import DeliveryWorker
from chartwire.events.lanes import WAKE_CHANNEL
from chartwire.mapping import load_maps
from chartwire.store.wakeup import Listener
from chartwire.trust.outbound import Outbound
from chartwire.trust.seal import Sealer


class SourcesById:
    """The directory's sources by id, built again only when the directory changed."""

    def __init__(self, directory: SourceDirectory) -> None:
        self._directory = directory
        self._version = -1
        self._by_id: dict[UUID, Source] = {}

    def __call__(self) -> dict[UUID, Source]:
        if self._version != self._directory.version:
            self._version = self._directory.version
            self._by_id = {source.id: source for source in self._directory.all}
        return self._by_id


class Workers:
    """Everything that one worker process runs."""

    def __init__(self, settings: Settings, process: str, shared: Services, address: DatabaseAddress) -> None:
        self._shared = shared
        self._directory = SourceDirectory(shared.pool, shared.engine_pool)
        self._gate = Gate(shared.pool, settings.installation_fingerprint)
        self._door = Outbound(armed=self._gate)
        sealer = Sealer(master_key(settings))
        self._delivery = DeliveryWorker(shared.pool, shared.engine_pool, self._door, sealer)
        self._watch = EndpointWatch(shared.pool, shared.engine_pool, self._door, sealer, announce)
        self._rounds = Rounds(
            shared.pool,
            shared.engine_pool,
            {**PROBES, **Machine(settings, shared, self._gate).probes},
            lambda org: deliver_due(shared.pool, org, self._door, sealer, base_url=settings.public_url),
        )
        path = Path(
            shared.pool,
            load_maps(),
            SourcesById(self._directory),
            f"worker:{process}",
            deliveries_made=self._delivery.wake,
        )
        self._intake = IntakeWorker(path, shared.engine_pool, lease_s=settings.intake_lease_s)
        self._listener = Listener(address.engine, WAKE_CHANNEL, self._wake_all)

    async def run(self, stop: asyncio.Event, ready: Callable[[], None]) -> None:
        """Work until `stop`; what is under way is finished."""
        await self._gate.start()
        await self._directory.refresh()
        self._directory.start()
        self._listener.start()
        ready()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._intake.run(stop))
                group.create_task(self._delivery.run(stop))
                group.create_task(self._watch.run(stop))
                group.create_task(self._rounds.run(stop))
                group.create_task(keep_holds(self._shared.pool, self._shared.engine_pool, stop))
                group.create_task(keep_in_order(self._shared.pool, self._shared.engine_pool, stop))
                group.create_task(keep_indexed(self._shared.pool, self._shared.engine_pool, stop))
        finally:
            await self._listener.close()
            await self._directory.close()
            await self._door.close()
            await self._gate.close()

    def _wake_all(self) -> None:
        self._intake.wake()
        self._delivery.wake()
        self._watch.wake()
