"""AA means stored; a resend gets the same bytes; what is refused is kept."""

from tests.integration.mllp.hub import Hub, adt, code, segments


async def test_a_message_is_stored_and_queued_before_its_aa(hub: Hub) -> None:
    sender = await hub.sender()
    answer = segments(await sender.ask(adt("C77")))
    assert answer["MSA"][1:3] == ["AA", "C77"]
    assert answer["MSH"][2:6] == ["HUB", "CLINIC", "LAB", "NORTH"]
    (message,) = await hub.messages()
    assert (message["state"], message["event"], message["control_id"]) == ("received", "ADT^A01", "C77")
    assert message["mrn"] == "4711"
    (body,) = await hub.rows("select raw from message_body")
    assert body["raw"] == adt("C77")
    (job,) = await hub.rows("select * from job")
    assert (job["message_id"], job["lane_id"]) == (message["id"], message["lane_id"])


async def test_a_resend_gets_the_first_ack_byte_for_byte(hub: Hub) -> None:
    first = await (await hub.sender()).ask(adt())
    later = adt().replace(b"20261120081500||", b"20261120081759||", 1)
    assert later != adt()
    assert await (await hub.sender()).ask(later) == first
    assert code(first) == "AA"
    assert len(await hub.messages()) == 1
