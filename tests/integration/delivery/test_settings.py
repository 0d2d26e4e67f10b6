"""What an owner told an endpoint to be like holds when deliveries go out."""

import orjson
from tests.integration.delivery.clinic import until, working

from chartwire.channels.route import announce
from chartwire.core.clock import now
from chartwire.core.ids import uuid7
from chartwire.delivery import destinations
from chartwire.delivery.destinations import Draft
from chartwire.delivery.payload import webhook_id
from chartwire.delivery.settings import EndpointSettings, RateLimit
from chartwire.events.outbox import Event
from simulators.webhook_sink import Behaviour


async def endpoint_with(clinic, url, headers=None, **settings):
    draft = Draft("set up", url, settings=EndpointSettings(**settings), headers=headers or {})
    return (await destinations.create(clinic.pool, clinic.access, clinic.door, clinic.sealer, draft))[0]


async def test_an_endpoint_gets_no_more_a_second_than_it_asked_for_and_its_burst_once(clinic, sink, worker_of) -> None:
    limit = RateLimit(per_second=20, burst=5)
    endpoint = await endpoint_with(clinic, sink.url + "/hook", rate_limit=limit)
    await clinic.happen(endpoint, count=30)
    async with working(worker_of(clinic)):
        await until(lambda: len(sink.received) == 30)
    times = [one.received_at for one in sink.received]
    assert all(times[end] - times[start] >= (end - start - limit.burst) / 20 - 0.05 for start in range(30)
               for end in range(start + 1, 30))  # fmt: skip
    assert max(sink.attempts.values()) == 1


async def test_a_slow_rate_gives_the_lane_back_meanwhile(clinic, sink, worker_of) -> None:
    slow = await endpoint_with(clinic, sink.url + "/slow", rate_limit=RateLimit(per_second=0.5))
    await clinic.happen(slow, count=3)
    async with working(worker_of(clinic, lanes_max=1)):
        await until(lambda: len(sink.received) == 1)
        good, _ = await clinic.endpoint(sink.url + "/good")
        await clinic.happen(good)
        await until(lambda: [one.path for one in sink.received] == ["/slow", "/good"], 1.9)
    [lane] = await clinic.rows("select owner, not_before > now() as held from lane where lane_id = $1", slow.id)
    assert tuple(lane) == (None, True)


async def test_no_more_requests_are_open_at_once_than_an_endpoint_allows(clinic, sink, worker_of) -> None:
    endpoint = await endpoint_with(clinic, sink.url + "/hook?delay_ms=30", max_in_flight=2)
    await clinic.happen(endpoint, count=30)
    async with working(worker_of(clinic)):
        await until(lambda: len(sink.received) == 30)
    assert sink.connections_made <= 2


async def test_an_endpoint_waits_for_its_answer_as_long_as_its_owner_said(clinic, sink, worker_of) -> None:
    endpoint = await endpoint_with(clinic, sink.url + "/hook?delay_ms=1300", timeout_s=1.0, schedule=(600.0,))
    patient = await endpoint_with(clinic, sink.url + "/patient?delay_ms=1300", timeout_s=5.0)
    await clinic.happen(endpoint, patient)
    async with working(worker_of(clinic, timeout_s=5.0)):
        await until(lambda: _is(clinic, endpoint, "unknown"))
        await until(lambda: _is(clinic, patient, "delivered"))
    [row] = await clinic.rows("select duration_ms, error from delivery_attempt where destination_id = $1", endpoint.id)
    assert row["error"] == "timeout" and 950 <= row["duration_ms"] < 1300


async def test_a_schedule_of_its_own_decides_waits_and_when_a_delivery_is_dead(clinic, sink, worker_of) -> None:
    endpoint = await endpoint_with(clinic, sink.url + "/hook?status=500", schedule=(1.0,))
    await clinic.happen(endpoint)
    async with working(worker_of(clinic)):
        await until(lambda: _is(clinic, endpoint, "dead"))
    first, second = [one.received_at for one in sink.received]
    assert 0.75 < second - first < 1.6


async def test_further_headers_go_along_and_only_the_newest_secret_signs_where_the_owner_says(
    clinic, sink, worker_of
) -> None:
    endpoint = await endpoint_with(clinic, sink.url, {"X-Api-Key": "k-1"}, signatures="newest")
    async with clinic.pool.transaction(clinic.org) as tx:
        newest = await destinations.rotate_secret(tx, clinic.access, clinic.sealer, endpoint.id)
        stored = await tx.fetchval("select headers from destination")
    assert b"k-1" not in stored
    sink.add_secret(newest)
    await clinic.happen(endpoint)
    async with working(worker_of(clinic)):
        await until(lambda: len(sink.received) == 1)
    [one] = sink.received
    assert one.headers["x-api-key"] == "k-1" and one.headers["webhook-signature"].count("v1,") == 1 and one.verified


async def test_events_of_one_resource_come_in_order_where_the_owner_wants_it_and_others_do_not_wait(
    clinic, sink, worker_of
) -> None:
    endpoint = await endpoint_with(clinic, sink.url + "/hook", ordering="per_resource", schedule=(1.0, 1.0))
    failing, fine = uuid7(), uuid7()
    events = [
        Event("patient.updated", "Patient", resource, version, None, ("name",), None, "live")
        for version in range(1, 6)
        for resource in (failing, fine)
    ]
    original = sink.receive
    first = webhook_id(events[0].id)

    def receive(path, query, headers, body):
        answer = original(path, query, headers, body)
        return Behaviour(status=500) if headers["webhook-id"] == first and sink.attempts[first] == 1 else answer

    sink.receive = receive
    async with clinic.pool.transaction(clinic.org) as tx:
        await announce(tx, clinic.org, now(), events)
    async with working(worker_of(clinic)):
        await until(lambda: _is(clinic, endpoint, "delivered"))
    bodies = [orjson.loads(one.body) for one in sink.received]
    shown = {body["data"]["id"]: [each["sequence"] for each in bodies if each["data"] == body["data"] | {
        "version": each["data"]["version"]}] for body in bodies}  # fmt: skip
    assert sorted(shown.values()) == [[1, 1, 2, 3, 4, 5], [1, 2, 3, 4, 5]]
    done_fine = max(
        one.received_at
        for one, body in zip(sink.received, bodies, strict=True)
        if body["data"]["id"] != bodies[0]["data"]["id"]
    )
    assert done_fine < sink.received[-1].received_at


async def test_a_replay_of_much_delays_what_happens_now_by_little(clinic, sink, worker_of) -> None:
    endpoint = await endpoint_with(clinic, sink.url + "/hook", rate_limit=RateLimit(per_second=40))
    old = await clinic.happen(endpoint, count=100)
    async with clinic.pool.transaction(clinic.org) as tx:
        await tx.execute("update delivery set replay_id = $1", uuid7())
    async with working(worker_of(clinic)) as worker:
        await until(lambda: len(sink.received) >= 5)
        fresh = await clinic.happen(endpoint, count=15)
        worker.wake()
        await until(lambda: {webhook_id(one.id) for one in fresh} <= {one.id for one in sink.received}, 1.6)
        replayed = {webhook_id(one.id) for one in old}
        since = [one.id in replayed for one in sink.received][5:]
        assert True in since and len(sink.received) < 100
    assert all(one.headers["chartwire-replay"].startswith("rpl_") for one in sink.received if one.id in replayed)


async def _is(clinic, endpoint, wanted: str) -> bool:
    return set(await clinic.states(endpoint)) == {wanted}
