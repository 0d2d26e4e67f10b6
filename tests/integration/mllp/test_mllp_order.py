"""What stays in order, by the source's order key, through the socket."""

from tests.integration.mllp.hub import MakeHub, adt, code


async def test_a_feed_in_strict_order_shares_one_lane_also_after_its_header_is_known(make_hub: MakeHub) -> None:
    hub = await make_hub(order_key="source")
    sender = await hub.sender()
    for number in range(4):
        assert code(await sender.ask(adt(f"C{number}", mrn=f"47{number}"))) == "AA"
    messages = await hub.messages()
    assert len({message["lane_id"] for message in messages}) == 1
    assert [message["mrn"] for message in messages] == ["470", "471", "472", "473"]
    jobs = await hub.rows("select message_id from job order by seq")
    assert [job["message_id"] for job in jobs] == [message["id"] for message in messages]


async def test_a_feed_in_order_of_visits_has_a_lane_for_each(make_hub: MakeHub) -> None:
    hub = await make_hub(order_key="visit")
    sender = await hub.sender()
    for number, visit in enumerate(("V1", "V2", "V1")):
        body = adt(f"C{number}", extra="PV1|1|I" + "|" * 17 + visit)
        assert code(await sender.ask(body)) == "AA"
    first, second, third = [message["lane_id"] for message in await hub.messages()]
    assert first == third != second


async def test_among_sources_of_one_socket_the_most_specific_one_takes_the_message(make_hub: MakeHub) -> None:
    hub = await make_hub(sending=(("MSH-4", "*"),))
    await make_hub(sending=(("MSH-4", "NORTH"),), settings={"refresh_s": 60.0})
    await hub.server.directory.refresh()
    assert code(await (await hub.sender()).ask(adt())) == "AA"
    (message,) = await hub.messages()
    assert message["source_id"] != hub.source.id
