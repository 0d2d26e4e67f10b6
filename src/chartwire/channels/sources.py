"""Sources as configuration: JSON in the store, bound to a listener by name, read again by listeners every few seconds.

`route` tells which organisations and sources there are before an organisation is known (read as chartwire_engine);
everything else about a source stands behind row-level security and is read organisation by organisation.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

import structlog

from chartwire.channels.routing import check_sending
from chartwire.channels.source_store import stored_sources, to_json
from chartwire.core.errors import ChartwireError
from chartwire.core.ids import uuid7
from chartwire.core.source import Source
from chartwire.store.background import Background
from chartwire.store.pool import Pool
from chartwire.store.queries import q

OrganisationKind = Literal["live", "sandbox", "installation"]
INSTALLATION = UUID(int=0)
"""The organisation that holds what belongs to none: the quarantine of unknown peers."""

REFRESH_S = 3.0
_NO_SOURCE = UUID(int=0)
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Organisation:
    """One tenant. `kind` `live` refuses test and training messages (MSH-11 T, D)."""

    id: UUID
    name: str
    kind: OrganisationKind


@dataclass(frozen=True, slots=True)
class BoundSource:
    """A source and the name of the listener that it is bound to."""

    source: Source
    listener: str


async def create_organisation(pool: Pool, name: str, kind: OrganisationKind, *, org: UUID | None = None) -> UUID:
    """Make an organisation and its route; answers its id. With `org` given a second call changes nothing."""
    new = uuid7() if org is None else org
    async with pool.transaction(new) as tx:
        await tx.execute(q.insert_organisation, new, name, kind)
        await tx.execute(q.insert_route, "organisation", new, _NO_SOURCE, "")
    return new


async def ensure_installation(pool: Pool) -> UUID:
    """Make sure that the installation's own organisation exists; answers its id. Safe to call at every start."""
    return await create_organisation(pool, "Installation", "installation", org=INSTALLATION)


async def create_source(pool: Pool, source: Source, listener: str) -> None:
    """Store a source and bind it to a listener by name; listeners take it up within REFRESH_S seconds.

    Raises ConflictError where the organisation has a source of that name or id, ValidationError where `sending` names
    an unknown field.
    """
    check_sending(source)
    async with pool.transaction(source.org) as tx:
        await tx.execute(q.insert_source, source.org, source.id, source.name, to_json(source))
        await tx.execute(q.insert_route, "source", source.org, source.id, listener)


async def list_organisations(pool: Pool, engine_pool: Pool) -> list[Organisation]:
    """Every organisation, the installation's own included, by id."""
    async with engine_pool.connection() as connection:
        routes = await connection.fetch(q.list_routes)
    organisations = []
    for org in sorted({route["org_id"] for route in routes}):
        organisation = await _read_organisation(pool, org)
        if organisation is not None:
            organisations.append(organisation)
    return organisations


async def list_sources(pool: Pool, org: UUID) -> list[Source]:
    """The sources of one organisation, retired ones too, oldest first; `live` follows the organisation's kind."""
    async with pool.transaction(org) as tx:
        return [stored.source for stored in await stored_sources(tx, org, retired=True)]


async def _read_organisation(pool: Pool, org: UUID) -> Organisation | None:
    async with pool.transaction(org) as tx:
        row = await tx.fetchrow(q.list_organisation, org)
    return Organisation(row["org_id"], row["name"], row["kind"]) if row else None


class SourceDirectory:
    """All sources by listener, as last read. Reading is free; `start` keeps it fresh until `close`."""

    def __init__(self, pool: Pool, engine_pool: Pool, *, refresh_s: float = REFRESH_S) -> None:
        self._pool = pool
        self._engine_pool = engine_pool
        self._refresh_s = refresh_s
        self._by_listener: dict[str, tuple[Source, ...]] = {}
        self._all: tuple[Source, ...] = ()
        self._background = Background(self._run)
        self.version = 0
        """Rises whenever what the directory holds has changed."""

    def of(self, listener: str) -> tuple[Source, ...]:
        """The sources bound to a listener, in order of organisation and age."""
        return self._by_listener.get(listener, ())

    @property
    def all(self) -> tuple[Source, ...]:
        """Every source of every organisation."""
        return self._all

    async def refresh(self) -> None:
        """Read everything again. Raises TransientError when the store is away; what was read before stays."""
        bound = await self._load()
        by_listener: dict[str, tuple[Source, ...]] = {}
        for one in bound:
            by_listener[one.listener] = (*by_listener.get(one.listener, ()), one.source)
        everything = tuple(one.source for one in bound)
        if by_listener != self._by_listener or everything != self._all:
            self._by_listener, self._all = by_listener, everything
            self.version += 1

    def start(self) -> None:
        """Refresh every few seconds in the running loop."""
        self._background.start()

    async def close(self) -> None:
        """Stop refreshing."""
        await self._background.close()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._refresh_s)
            try:
                await self.refresh()
            except ChartwireError as error:
                _log.warning("sources_not_refreshed", code=error.code)

    async def _load(self) -> list[BoundSource]:
        async with self._engine_pool.connection() as connection:
            routes = await connection.fetch(q.list_routes)
        listeners = {(route["org_id"], route["source_id"]): route["listener"] for route in routes
                     if route["kind"] == "source"}  # fmt: skip
        bound: list[BoundSource] = []
        for org in sorted({org for org, _ in listeners}):
            bound += self._bind(await list_sources(self._pool, org), listeners)
        return bound

    @staticmethod
    def _bind(sources: Iterable[Source], listeners: dict[tuple[UUID, UUID], str]) -> list[BoundSource]:
        return [
            BoundSource(source, listeners[source.org, source.id])
            for source in sources
            if (source.org, source.id) in listeners
        ]
