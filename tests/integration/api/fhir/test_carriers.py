"""Large Bundles are carried by a process of their own."""

import asyncio
import contextlib
import multiprocessing
import os
import resource
import signal
from dataclasses import replace
from functools import partial

import pytest
from tests.integration.api.fhir.bundles import a_patient, batch, places, post, put, statuses, transaction
from tests.integration.api.hub import new_client, services_of

from chartwire.api.asgi import make_app
from chartwire.api.fhir.bundle import carrying
from chartwire.api.fhir.carriers import Carriers
from chartwire.api.table import FHIR
from chartwire.core.limits import BUNDLE_ENTRIES_LARGE, CARRIER_MEMORY_MAX
from chartwire.store.pool import Pool

LARGE = BUNDLE_ENTRIES_LARGE + 1
MEGABYTE = 1024 * 1024


@contextlib.asynccontextmanager
async def open_carrier(dsn):
    pool = Pool(dsn, size=2)
    yield carrying(FHIR, services_of(pool, None))


@pytest.fixture
async def carriers(database):
    opened = Carriers(partial(open_carrier, database.app_dsn))
    yield opened
    await opened.close()


@pytest.fixture
async def hub(services, carriers, org_id):
    """A client of an API that has carriers."""
    app = make_app(replace(services, carriers=carriers))
    return await new_client(services, app, org_id)


def carrier_pids():
    return {process.pid for process in multiprocessing.active_children()}


async def started(before):
    async with asyncio.timeout(30):
        while not (new := carrier_pids() - before):
            await asyncio.sleep(0.01)
    return new.pop()


def patients(count, **more):
    return [post(a_patient(f"M-{number}", **more)) for number in range(count)]


async def test_others_are_answered_while_a_carrier_stands_still_and_it_goes_on_then(hub):
    await hub.post("/fhir/R4", transaction(put(a_patient(id="one"))))
    before = carrier_pids()
    carried = asyncio.create_task(hub.post("/fhir/R4", transaction(*patients(LARGE))))
    carrier = await started(before)
    os.kill(carrier, signal.SIGSTOP)
    for _ in range(20):
        assert (await hub.get("/fhir/R4/Patient/one")).status == 200
    assert not carried.done()
    os.kill(carrier, signal.SIGCONT)
    reply = await carried
    assert statuses(reply) == ["201"] * LARGE
    assert (await hub.get(f"/fhir/R4/{places(reply)[-1]}")).status == 200


async def test_a_carrier_that_is_killed_leaves_nothing_half_done_and_the_next_bundle_gets_another(hub, record):
    before = carrier_pids()
    carried = asyncio.create_task(hub.post("/fhir/R4", transaction(*patients(LARGE))))
    os.kill(await started(before), signal.SIGKILL)
    reply = await carried
    assert reply.status == 503
    assert reply.json["issue"][0]["details"]["coding"][0]["code"] == "commit_unknown"
    async with record.pool.transaction(record.org) as tx:
        assert await tx.fetchval("select count(*) from resource") == 0
    assert (await hub.post("/fhir/R4", transaction(*patients(LARGE)))).status == 200


async def test_who_waits_for_a_carrier_that_is_killed_is_carried_by_the_next(hub):
    before = carrier_pids()
    carried = asyncio.create_task(hub.post("/fhir/R4", transaction(*patients(LARGE))))
    carrier = await started(before)
    os.kill(carrier, signal.SIGSTOP)
    waiting = [asyncio.create_task(hub.post("/fhir/R4", transaction(*patients(LARGE)))) for _ in range(2)]
    await asyncio.sleep(0.1)
    os.kill(carrier, signal.SIGKILL)
    assert (await carried).status == 503
    assert [(await reply).status for reply in waiting] == [200, 200]


async def test_what_a_carrier_refuses_is_refused_in_the_same_words_and_audited_once(hub, record):
    bad = transaction(*patients(LARGE), {"request": {"method": "DELETE", "url": "Nonsense/1"}})
    reply = await hub.post("/fhir/R4", bad)
    assert reply.status == 404
    assert reply.json["issue"][0]["expression"] == [f"Bundle.entry[{LARGE}]"]
    several = batch(*patients(LARGE), {"request": {"method": "GET", "url": "Patient/nobody"}})
    reply = await hub.post("/fhir/R4", several)
    assert statuses(reply) == ["201"] * LARGE + ["404"]
    rows = [row for row in await record.audit_rows() if row["query_shape"].startswith("POST /fhir/R4")]
    assert [row["row_count"] for row in rows] == [0, LARGE]


async def test_a_bundle_for_which_a_carrier_has_no_memory_is_refused_and_the_next_is_carried(hub):
    before = carrier_pids()
    assert (await hub.post("/fhir/R4", transaction(*patients(LARGE)))).status == 200
    carrier = (carrier_pids() - before).pop()
    assert resource.prlimit(carrier, resource.RLIMIT_DATA) == (CARRIER_MEMORY_MAX, CARRIER_MEMORY_MAX)
    resource.prlimit(carrier, resource.RLIMIT_DATA, (100 * MEGABYTE, CARRIER_MEMORY_MAX))
    hoard = b'{"resourceType":"Bundle","type":"transaction","entry":[' + b"[]," * (4 * MEGABYTE) + b"[]]}"
    reply = await hub.call("POST", "/fhir/R4", body=hoard, headers={"content-type": "application/fhir+json"})
    assert reply.status == 500
    assert (await hub.post("/fhir/R4", transaction(*patients(LARGE)))).status == 200
    assert carrier_pids() - before == {carrier}


async def test_a_small_bundle_starts_no_process(hub):
    before = carrier_pids()
    assert (await hub.post("/fhir/R4", transaction(*patients(3)))).status == 200
    assert carrier_pids() == before
