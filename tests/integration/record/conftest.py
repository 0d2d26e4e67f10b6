"""A feed with one source for the record's tests."""

from uuid import UUID

import pytest
from tests.integration.feed import Feed

from chartwire.store.pool import Pool


@pytest.fixture
async def feed(pool: Pool, engine_pool: Pool, org_id: UUID) -> Feed:
    return await Feed(pool, engine_pool, org_id).open()
