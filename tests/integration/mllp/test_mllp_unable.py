"""A store that is away: no answer or AR or CE as the source says, never AE, and nothing lost once it is back."""

import asyncio
import contextlib
from typing import Any

import asyncpg
import pytest
from tests.integration.mllp.hub import Hub, MakeHub, adt, code, framed, segments


async def admin(database: Any, *statements: str) -> None:
    connection = await asyncpg.connect(database.admin_dsn.replace(f"/{database.name}", "/postgres"))
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


@contextlib.asynccontextmanager
async def store_away(database: Any) -> Any:
    """No connection to the database, neither an old one nor a new one."""
    await admin(
        database,
        f"alter database {database.name} with allow_connections false",
        f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{database.name}'",
    )
    try:
        yield
    finally:
        await admin(database, f"alter database {database.name} with allow_connections true")


async def sent_until_taken(hub: Hub, body: bytes) -> bytes:
    """What a sender does: send again, on a new connection where the old one was closed, until AA."""
    async with asyncio.timeout(10):
        while True:
            answer = await (await hub.sender()).ask(body)
            if answer and code(answer) == "AA":
                return answer
            await asyncio.sleep(0.1)


async def test_without_a_store_the_connection_closes_without_an_answer(make_hub: MakeHub, database: Any) -> None:
    hub = await make_hub(settings={"retry_s": 0.2})
    sender = await hub.sender()
    first = await sender.ask(adt("KNOWN"))
    async with store_away(database):
        for body in (adt("U1"), adt("KNOWN"), b"garbage", adt("")):
            waiting = await hub.sender()
            assert await waiting.ask(body) == b""
    await sent_until_taken(hub, adt("U1"))
    assert await sent_until_taken(hub, adt("KNOWN")) == first
    assert [message["control_id"] for message in await hub.messages()] == ["KNOWN", "U1"]


@pytest.mark.parametrize("answers", ["AR", "CE"])
async def test_by_setting_an_unable_store_is_told_with_207(make_hub: MakeHub, database: Any, answers: str) -> None:
    hub = await make_hub(settings={"retry_s": 0.2}, unable_answers=answers)
    sender = await hub.sender()
    async with store_away(database):
        answer = segments(await sender.ask(adt("U1")))
        assert (answer["MSA"][1:3], answer["ERR"][3][:3]) == ([answers, "U1"], "207")
    await sent_until_taken(hub, adt("U1"))
    assert len(await hub.messages()) == 1


async def test_a_short_outage_is_waited_out(make_hub: MakeHub, database: Any) -> None:
    hub = await make_hub(settings={"retry_s": 5.0})
    sender = await hub.sender()
    async with store_away(database):
        await sender.send(framed(adt("W1")) + framed(adt("W2")))
        await asyncio.sleep(0.5)
    assert [segments(await sender.answer())["MSA"][1:3] for _ in range(2)] == [["AA", "W1"], ["AA", "W2"]]


async def test_an_unknown_peer_gets_no_answer_while_nothing_can_be_kept(make_hub: MakeHub, database: Any) -> None:
    hub = await make_hub(source=False)
    sender = await hub.sender()
    assert code(await sender.ask(adt())) == "AR"
    async with store_away(database):
        assert await sender.ask(adt("2")) == b""


async def test_a_resend_after_a_restart_gets_the_first_ack(make_hub: MakeHub) -> None:
    hub = await make_hub()
    first = await (await hub.sender()).ask(adt())
    await hub.server.close()
    restarted = await make_hub(source=False)
    assert await (await restarted.sender()).ask(adt()) == first


async def test_the_same_message_on_many_connections_at_once_is_stored_once(make_hub: MakeHub) -> None:
    hub = await make_hub()
    senders = [await hub.sender() for _ in range(12)]
    answers = await asyncio.gather(*(sender.ask(adt()) for sender in senders))
    assert len(set(answers)) == 1
    assert len(await hub.messages()) == 1
