"""Endpoints at a real sink, and a worker in this process."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
import uvloop
from tests.integration.delivery.clinic import Clinic

from chartwire.core.access import Access
from chartwire.core.ids import uuid7
from chartwire.delivery.worker import DeliveryWorker
from chartwire.store.pool import Pool
from chartwire.trust.outbound import Outbound
from chartwire.trust.seal import Sealer
from simulators.webhook_sink import WebhookSink


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """As in production."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def clinic(pool: Pool, engine_pool: Pool) -> AsyncIterator[Clinic]:
    org = uuid7()
    async with pool.transaction(org) as tx:
        await tx.execute("insert into organisation (org_id, name, kind) values ($1, 'Birch practice', 'sandbox')", org)
    door = Outbound()
    yield Clinic(pool, engine_pool, door, Sealer(b"k" * 32), Access(org, "test", "HOPERAT", frozenset("*")))
    await door.close()


@pytest.fixture
async def sink() -> AsyncIterator[WebhookSink]:
    receiver = await WebhookSink().serve()
    yield receiver
    await receiver.close()


@pytest.fixture
def worker_of() -> Callable[..., DeliveryWorker]:
    def make(clinic: Clinic, *, timeout_s: float = 2.0, lease_s: float = 20.0, **options: int) -> DeliveryWorker:
        return DeliveryWorker(
            clinic.pool, clinic.engine, clinic.door, clinic.sealer, timeout_s=timeout_s, lease_s=lease_s, **options
        )

    return make
