"""The numbers that a message is found by are written in the transaction that settles it."""

from uuid import UUID

import pytest
from tests.integration.feed import Feed, hl7, pid

from chartwire.store.pool import Pool

VISIT = "PV1|1|I|W" + "|" * 16 + "V12^^^HOSP^VN"


async def keys(feed: Feed, message: UUID) -> set[tuple[str, str, str]]:
    rows = await feed.rows("select kind, value, authority from message_key where message_id = $1", message)
    return {(row["kind"], row["value"], row["authority"]) for row in rows}


async def test_a_settled_message_is_filed_under_its_numbers(pool: Pool, engine_pool: Pool, org_id: UUID) -> None:
    feed = await Feed(pool, engine_pool, org_id).open()
    segments = [pid(f18="A77^^^HOSP"), VISIT]
    [message] = await feed.send(hl7("ADT^A01", *segments))
    assert await keys(feed, message) == {
        ("patient", "1001", "HOSP"), ("visit", "A77", "HOSP"), ("visit", "V12", "HOSP"),
    }  # fmt: skip


async def test_a_dead_letter_is_filed_too(pool: Pool, engine_pool: Pool, org_id: UUID) -> None:
    feed = await Feed(pool, engine_pool, org_id).open()
    [message] = await feed.send(hl7("ADT^A01", "PID|1||||Weber^Anna", VISIT))
    assert [state for state, _ in await feed.states(message)] == ["dead"]
    assert await keys(feed, message) == {("visit", "V12", "HOSP")}


async def test_another_organisation_sees_none_of_them(
    pool: Pool, engine_pool: Pool, org_id: UUID, other_org_id: UUID
) -> None:
    feed = await Feed(pool, engine_pool, org_id).open()
    await feed.send(hl7("ADT^A01", pid()))
    async with pool.transaction(other_org_id) as tx:
        assert await tx.fetch("select * from message_key") == []


async def test_a_message_that_fails_while_it_is_saved_is_filed_too(
    pool: Pool, engine_pool: Pool, org_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError

    feed = await Feed(pool, engine_pool, org_id).open()
    monkeypatch.setattr(type(feed.path), "apply", broken)
    [message] = await feed.send(hl7("ADT^A01", pid(), VISIT))
    assert await feed.states(message) == [("dead", "internal_error")]
    assert ("visit", "V12", "HOSP") in await keys(feed, message)
