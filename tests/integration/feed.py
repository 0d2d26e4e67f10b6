"""A feed for tests: messages go through the real intake into lanes, and a real worker carries them."""

import asyncio
import itertools
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import orjson

from chartwire.channels.intake import Arrival, Intake
from chartwire.channels.path import Path
from chartwire.channels.routing import order_key
from chartwire.channels.sources import create_source
from chartwire.channels.worker import IntakeWorker
from chartwire.core.ids import uuid7
from chartwire.core.source import IdentifierRule, Source
from chartwire.formats.hl7v2 import read_envelope
from chartwire.mapping.convert import load_maps
from chartwire.store.pool import Pool
from chartwire.store.wakeup import Notifier

_control_ids = itertools.count(1)


def hl7(event: str, *segments: str, at: str = "20260301120000", control_id: str | None = None) -> bytes:
    """A message with its MSH; segments as text."""
    code, trigger = event.split("^")
    msh = f"MSH|^~\\&|ADM|HOSP|HUB|CW|{at}||{code}^{trigger}|{control_id or f'C{next(_control_ids)}'}|P|2.5.1"
    return "\r".join([msh, *segments, ""]).encode()


def pid(mrn: str = "1001", name: str = "Weber^Anna", born: str = "19800102", sex: str = "F", **fields: str) -> str:
    """A PID segment; further fields as `f13='...'`."""
    values = {3: f"{mrn}^^^HOSP^MR", 5: name, 7: born, 8: sex}
    values.update({int(key[1:]): value for key, value in fields.items()})
    return "PID|" + "|".join(values.get(number, "") for number in range(1, max(values) + 1))


class Feed:
    """One source of one organisation, with a worker of its own."""

    def __init__(self, pool: Pool, engine_pool: Pool, org: UUID, **settings: Any) -> None:
        self.pool, self.engine_pool, self.org = pool, engine_pool, org
        defaults = {"authority": "HOSP", "timezone": "Europe/Berlin", "name": f"feed-{uuid7()}"}
        self.source = Source(org=org, id=uuid7(), **(defaults | settings))
        self.sources = {self.source.id: self.source}
        self.path = Path(pool, load_maps(), lambda: self.sources, "worker:test")
        self.worker = IntakeWorker(self.path, engine_pool)

    async def open(self) -> "Feed":
        await create_source(self.pool, self.source, "test")
        return self

    async def other_source(self, **settings: Any) -> Source:
        """A second source of the same organisation, known to the same worker."""
        source = replace(self.source, id=uuid7(), name=f"feed-{uuid7()}", **settings)
        await create_source(self.pool, source, "test")
        self.sources[source.id] = source
        return source

    def change(self, **settings: Any) -> None:
        """Let the worker find other settings of the source. `identifiers` as (authority, type)."""
        if "identifiers" in settings:
            settings["identifiers"] = tuple(IdentifierRule(*pair) for pair in settings["identifiers"])
        self.source = self.sources[self.source.id] = replace(self.source, **settings)

    async def store(self, *messages: bytes, source: Source | None = None, mode: str = "live") -> list[UUID]:
        """Commit messages to the inbox in one group, in order; answers their ids."""
        arrivals = [self._arrival(message, source or self.source, mode) for message in messages]
        notifier = Notifier("postgresql://nobody@127.0.0.1:1/none")
        intake = Intake(self.pool, notifier)
        intake.start()
        answers = await asyncio.gather(*(intake.accept(arrival) for arrival in arrivals))
        await intake.close()
        return [answer.message_id for answer in answers]

    async def work(self, timeout_s: float = 30.0) -> None:
        """Let the worker carry everything that is in the lanes, until no job is left or none is ready."""
        stop = asyncio.Event()
        task = asyncio.create_task(self.worker.run(stop))
        try:
            async with asyncio.timeout(timeout_s):
                while await self._ready():
                    self.worker.wake()
                    await asyncio.sleep(0.01)
        finally:
            stop.set()
            await task

    async def send(self, *messages: bytes, source: Source | None = None, mode: str = "live") -> list[UUID]:
        """Store and carry."""
        ids = await self.store(*messages, source=source, mode=mode)
        await self.work()
        return ids

    async def rows(self, sql: str, *args: Any) -> list[dict[str, Any]]:
        """Rows of this organisation."""
        async with self.pool.transaction(self.org) as tx:
            return [dict(row) for row in await tx.fetch(sql, *args)]

    async def bodies(self, resource_type: str) -> list[dict[str, Any]]:
        """Current bodies of a type, oldest first."""
        rows = await self.rows("select body from resource where type = $1 order by id", resource_type)
        return [orjson.loads(row["body"]) for row in rows]

    async def body_of(self, mrn: str) -> dict[str, Any]:
        """The current body of the patient with this number."""
        found = [body for body in await self.bodies("Patient") if body["identifier"][0]["value"] == mrn]
        return found[0]

    async def body(self, resource_type: str) -> dict[str, Any]:
        """The one current body of a type."""
        [body] = await self.bodies(resource_type)
        return body

    async def states(self, *ids: UUID) -> list[tuple[str, str | None]]:
        """State and error code of messages."""
        rows = await self.rows("select id, state, error_code from message where id = any($1)", list(ids))
        found = {row["id"]: (row["state"], row["error_code"]) for row in rows}
        return [found[message_id] for message_id in ids]

    async def events(self) -> list[str]:
        """Types of all events in order."""
        return [row["type"] for row in await self.rows("select type from event order by xid, id")]

    async def reviews(self) -> list[dict[str, Any]]:
        """All reviews, oldest first."""
        rows = await self.rows("select kind, state, resource_type, detail from review order by id")
        return [row | {"detail": msgspec.json.decode(row["detail"])} for row in rows]

    async def _ready(self) -> bool:
        async with self.engine_pool.connection() as connection:
            return bool(
                await connection.fetchval(
                    "select exists (select 1 from lane where kind = 'intake' and (owner is not null"
                    " or (ready_at < 'infinity' and not_before <= now())))"
                )
            )

    def _arrival(self, message: bytes, source: Source, mode: str) -> Arrival:
        envelope = read_envelope(message)
        event = f"{envelope.message_code}^{envelope.trigger_event}"
        lanes = order_key(envelope, source, event)
        partners = "{" + ",".join(map(str, lanes.partners)) + "}" if lanes.partners else None
        return Arrival(
            org=self.org,
            source=source.id,
            id=uuid7(),
            received_at=datetime.now(UTC),
            state="received",
            event=event,
            control_id=envelope.control_id,
            body_hash=envelope.body_hash,
            mrn=lanes.mrn,
            lane=lanes.lane,
            partners=partners,
            charset=envelope.charset,
            mode=mode,
            ack_code="AA",
            ack=b"ack",
            reuse_ack=None,
            error_code=None,
            error_location=None,
            error_text=None,
            raw=message,
        )


ANY_MR = (IdentifierRule("*", "MR"), IdentifierRule("*", "PI"))
