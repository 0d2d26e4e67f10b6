"""A server process with a sandbox's key, for clients that people use."""

import asyncio

import pytest
from tests.integration.api.hub import services_of
from tests.integration.api.server_process import server

from chartwire.core.access import Access
from chartwire.core.ids import uuid7
from chartwire.store.pool import Pool


@pytest.fixture(scope="module")
def running(postgres_server):
    """A FHIR server for the tests of a module: its base URL, and the database behind it."""
    database = postgres_server.create(migrated=True)
    with server(database.app_dsn) as (_, base):
        yield f"{base}/fhir/R4", database.app_dsn
    postgres_server.drop(database)


@pytest.fixture
def hub(running):
    """The base URL of a running FHIR server, and a key of an organisation that nobody else has."""
    base, dsn = running
    return base, key_of(dsn)


def key_of(dsn):
    """A key of a new sandbox that may do everything."""
    return asyncio.run(_key(dsn))


async def _key(dsn):
    pool, org = Pool(dsn, size=1), uuid7()
    async with pool.transaction(org) as tx:
        await tx.execute("insert into organisation (org_id, name, kind) values ($1, 'Sandbox', 'sandbox')", org)
        await tx.execute("insert into route (kind, org_id) values ('organisation', $1)", org)
    operator = Access(org, "cli:test", "HOPERAT", frozenset({"*"}))
    issued = await services_of(pool, None).credentials.create(operator, name="clients", scopes=["*"])
    await pool.close()
    return issued.token
