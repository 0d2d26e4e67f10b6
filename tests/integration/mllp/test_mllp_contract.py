"""The ACK contract over real sockets: what is stored, what is answered, what is never answered twice."""

import asyncio
from typing import Any

import pytest
from tests.integration.mllp.hub import Hub, MakeHub, adt, code, framed, segments

from chartwire.channels.intake import MESSAGES
from chartwire.mllp.reception import INBOUND_ACKS


def header(
    event: str = "ADT^A01", *, control_id: str = "C1", use: str = "P", version: str = "2.5.1", tail: str = ""
) -> str:
    return f"MSH|^~\\&|LAB|NORTH|HUB|CLINIC|20261120081500||{event}|{control_id}|{use}|{version}{tail}"


async def test_an_unsupported_version_gets_ar_and_is_kept_with_its_reason(hub: Hub) -> None:
    answer = segments(await (await hub.sender()).ask(adt(msh=header(version="7.1"))))
    assert (answer["MSA"][1], answer["ERR"][2], answer["ERR"][3][:3]) == ("AR", "MSH^1^12", "203")
    (message,) = await hub.messages()
    assert (message["state"], message["ack_code"], message["error_code"], message["error_location"]) == (
        "dead", "AR", "hl7_203", "MSH-12",
    )  # fmt: skip
    assert await hub.rows("select * from job") == []


async def test_a_refused_message_sent_again_gets_the_same_refusal_and_is_kept_once(hub: Hub) -> None:
    sender = await hub.sender()
    first = await sender.ask(adt(msh=header("XYZ^Q99")))
    assert await sender.ask(adt(msh=header("XYZ^Q99"))) == first
    assert len(await hub.messages()) == 1


async def test_a_filtered_message_gets_aa_and_no_work(hub: Hub) -> None:
    assert code(await (await hub.sender()).ask(adt(msh=header("DFT^P03")))) == "AA"
    (message,) = await hub.messages()
    assert message["state"] == "filtered"
    assert await hub.rows("select * from job") == []


@pytest.mark.parametrize("body", [
    f"{header('ACK^A01')}\rMSA|AA|1\r", f"{header('MCF^Q02')}\rMSA|AE|1\r", f"{header('', control_id='')}\rMSA|AA|1\r",
])  # fmt: skip
async def test_an_inbound_ack_is_never_answered(hub: Hub, body: str) -> None:
    counted = sum(INBOUND_ACKS.values.values())
    sender = await hub.sender()
    await sender.send(framed(body.encode()))
    assert segments(await sender.ask(adt("AFTER")))["MSA"][2] == "AFTER"
    assert [message["control_id"] for message in await hub.messages()] == ["AFTER"]
    assert sum(INBOUND_ACKS.values.values()) == counted + 1


async def test_test_messages_never_enter_a_live_organisation(hub: Hub) -> None:
    answer = segments(await (await hub.sender()).ask(adt(msh=header(use="T"))))
    assert (answer["MSA"][1], answer["ERR"][3][:3]) == ("AR", "202")


async def test_a_control_id_used_again_is_a_new_message_and_counted(hub: Hub) -> None:
    def reused() -> float:
        return sum(value for labels, value in MESSAGES.values.items() if labels[2] == "reused")

    before = reused()
    sender = await hub.sender()
    assert code(await sender.ask(adt("SAME"))) == "AA"
    assert code(await sender.ask(adt("SAME", name="ANDERS^JO"))) == "AA"
    assert reused() == before + 1
    assert [message["state"] for message in await hub.messages()] == ["received", "received"]


async def test_a_strict_source_refuses_a_control_id_used_again(make_hub: MakeHub) -> None:
    hub = await make_hub(strict_control_ids=True)
    sender = await hub.sender()
    await sender.send(framed(adt("SAME")) + framed(adt("SAME", name="ANDERS^JO")) + framed(adt("SAME")))
    first, other, resent = [await sender.answer() for _ in range(3)]
    assert (code(first), code(other), resent) == ("AA", "AE", first)
    assert segments(other)["ERR"][3][:3] == "205"
    assert await sender.ask(adt("SAME", name="ANDERS^JO")) == other
    assert [(m["state"], m["error_code"]) for m in await hub.messages()] == [
        ("received", None),
        ("dead", "control_id_reused"),
    ]
    assert len(await hub.rows("select * from job")) == 1


async def test_overridden_codes_are_sent_and_kept(make_hub: MakeHub) -> None:
    hub = await make_hub(ack_overrides=(("AE", "AR"),))
    assert code(await (await hub.sender()).ask(adt(""))) == "AR"
    assert [message["ack_code"] for message in await hub.messages()] == ["AR"]


async def test_mode_none_stores_and_stays_silent(make_hub: MakeHub) -> None:
    hub = await make_hub(ack_mode="none")
    sender = await hub.sender()
    await sender.send(framed(adt()))
    with pytest.raises(TimeoutError):
        await sender.answer(timeout_s=0.5)
    assert len(await hub.messages()) == 1


async def settle(hub: Hub, state: str, error: str | None = None) -> None:
    """What the worker does at the end of processing, seen from the store."""
    for _ in range(200):
        if await hub.messages():
            break
        await asyncio.sleep(0.01)
    async with hub.pool.transaction(hub.org) as tx:
        await tx.execute(
            "update message set state = $1, error_code = $2, error_location = 'PID-3', error_text = 'why',"
            " processed_at = now()", state, error,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("state", "error", "expected"),
    [("processed", None, "AA"), ("held", None, "AA"), ("dead", "patient_identifier_missing", "AE")],
)
async def test_after_processing_the_outcome_is_the_answer(
    make_hub: MakeHub, state: str, error: Any, expected: str
) -> None:
    hub = await make_hub(ack_mode="after-processing", ack_deadline_s=5.0)
    sender = await hub.sender()
    await sender.send(framed(adt()))
    with pytest.raises(TimeoutError):
        await sender.answer(timeout_s=0.3)
    await settle(hub, state, error)
    first = await sender.answer()
    assert code(first) == expected
    assert await sender.ask(adt()) == first


async def test_after_the_deadline_the_connection_closes_and_a_resend_gets_the_answer(make_hub: MakeHub) -> None:
    hub = await make_hub(ack_mode="after-processing", ack_deadline_s=0.2)
    sender = await hub.sender()
    assert await sender.ask(adt()) == b""
    await settle(hub, "processed")
    answers = await asyncio.gather(*[(await hub.sender()).ask(adt()) for _ in range(3)])
    assert code(answers[0]) == "AA"
    assert len(set(answers)) == 1
    assert len(await hub.messages()) == 1


async def test_enhanced_mode_sends_the_application_ack_as_a_message_of_its_own(make_hub: MakeHub) -> None:
    hub = await make_hub(ack_mode="enhanced")
    sender = await hub.sender()
    commit = segments(await sender.ask(adt(msh=header(control_id="E1", tail="|||AL|AL"))))
    assert commit["MSA"][1:3] == ["CA", "E1"]
    await settle(hub, "processed")
    application = segments(await sender.answer())
    assert application["MSA"][1:3] == ["AA", "E1"]
    assert application["MSH"][9] != commit["MSH"][9]
    # Their commit ACK for our application ACK is an inbound ACK like any other.
    await sender.send(framed(f"{header('ACK')}\rMSA|CA|{application['MSH'][9]}\r".encode()))
    assert segments(await sender.ask(adt(msh=header(control_id="E2", tail="|||AL|NE"))))["MSA"][1:3] == ["CA", "E2"]


async def test_enhanced_mode_sends_an_application_ack_on_error_only_where_asked_so(make_hub: MakeHub) -> None:
    hub = await make_hub(ack_mode="enhanced")
    sender = await hub.sender()
    await sender.send(framed(adt(msh=header(control_id="E1", tail="|||NE|ER"))))
    await settle(hub, "processed")
    with pytest.raises(TimeoutError):
        await sender.answer(timeout_s=0.3)
    await sender.send(framed(adt(msh=header(control_id="E2", tail="|||NE|ER"), mrn="5")))
    await asyncio.sleep(0.2)
    await settle(hub, "dead", "patient_identifier_missing")
    answer = segments(await sender.answer())
    assert (answer["MSA"][1:3], answer["ERR"][3][:3]) == (["AE", "E2"], "101")
