"""A sender that does not wait for answers, and a store that is away."""

from time import perf_counter
from typing import Any

from tests.integration.mllp.hub import MakeHub, adt, framed
from tests.integration.mllp.test_mllp_unable import store_away

from chartwire.mllp.settings import Bounds


async def test_a_connection_with_more_than_fits_in_flight_closes_at_once_where_nothing_can_be_stored(
    make_hub: MakeHub, database: Any
) -> None:
    hub = await make_hub(settings={"retry_s": 0.2}, bounds=Bounds(in_flight_per_connection=4))
    sender = await hub.sender()
    async with store_away(database):
        began = perf_counter()
        await sender.send(b"".join(framed(adt(f"P{number}")) for number in range(20)))
        assert await sender.answer() == b""
        assert perf_counter() - began < 3.0
    assert await hub.messages() == []
