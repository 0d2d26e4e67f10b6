"""How a source stands, at the door: paused it takes nothing and never says AE, on hold it takes all; strict it refuses."""

import pytest
from tests.integration.mllp.hub import Hub, MakeHub, adt, code, framed, segments

from chartwire.channels import halts
from chartwire.channels.windows import HaltMode
from chartwire.core.access import Access


async def stand(hub: Hub, mode: HaltMode, *, still: bool = True) -> None:
    """Begin or end a hold or pause, and let the listener take it up as it does every few seconds."""
    access = Access(hub.org, "key:operator", "HOPERAT", frozenset({"*"}))
    async with hub.pool.transaction(hub.org) as tx:
        if still:
            await halts.begin(tx, access, hub.source.id, mode, "maintenance")
        else:
            await halts.end(tx, access, hub.source.id, mode)
    await hub.server.directory.refresh()


async def test_a_paused_source_closes_without_an_answer_and_stores_nothing(hub: Hub) -> None:
    sender = await hub.sender()
    assert code(await sender.ask(adt("M1"))) == "AA"
    await stand(hub, "pause")
    assert await sender.ask(adt("M2")) == b""
    assert await (await hub.sender()).ask(b"garbage") == b""
    await stand(hub, "pause", still=False)
    assert code(await (await hub.sender()).ask(adt("M2"))) == "AA"
    assert [message["control_id"] for message in await hub.messages()] == ["M1", "M2"]


async def test_what_was_sent_behind_a_message_that_was_turned_away_is_not_taken_before_it(hub: Hub) -> None:
    sender = await hub.sender()
    await sender.ask(adt("M1"))
    await stand(hub, "pause")
    await sender.send(framed(adt("M2")) + framed(adt("M3")) + framed(adt("M4")))
    await stand(hub, "pause", still=False)
    assert await sender.answer() == b""
    assert [message["control_id"] for message in await hub.messages()] == ["M1"]


@pytest.mark.parametrize("answers", ["AR", "CE"])
async def test_by_setting_a_pause_is_told_with_207(make_hub: MakeHub, answers: str) -> None:
    hub = await make_hub(unable_answers=answers)
    await stand(hub, "pause")
    sender = await hub.sender()
    told = segments(await sender.ask(adt("M1")))
    assert (told["MSA"][1], told["ERR"][3].split("^")[0]) == (answers, "207")
    await stand(hub, "pause", still=False)
    assert code(await sender.ask(adt("M1"))) == "AA"


async def test_a_source_that_is_never_answered_is_closed_too_while_it_is_paused(make_hub: MakeHub) -> None:
    hub = await make_hub(ack_mode="none", unable_answers="AR")
    await stand(hub, "pause")
    assert await (await hub.sender()).ask(adt("M1")) == b""
    assert await hub.messages() == []


async def test_a_batch_to_a_paused_source_is_turned_away_whole(hub: Hub) -> None:
    await stand(hub, "pause")
    batch = b"BHS|^~\\&|LAB|NORTH\r" + adt("B1") + adt("B2") + b"BTS|2\r"
    assert await (await hub.sender()).ask(batch) == b""
    assert await hub.messages() == []


async def test_a_source_on_hold_answers_as_ever(hub: Hub) -> None:
    await stand(hub, "hold")
    assert code(await (await hub.sender()).ask(adt("M1"))) == "AA"
    assert [message["state"] for message in await hub.messages()] == ["received"]


async def test_what_a_strict_source_refuses_gets_ae_with_the_place_and_is_a_dead_letter(make_hub: MakeHub) -> None:
    hub = await make_hub(strictness=(("*", "warn"), ("datatype_*", "refuse")))
    sender = await hub.sender()
    wrong = adt("M1").replace(b"|19700101|", b"|nineteen-seventy|")
    told = segments(await sender.ask(wrong))
    assert (told["MSA"][1], told["ERR"][2][:7], told["ERR"][3].split("^")[0]) == ("AE", "PID^1^7", "102")
    assert code(await sender.ask(adt("M2"))) == "AA"
    assert code(await sender.ask(adt("M3").replace(b"|19700101|", b"|x|"))) == "AE"
    rows = await hub.rows(
        "select state, error_location, class from message join message_body using (org_id, id) order by id"
    )
    assert [(row["state"], row["class"]) for row in rows] == [("dead", "dead"), ("received", "raw"), ("dead", "dead")]
    assert rows[0]["error_location"] == "PID-7"


async def test_what_cannot_be_read_is_refused_where_errors_are(make_hub: MakeHub) -> None:
    hub = await make_hub(strictness=(("error", "refuse"),))
    body = adt("M1").replace(b"PID|1||", b"PID|1||" + b"&" * 1_100_000)
    assert code(await (await hub.sender()).ask(body)) == "AE"
