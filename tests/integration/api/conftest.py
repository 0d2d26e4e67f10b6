"""The API in process, over a real database, with every service that a running one has."""

import pytest
from tests.integration.api.hub import Record, new_client, services_of

from chartwire.api.asgi import make_app
from chartwire.trust.outbound import Outbound


@pytest.fixture
async def services(pool):
    door = Outbound()
    yield services_of(pool, door)
    await door.close()


@pytest.fixture
def app(services):
    return make_app(services)


@pytest.fixture
async def client(services, app, org_id):
    """A key of the first organisation that may do everything."""
    return await new_client(services, app, org_id)


@pytest.fixture
async def other_client(services, app, other_org_id):
    """A key of the other organisation that may do everything."""
    return await new_client(services, app, other_org_id)


@pytest.fixture
def record(pool, org_id):
    return Record(pool, org_id)


@pytest.fixture
def other_record(pool, other_org_id):
    return Record(pool, other_org_id)
