"""Listeners that tests start, each drained at the end of its test."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
import uvloop
from tests.integration.mllp.hub import MAPPED, Hub, MakeHub

from chartwire.channels.sources import create_source
from chartwire.core.ids import uuid7
from chartwire.core.source import IdentifierRule, Source
from chartwire.mllp.server import MllpServer
from chartwire.mllp.settings import Bounds, ListenerSettings
from chartwire.store.pool import Pool


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop that listeners run on in production."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def make_hub(database: Any, pool: Pool, org_id: UUID) -> AsyncIterator[MakeHub]:
    """Start listeners: `await make_hub(bounds=..., listeners=..., ack_mode=...)`; all are drained at the end."""
    hubs: list[Hub] = []

    async def make(
        *, bounds: Bounds | None = None, listeners: tuple[ListenerSettings, ...] = (), source: bool = True,
        settings: dict[str, Any] | None = None, **fields: Any,
    ) -> Hub:  # fmt: skip
        own = Source(org_id, uuid7(), f"feed {len(hubs)}", "NORTH", identifiers=(IdentifierRule("*", "MR"),))
        own = replace(own, **fields)
        if source:
            await create_source(pool, own, "main")
        sockets = listeners or (ListenerSettings("main", port=0, bounds=bounds or Bounds()),)
        options = {"drain_s": 2.0, "mapped": MAPPED, **(settings or {})}
        server = MllpServer(database.app_dsn, database.engine_dsn, sockets, **options)
        await server.start()
        hubs.append(Hub(server, pool, org_id, own, []))
        return hubs[-1]

    yield make
    for hub in hubs:
        for sender in hub.senders:
            await sender.close()
        await hub.server.close()


@pytest.fixture
async def hub(make_hub: MakeHub) -> Hub:
    """A listener with one source that takes everyone and answers after the commit."""
    return await make_hub()
