"""The API in process, over a real database, with every service that a running one has."""

import pytest
from tests.integration.api.hub import Record, new_client

from chartwire.api.asgi import make_app
from chartwire.api.services import Services
from chartwire.mllp.verdicts import preview
from chartwire.trust.audit import AuditTrail
from chartwire.trust.credentials import Credentials
from chartwire.trust.outbound import Outbound
from chartwire.trust.seal import Sealer


@pytest.fixture
async def services(pool):
    door = Outbound()
    sealer = Sealer(bytes(range(32)))

    yield Services(
        pool=pool,
        credentials=Credentials(pool),
        audit=AuditTrail(pool),
        sealer=sealer,
        outbound=door,
        preview_ack=preview,
    )
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
