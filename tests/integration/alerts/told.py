"""An organisation whose alerts reach real receivers on this machine."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from tests.integration.alerts.watched import Lamp, Watched

from chartwire.alerts import channel_store
from chartwire.alerts.channel_form import ChannelForm, completed
from chartwire.alerts.notices import deliver_due
from chartwire.alerts.observations import Observation
from chartwire.trust.outbound import Outbound
from chartwire.trust.seal import Sealer


@dataclass
class Told:
    """`lamp` is the thing that is watched (as a feed, rule `feed_silence`); `told` looks and sends what is due."""

    watched: Watched
    lamp: Lamp
    door: Outbound
    sealer: Sealer

    async def channel(self, name: str, kind: Any, settings: dict[str, Any], secrets: dict[str, str]) -> UUID:
        form, _ = completed(ChannelForm(name=name, kind=kind, settings=settings, secrets=secrets))
        async with self.watched.pool.transaction(self.watched.org) as tx:
            return (await channel_store.register(tx, self.watched.access, self.sealer, form)).id

    async def look(self, at: datetime, *, bad: bool, text: str = "ADT silent for 14 min") -> None:
        self.lamp.things = [Observation("source:adt", 840.0, text, bad=bad)]
        await self.watched.look(at)

    async def deliver(self, at: datetime, *, base_url: str = "https://hub.example") -> None:
        watched = self.watched
        await deliver_due(watched.pool, watched.org, self.door, self.sealer, base_url=base_url, clock=lambda: at)

    async def states(self) -> list[tuple[str, str, int, str | None]]:
        """(kind, state, attempts, error) of every notice, in the order in which they were written."""
        rows = await self.watched.rows("select kind, state, attempts, error from alert_notice order by id")
        return [(row["kind"], row["state"], row["attempts"], row["error"]) for row in rows]
