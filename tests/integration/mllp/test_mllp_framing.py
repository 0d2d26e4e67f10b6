"""What real senders do to a stream, and what most engines get wrong about it (reference/peers.md section 4)."""

import asyncio

import pytest
from tests.integration.mllp.hub import Hub, adt, code, framed, segments


async def test_three_messages_in_one_write_get_three_answers_in_order(hub: Hub) -> None:
    sender = await hub.sender()
    await sender.send(b"".join(framed(adt(f"P{number}")) for number in range(3)))
    answers = [segments(await sender.answer()) for _ in range(3)]
    assert [answer["MSA"][1:3] for answer in answers] == [["AA", "P0"], ["AA", "P1"], ["AA", "P2"]]


async def test_order_of_arrival_is_the_order_of_the_lane(hub: Hub) -> None:
    sender = await hub.sender()
    await sender.send(b"".join(framed(adt(f"P{number}")) for number in range(200)))
    for number in range(200):
        assert segments(await sender.answer())["MSA"][2] == f"P{number}"
    rows = await hub.rows("select control_id from message m join job j on j.message_id = m.id order by j.seq")
    assert [row["control_id"] for row in rows] == [f"P{number}" for number in range(200)]


async def test_a_5_mb_observation_is_stored_whole(hub: Hub) -> None:
    body = adt(extra="OBX|1|ED|PDF||" + "A" * 5_000_000)
    assert code(await (await hub.sender()).ask(body)) == "AA"
    (row,) = await hub.rows("select octet_length(raw) as size from message_body")
    assert row["size"] == len(body)


async def test_an_unusual_field_separator_is_read_and_answered_in_kind(hub: Hub) -> None:
    body = adt("H1").replace(b"|", b"#")
    answer = await (await hub.sender()).ask(body)
    assert b"\rMSA#AA#H1" in answer
    assert answer.startswith(b"MSH#^~\\&#")


@pytest.mark.parametrize(
    "garbage", [b"hello", b"{}", b"PID|1\r", b"MSH", b"MSH|", b"\x00\xff\xfe", b"GET / HTTP/1.1\r\n\r\n"]
)
async def test_what_is_not_hl7_gets_ae_with_a_reason_and_is_kept(hub: Hub, garbage: bytes) -> None:
    sender = await hub.sender()
    answer = segments(await sender.ask(garbage))
    assert answer["MSA"][1] == "AE"
    assert answer["ERR"][3].split("^")[0] in {"100", "101", "102"}
    (message,) = await hub.messages()
    assert (message["state"], message["ack_code"]) == ("dead", "AE")
    (body,) = await hub.rows("select class, raw from message_body")
    assert (body["class"], body["raw"]) == ("dead", garbage)
    assert code(await sender.ask(adt())) == "AA"


async def test_a_message_without_control_id_gets_ae_101_and_no_invented_id(hub: Hub) -> None:
    answer = segments(await (await hub.sender()).ask(adt("")))
    assert answer["MSA"][1] == "AE"
    assert answer["MSA"][2:3] in ([], [""])
    assert answer["ERR"][2] == "MSH^1^10"
    assert answer["ERR"][3].startswith("101^")


async def test_a_batch_is_answered_by_one_ack_for_each_member(hub: Hub) -> None:
    body = (
        b"FHS|^~\\&|LAB|NORTH\rBHS|^~\\&|LAB|NORTH|HUB|CLINIC|20261120||||B9\r"
        + adt("M1")
        + adt("M2")
        + b"BTS|2\rFTS|1\r"
    )
    sender = await hub.sender()
    answer = await sender.ask(body)
    assert answer.startswith(b"BHS|")
    assert [line.split(b"|")[1:3] for line in answer.split(b"\r") if line[:3] == b"MSA"] == [
        [b"AA", b"M1"],
        [b"AA", b"M2"],
    ]
    assert b"\rBTS|2" in answer
    assert sorted(message["control_id"] for message in await hub.messages()) == ["M1", "M2"]
    assert await sender.ask(body) == answer
    assert len(await hub.messages()) == 2


async def test_a_broken_member_of_a_batch_is_refused_alone(hub: Hub) -> None:
    body = b"BHS|^~\\&|LAB|NORTH\r" + adt("M1") + adt("") + adt("M3") + b"BTS|3\r"
    answer = await (await hub.sender()).ask(body)
    assert [line.split(b"|")[1] for line in answer.split(b"\r") if line[:3] == b"MSA"] == [b"AA", b"AE", b"AA"]
    assert sorted(message["state"] for message in await hub.messages()) == ["dead", "received", "received"]


async def test_messages_in_a_row_in_one_frame_get_a_frame_each(hub: Hub) -> None:
    sender = await hub.sender()
    await sender.send(framed(adt("R1") + adt("R2")))
    assert [segments(await sender.answer())["MSA"][2] for _ in range(2)] == ["R1", "R2"]


async def test_a_batch_of_a_thousand_is_durable_before_its_answer(hub: Hub) -> None:
    members = b"".join(adt(f"M{number}", mrn=str(number)) for number in range(1000))
    answer = await (await hub.sender()).ask(b"BHS|^~\\&|LAB|NORTH\r" + members + b"BTS|1000\r")
    assert answer.count(b"MSA|AA|") == 1000
    (row,) = await hub.rows("select count(*) as count from message")
    assert row["count"] == 1000


async def test_an_empty_batch_gets_ae_and_is_kept(hub: Hub) -> None:
    answer = await (await hub.sender()).ask(b"BHS|^~\\&|LAB|NORTH|HUB|CLINIC|||||B1\rBTS|0\r")
    assert b"MSA|AE|B1" in answer
    assert [message["state"] for message in await hub.messages()] == ["dead"]


async def test_junk_before_the_start_block_does_not_lose_the_message(hub: Hub) -> None:
    sender = await hub.sender()
    await sender.send(b"\r\nnoise\x1c\r" + framed(adt("J1")))
    assert segments(await sender.answer())["MSA"][1:3] == ["AA", "J1"]


async def test_a_message_in_16_byte_pieces_is_read(hub: Hub) -> None:
    sender = await hub.sender()
    data = framed(adt("D1"))
    for start in range(0, len(data), 16):
        await sender.send(data[start : start + 16])
        await asyncio.sleep(0)
    assert segments(await sender.answer())["MSA"][1:3] == ["AA", "D1"]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
async def test_other_segment_ends_are_read(hub: Hub, end: bytes) -> None:
    assert code(await (await hub.sender()).ask(adt().replace(b"\r", end))) == "AA"


async def test_an_end_block_without_its_carriage_return_is_answered(hub: Hub) -> None:
    sender = await hub.sender()
    await sender.send(b"\x0b" + adt("N1") + b"\x1c")
    assert segments(await sender.answer())["MSA"][1:3] == ["AA", "N1"]
    await sender.send(b"\r" + framed(adt("N2")))
    assert segments(await sender.answer())["MSA"][1:3] == ["AA", "N2"]


async def test_a_message_whose_end_block_never_came_was_never_received(hub: Hub) -> None:
    sender = await hub.sender()
    await sender.send(b"\x0b" + adt("T1") + framed(adt("T2")))
    assert segments(await sender.answer())["MSA"][1:3] == ["AA", "T2"]
    assert [message["control_id"] for message in await hub.messages()] == ["T2"]


async def test_a_sender_that_closes_its_side_still_gets_its_answers(hub: Hub) -> None:
    sender = await hub.sender()
    await sender.send(b"".join(framed(adt(f"E{number}")) for number in range(150)))
    sender.writer.write_eof()
    for number in range(150):
        assert segments(await sender.answer())["MSA"][2] == f"E{number}"
    assert await sender.answer() == b""


async def test_umlauts_in_latin_1_are_stored_as_sent_and_echoed_in_the_same_charset(hub: Hub) -> None:
    header = "MSH|^~\\&|LÄB|NORTH|HUB|CLINIC|20261120081500||ADT^A01^ADT_A01|L1|P|2.5.1||||||8859/1"
    body = adt(msh=header, name="MÜLLER^JÖRG").decode().encode("latin-1")
    answer = await (await hub.sender()).ask(body)
    assert "LÄB".encode("latin-1") in answer
    (row,) = await hub.rows("select raw, charset from message_body join message using (org_id, id)")
    assert (row["raw"], row["charset"]) == (body, "iso8859-1")
