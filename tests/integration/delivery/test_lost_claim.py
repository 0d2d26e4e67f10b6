"""A claim that the store committed and whose answer never came: the store died in between."""

from tests.integration.delivery.clinic import until, working


async def test_a_lane_that_was_claimed_in_our_name_without_our_knowing_is_worked_at_once(
    clinic, sink, worker_of
) -> None:
    endpoint, _ = await clinic.endpoint(sink.url + "/hook")
    await clinic.happen(endpoint, count=3)
    worker = worker_of(clinic)
    assert len(await worker._lanes.claim()) == 1

    async def delivered() -> bool:
        return set(await clinic.states(endpoint)) == {"delivered"}

    async with working(worker):
        await until(delivered, 5)
    assert max(sink.attempts.values()) == 1
