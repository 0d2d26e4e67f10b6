"""Many writers at once, over two APIs with connections of their own, and a feed beside them."""

import asyncio

import pytest
from tests.integration.api.fhir.bundles import MRN, a_patient, an_observation, post, put, statuses, transaction
from tests.integration.api.hub import new_client, services_of
from tests.integration.feed import Feed, hl7, pid
from tests.integration.record.fhir_index_checks import assert_index_is_right

from chartwire.api.asgi import make_app
from chartwire.store.pool import Pool

KNOWN = "identifier=urn:x:number|M-1"


@pytest.fixture
async def clients(client, database, org_id):
    """One client each of two APIs."""
    pool = Pool(database.app_dsn, size=4)
    services = services_of(pool, None)
    yield client, await new_client(services, make_app(services), org_id)
    await pool.close()


async def versions(client, path):
    """The numbers of all versions, the newest first, and their resources."""
    history = (await client.get(f"{path}/_history?_count=1000")).json
    told = [entry["resource"] for entry in history["entry"]]
    return [int(resource["meta"]["versionId"]) for resource in told], told


async def test_a_hundred_conditional_creates_over_two_apis_make_one_resource(clients, pool, org_id):
    asked = [clients[n % 2].post("/fhir/R4/Patient", a_patient(), if_none_exist=KNOWN) for n in range(100)]
    replies = await asyncio.gather(*asked)
    assert sorted(reply.status for reply in replies) == [200] * 99 + [201]
    assert len({reply.headers["location"] for reply in replies}) == 1
    assert (await clients[0].get(f"/fhir/R4/Patient?{KNOWN}&_total=accurate")).json["total"] == 1
    await assert_index_is_right(pool, org_id)


async def test_conditional_creates_in_transactions_and_alone_make_one_resource(clients):
    bundle = transaction(post(a_patient(), ifNoneExist=KNOWN))
    alone = [clients[n % 2].post("/fhir/R4/Patient", a_patient(), if_none_exist=KNOWN) for n in range(10)]
    whole = [clients[n % 2].post("/fhir/R4", bundle) for n in range(10)]
    replies = await asyncio.gather(*alone, *whole)
    told = [str(reply.status) for reply in replies[:10]] + [statuses(reply)[0] for reply in replies[10:]]
    assert sorted(told) == ["200"] * 19 + ["201"]


async def test_of_writers_who_put_one_new_id_one_creates_and_the_others_write_its_next_versions(clients):
    def order(number, **headers):
        born = a_patient(id="new", birthDate=f"1984-02-{number + 1:02}")
        return clients[number % 2].put("/fhir/R4/Patient/new", born, **headers)

    replies = await asyncio.gather(*map(order, range(12)))
    assert sorted(reply.status for reply in replies) == [200] * 11 + [201]
    numbers, told = await versions(clients[0], "/fhir/R4/Patient/new")
    assert numbers == list(range(12, 0, -1))
    assert len({resource["birthDate"] for resource in told}) == 12


async def test_of_writers_who_want_an_id_to_be_new_one_is_served(clients):
    def order(number):
        born = a_patient(id="new", birthDate=f"1984-02-{number + 1:02}")
        return clients[number % 2].put("/fhir/R4/Patient/new", born, if_none_match="*")

    replies = await asyncio.gather(*map(order, range(8)))
    assert sorted(reply.status for reply in replies) == [201] + [412] * 7


async def test_transactions_over_the_same_patients_in_any_order_are_all_served(clients, pool, org_id):
    names = [f"p{number}" for number in range(4)]
    await clients[0].post("/fhir/R4", transaction(*(put(a_patient(name, id=name)) for name in names)))

    def order(number):
        turned = names[number % 4 :] + names[: number % 4]
        born = f"1984-03-{number + 1:02}"
        writes = [put(a_patient(name, id=name, birthDate=born)) for name in turned[:: -1 if number % 2 else 1]]
        seen = [post(an_observation(f"Patient/{name}")) for name in turned]
        return clients[number % 2].post("/fhir/R4", transaction(*writes, *seen))

    replies = await asyncio.gather(*map(order, range(16)))
    assert {reply.status for reply in replies} == {200}
    for name in names:
        numbers, told = await versions(clients[0], f"/fhir/R4/Patient/{name}")
        assert numbers == list(range(17, 0, -1))
        assert len({resource["birthDate"] for resource in told}) == 17
    await assert_index_is_right(pool, org_id)


async def test_a_feed_and_clients_write_one_patient_at_once_and_none_is_lost(clients, pool, engine_pool, org_id):
    feed = await Feed(pool, engine_pool, org_id).open()
    await feed.send(hl7("ADT^A04", pid("1001", f13="030 0", f30="N")))
    found = (await clients[0].get(f"/fhir/R4/Patient?identifier={MRN.removesuffix('_A')}|1001")).json["entry"][0]
    path = f"/fhir/R4/Patient/{found['resource']['id']}"
    await feed.store(*(hl7("ADT^A08", pid("1001", f13=f"030 {number}")) for number in range(1, 21)))

    async def order(number):
        patch = [{"op": "add", "path": "/multipleBirthInteger", "value": number}]
        return await clients[number % 2].send("PATCH", path, patch, content_type="application/json-patch+json")

    replies, _ = await asyncio.gather(asyncio.gather(*map(order, range(20))), feed.work())
    assert {reply.status for reply in replies} == {200}
    numbers, told = await versions(clients[0], path)
    assert numbers == list(range(41, 0, -1))
    phones = [point["value"] for resource in reversed(told) for point in resource["telecom"]]
    assert list(dict.fromkeys(phones)) == [f"030 {number}" for number in range(21)]
    assert {resource.get("multipleBirthInteger") for resource in told} == {None, *range(20)}
    await assert_index_is_right(pool, org_id)
