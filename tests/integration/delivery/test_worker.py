"""Deliveries from the outbox to a real receiver that behaves, misbehaves and dies."""

import asyncio
from time import perf_counter

import orjson
import pytest
from standardwebhooks.webhooks import Webhook
from tests.integration.delivery.clinic import until, working

from chartwire.delivery import destinations
from chartwire.delivery.payload import webhook_id
from chartwire.events.lanes import Lanes
from chartwire.store.queries import q
from simulators.webhook_sink import Behaviour, WebhookSink


async def test_a_delivery_arrives_signed_with_the_stored_body_and_is_logged(clinic, sink, worker_of) -> None:
    endpoint, secret = await clinic.endpoint(sink.url + "/hook")
    sink.add_secret(secret)
    [event] = await clinic.happen(endpoint)
    async with working(worker_of(clinic)):
        await until(lambda: _all(clinic, endpoint, "delivered"))
    [received] = sink.received
    [row] = await clinic.rows("select body, attempts, finished_at from delivery")
    assert (received.id, received.verified, received.attempt) == (webhook_id(event.id), True, 1)
    assert received.body.encode() == row["body"] and received.correlation.startswith("msg_")
    assert row["attempts"] == 1 and row["finished_at"] is not None
    [attempt] = await clinic.rows("select number, outcome, status, duration_ms, response, error from delivery_attempt")
    assert tuple(attempt) == (1, "delivered", 200, attempt["duration_ms"], b"ok", None)
    [lane] = await clinic.rows("select ready_at::text, owner, attempts from lane where lane_id = $1", endpoint.id)
    assert tuple(lane) == ("infinity", None, 0)


async def test_a_signature_verifies_with_the_published_library_and_after_rotation_with_either_secret(
    clinic, sink, worker_of
) -> None:
    headers = []
    original = sink.receive
    sink.receive = lambda path, query, given, body: (headers.append((given, body)), original(path, query, given, body))[
        1
    ]
    endpoint, old = await clinic.endpoint(sink.url)
    async with clinic.pool.transaction(clinic.org) as tx:
        new = await destinations.rotate_secret(tx, clinic.access, clinic.sealer, endpoint.id)
    await clinic.happen(endpoint)
    async with working(worker_of(clinic)):
        await until(lambda: len(headers) == 1)
    given, body = headers[0]
    for secret in (old, new):
        assert Webhook(secret).verify(body, given) == orjson.loads(body)


async def test_an_unknown_outcome_is_its_own_state_and_is_resolved_by_the_same_id_and_body(
    clinic, sink, worker_of
) -> None:
    endpoint, secret = await clinic.endpoint(sink.url + "/hook?half=1&times=1")
    sink.add_secret(secret)
    [event] = await clinic.happen(endpoint)
    async with working(worker_of(clinic)):
        await until(lambda: _all(clinic, endpoint, "unknown"))
        await clinic.hurry()
        await until(lambda: _all(clinic, endpoint, "delivered"))
    first, second = sink.received
    assert (first.id, first.body) == (second.id, second.body) == (webhook_id(event.id), second.body)
    assert first.verified and second.verified
    log = await clinic.rows("select number, outcome, status, error from delivery_attempt order by number")
    assert [tuple(row) for row in log] == [(1, "unknown", 200, "closed"), (2, "delivered", 200, None)]


async def test_a_receiver_that_is_killed_and_comes_back_gets_everything(clinic, worker_of) -> None:
    sink = await WebhookSink().serve()
    endpoint, _ = await clinic.endpoint(sink.url + "/hook?delay_ms=300")
    port = sink.port
    await clinic.happen(endpoint, count=5)
    async with working(worker_of(clinic)):
        await until(lambda: len(sink.received) >= 1)
        await sink.close()
        await until(lambda: _all(clinic, endpoint, "unknown", "retrying"))
        assert "unknown" in await clinic.states(endpoint)
        returned = await WebhookSink().serve(port=port)
        await clinic.hurry()
        await until(lambda: _all(clinic, endpoint, "delivered"))
    assert {each.id for each in sink.received} <= {each.id for each in returned.received}
    assert len({each.id for each in returned.received}) == 5
    await returned.close()


async def test_a_hanging_endpoint_delays_nobody_else(clinic, sink, worker_of) -> None:
    hanging = [(await clinic.endpoint(f"{sink.url}/hang{number}?hang=1"))[0] for number in range(3)]
    good, _ = await clinic.endpoint(sink.url + "/good")
    await clinic.happen(*hanging, good, count=60)
    async with working(worker_of(clinic, timeout_s=3.0)):
        started = perf_counter()
        await until(lambda: _all(clinic, good, "delivered"), 2.9)
        took = perf_counter() - started
        await until(lambda: _some(clinic, hanging[0], "unknown"))
        await clinic.happen(good, count=5)
        await until(lambda: _all(clinic, good, "delivered"), 2.0)
    assert took < 2.9
    assert len([each for each in sink.received if each.path == "/hang0"]) < 10


async def test_more_hanging_endpoints_than_places_leave_half_of_the_places_to_others(clinic, sink, worker_of) -> None:
    hanging = [(await clinic.endpoint(f"{sink.url}/hang{number}?hang=1"))[0] for number in range(8)]
    good, _ = await clinic.endpoint(sink.url + "/good")
    await clinic.happen(*hanging, count=20)
    async with working(worker_of(clinic, timeout_s=1.5, lanes_max=4)) as worker:
        for endpoint in hanging:
            await until(lambda endpoint=endpoint: _some(clinic, endpoint, "unknown"))
        for _ in range(3):
            await clinic.happen(good)
            worker.wake()
            await until(lambda: _all(clinic, good, "delivered"), 1.2)


async def test_an_endpoint_that_answers_gets_more_at_once_up_to_its_cap_on_kept_connections(
    clinic, sink, worker_of
) -> None:
    endpoint, _ = await clinic.endpoint(sink.url + "/hook?delay_ms=50")
    await clinic.happen(endpoint, count=200)
    async with working(worker_of(clinic)):
        await until(lambda: _all(clinic, endpoint, "delivered"))
    assert 4 < sink.connections_made <= 32


async def test_an_endpoint_whose_secret_does_not_open_waits_alone(clinic, sink, worker_of) -> None:
    broken, _ = await clinic.endpoint(sink.url + "/broken")
    good, _ = await clinic.endpoint(sink.url + "/good")
    async with clinic.pool.transaction(clinic.org) as tx:
        await tx.execute("update destination set secrets = 'x' where id = $1", broken.id)
    await clinic.happen(broken, good, count=5)
    async with working(worker_of(clinic)):
        await until(lambda: _all(clinic, good, "delivered"))
        await asyncio.sleep(0.1)
    assert set(await clinic.states(broken)) == {"pending"}
    [lane] = await clinic.rows(
        "select owner, extract(epoch from not_before - now()) as held from lane where lane_id = $1", broken.id
    )
    assert lane["owner"] is None and 20 < lane["held"] <= 30


async def test_one_slow_answer_does_not_hold_the_other_deliveries_of_its_endpoint(clinic, sink, worker_of) -> None:
    endpoint, _ = await clinic.endpoint(sink.url + "/hook")
    [slow] = await clinic.happen(endpoint)
    original = sink.receive
    slow_id = webhook_id(slow.id)

    def receive(path, query, headers, body):
        answer = original(path, query, headers, body)
        return Behaviour(delay_ms=2500) if headers["webhook-id"] == slow_id else answer

    sink.receive = receive
    async with working(worker_of(clinic, timeout_s=4.0)) as worker:
        await until(lambda: len(sink.received) == 1)
        await clinic.happen(endpoint, count=300)
        worker.wake()
        started = perf_counter()
        await until(lambda: len(sink.received) == 301)
        assert perf_counter() - started < 2.4
        await until(lambda: _all(clinic, endpoint, "delivered"))
    assert max(sink.attempts.values()) == 1


async def test_410_disables_the_endpoint_and_what_is_open_waits_until_it_is_enabled_again(
    clinic, sink, worker_of
) -> None:
    endpoint, _ = await clinic.endpoint(sink.url + "/hook")
    sink.behaviours["/hook"] = Behaviour(status=410)
    await clinic.happen(endpoint)
    async with working(worker_of(clinic)) as worker:
        await until(lambda: _all(clinic, endpoint, "dead"))
        async with clinic.pool.transaction(clinic.org) as tx:
            shown = await destinations.read(tx, clinic.access, endpoint.id)
        assert (shown.state, shown.state_reason) == ("disabled", "gone")
        await clinic.happen(endpoint, count=2)
        worker.wake()
        await asyncio.sleep(0.3)
        assert len(sink.received) == 1
        sink.behaviours.clear()
        async with clinic.pool.transaction(clinic.org) as tx:
            await destinations.enable(tx, clinic.access, endpoint.id)
        worker.wake()
        await until(lambda: len(sink.received) == 3)
        await until(lambda: _count(clinic, endpoint, "delivered", 2))


async def test_retry_after_holds_every_delivery_of_the_endpoint(clinic, sink, worker_of) -> None:
    endpoint, _ = await clinic.endpoint(sink.url + "/hook?status=503&retry_after=60")
    await clinic.happen(endpoint)
    async with working(worker_of(clinic)) as worker:
        await until(lambda: _all(clinic, endpoint, "retrying"))
        await clinic.happen(endpoint, count=5)
        worker.wake()
        await asyncio.sleep(0.5)
    assert len(sink.received) == 1
    [row] = await clinic.rows(
        "select extract(epoch from min(next_attempt_at) filter (where attempts = 1) - now()) as wait,"
        " (select extract(epoch from not_before - now()) from lane where lane_id = $1) as held from delivery",
        endpoint.id,
    )
    assert 55 < row["wait"] <= 60 and 55 < row["held"] <= 60


async def test_a_failed_delivery_is_tried_again_by_itself_when_its_wait_is_over(clinic, sink, worker_of) -> None:
    endpoint, _ = await clinic.endpoint(sink.url + "/hook?status=500&times=1")
    await clinic.happen(endpoint)
    async with working(worker_of(clinic)):
        await until(lambda: _all(clinic, endpoint, "delivered"))
    first, second = sink.received
    assert 3.9 < second.received_at - first.received_at < 6.2


@pytest.mark.parametrize("behaviour", ["redirect=http://127.0.0.1:1/", "status=404", "reset=1"])
async def test_a_redirect_an_error_or_a_reset_is_no_delivery(clinic, sink, worker_of, behaviour) -> None:
    endpoint, _ = await clinic.endpoint(f"{sink.url}/hook?{behaviour}")
    await clinic.happen(endpoint)
    async with working(worker_of(clinic)):
        await until(lambda: _all(clinic, endpoint, "retrying", "unknown"))
    assert len(sink.received) == 1


async def test_a_gigabyte_in_answer_is_a_delivery_with_a_short_excerpt(clinic, sink, worker_of) -> None:
    endpoint, _ = await clinic.endpoint(sink.url + "/hook?huge=1")
    await clinic.happen(endpoint)
    async with working(worker_of(clinic)):
        await until(lambda: _all(clinic, endpoint, "delivered"))
    [row] = await clinic.rows("select octet_length(response) as length from delivery_attempt")
    assert row["length"] == 20_000


async def test_a_name_that_turned_to_an_inner_address_is_refused_for_good(clinic, sink, worker_of) -> None:
    endpoint, _ = await clinic.endpoint(sink.url + "/hook")
    async with clinic.pool.transaction(clinic.org) as tx:
        await tx.execute("update organisation set kind = 'live'")
    await clinic.happen(endpoint)
    async with working(worker_of(clinic)):
        await until(lambda: _all(clinic, endpoint, "dead"))
    [row] = await clinic.rows("select outcome, error, status from delivery_attempt")
    assert tuple(row) == ("dead", "address_loopback", None) and not sink.received


async def test_historical_events_are_never_delivered_even_where_a_delivery_row_was_made(
    clinic, sink, worker_of
) -> None:
    endpoint, _ = await clinic.endpoint(sink.url + "/hook")
    await clinic.happen(endpoint, count=3, mode="record-only")
    [live] = await clinic.happen(endpoint)
    async with working(worker_of(clinic)):
        await until(lambda: _count(clinic, endpoint, "dead", 3))
        await until(lambda: _count(clinic, endpoint, "delivered", 1))
    assert [each.id for each in sink.received] == [webhook_id(live.id)]


async def test_a_worker_that_lost_its_lane_records_nothing(clinic, sink, worker_of) -> None:
    endpoint, _ = await clinic.endpoint(sink.url + "/hook?delay_ms=600")
    await clinic.happen(endpoint)
    async with working(worker_of(clinic)):
        await until(lambda: len(sink.received) == 1)
        async with clinic.pool.transaction(clinic.org) as tx:
            await tx.execute("update lane set fence = fence + 1, owner = 1, lease_until = now() + interval '1 minute'")
        await asyncio.sleep(0.9)
        assert await clinic.states(endpoint) == ["pending"]
        assert await clinic.rows("select 1 from delivery_attempt") == []
    [lane] = await clinic.rows("select owner from lane")
    assert lane["owner"] == 1


async def test_an_attempt_is_recorded_once_whoever_tells_of_it(clinic) -> None:
    endpoint, _ = await clinic.endpoint("http://127.0.0.1:9/")
    [event] = await clinic.happen(endpoint)
    [claim] = await Lanes(clinic.engine, "delivery").claim()

    async def record(outcome: str) -> int:
        values = (
            clinic.org,
            event.id,
            endpoint.id,
            claim.fence,
            1,
            outcome,
            outcome,
            None,
            event_at,
            200,
            5,
            None,
            b"",
        )
        async with clinic.pool.transaction(None) as tx:
            return len(await tx.fetch(q.record_attempts, *[[value] for value in values]))

    event_at = (await clinic.rows("select created_at from delivery"))[0]["created_at"]
    assert [await record("delivered"), await record("dead")] == [1, 0]
    assert await clinic.states(endpoint) == ["delivered"]


async def test_two_workers_share_the_destinations_and_send_nothing_twice(clinic, sink, worker_of) -> None:
    endpoints = [(await clinic.endpoint(f"{sink.url}/hook{number}"))[0] for number in range(8)]
    events = await clinic.happen(*endpoints, count=50)
    async with working(worker_of(clinic, lanes_max=2)), working(worker_of(clinic, lanes_max=2)):
        for endpoint in endpoints:
            await until(lambda endpoint=endpoint: _all(clinic, endpoint, "delivered"))
    assert len(sink.received) == 400
    assert sink.attempts == {webhook_id(event.id): 8 for event in events}


async def test_a_worker_that_is_told_to_stop_records_what_is_in_flight(clinic, sink, worker_of) -> None:
    endpoint, _ = await clinic.endpoint(sink.url + "/hook?delay_ms=300")
    await clinic.happen(endpoint, count=300)
    async with working(worker_of(clinic)):
        await until(lambda: len(sink.received) >= 1)
    delivered = (await clinic.states(endpoint)).count("delivered")
    assert delivered == len(sink.received) < 300
    async with working(worker_of(clinic)):
        await until(lambda: _all(clinic, endpoint, "delivered"))
    assert max(sink.attempts.values()) == 1


def test_a_lease_that_could_end_before_a_request_is_refused_at_the_start(worker_of) -> None:
    class Nothing:
        pool = engine = door = sealer = None

    with pytest.raises(ValueError, match="lease"):
        worker_of(Nothing(), timeout_s=15.0, lease_s=20.0)


async def _all(clinic, endpoint, *wanted: str) -> bool:
    return set(await clinic.states(endpoint)) <= set(wanted)


async def _some(clinic, endpoint, wanted: str) -> bool:
    return wanted in await clinic.states(endpoint)


async def _count(clinic, endpoint, wanted: str, count: int) -> bool:
    return (await clinic.states(endpoint)).count(wanted) == count
