"""Dead letters: by cause, retried, edited, discarded; each decision is kept, and the order of lanes too."""

from typing import Any
from uuid import UUID

import orjson
import pytest
from tests.integration.feed import Feed, hl7, pid

from chartwire.channels import dead_letters
from chartwire.channels.dead_letters import advice_on
from chartwire.core.access import Access
from chartwire.core.errors import ConflictError, NotFoundError, ValidationError
from chartwire.store.pool import Pool

LAST = UUID(int=2**128 - 1)


@pytest.fixture
async def feed(pool: Pool, engine_pool: Pool, org_id: UUID) -> Feed:
    return await Feed(pool, engine_pool, org_id).open()


@pytest.fixture
def access(org_id: UUID) -> Access:
    return Access(org_id, "key:operator", "HOPERAT", frozenset({"*"}))


def nobody(control_id: str | None = None) -> bytes:
    """A message without a number that identifies anyone."""
    return hl7("ADT^A04", "PID|||||Weber^Anna||19800102|F", control_id=control_id)


async def causes(feed: Feed, access: Access) -> list[Any]:
    return await dead_letters.causes(feed.pool, access, LAST, None, 100)


async def test_dead_letters_of_one_source_event_error_and_place_are_one_cause(feed: Feed, access: Access) -> None:
    await feed.send(nobody(), nobody(), hl7("ADT^A08", "PID|||||Weber^Anna"), hl7("ADT^A04", pid()))
    await feed.send(nobody(), source=await feed.other_source())
    found = await causes(feed, access)
    assert sorted(row["messages"] for row in found) == [1, 1, 2]
    [two] = [row for row in found if row["messages"] == 2]
    assert (two["event"], two["error_code"], two["error_location"]) == (
        "ADT^A04",
        "patient_identifier_missing",
        "PID-3",
    )
    assert "identifiers" in advice_on(two["error_code"])
    rows = await dead_letters.messages_of(feed.pool, access, two["fingerprint"], LAST, 100)
    assert [row["id"] for row in rows] == [two["last_id"], two["first_id"]]


async def test_a_retry_after_the_source_was_mended_carries_the_same_message(feed: Feed, access: Access) -> None:
    [dead] = await feed.send(hl7("ADT^A04", pid().replace("^MR", "^XX")))
    assert (await feed.states(dead))[0][0] == "dead"
    feed.change(identifiers=(("HOSP", "XX"),))
    async with feed.pool.transaction(access.org) as tx:
        await dead_letters.retry(tx, access, dead)
    await feed.work()
    assert await feed.states(dead) == [("processed", None)]
    assert await causes(feed, access) == []
    with pytest.raises(ConflictError, match="no open dead letter"):
        async with feed.pool.transaction(access.org) as tx:
            await dead_letters.retry(tx, access, dead)


async def test_many_are_retried_oldest_first_in_the_order_of_their_lanes(feed: Feed, access: Access) -> None:
    numbers = [pid(f13=f"555-010{n}").replace("^MR", "^XX") for n in range(5)]
    ids = await feed.send(*(hl7("ADT^A08", number) for number in numbers))
    feed.change(identifiers=(("HOSP", "XX"),))
    [cause] = await causes(feed, access)
    async with feed.pool.transaction(access.org) as tx:
        first = await dead_letters.retry_many(tx, access, cause["fingerprint"], limit=3)
    assert (first.taken, first.left, first.last_id) == (3, 2, ids[2])
    async with feed.pool.transaction(access.org) as tx:
        rest = await dead_letters.retry_many(tx, access, cause["fingerprint"], after=first.last_id or LAST)
    assert (rest.taken, rest.left) == (2, 0)
    await feed.work()
    assert await feed.states(*ids) == [("processed", None)] * 5
    rows = await feed.rows(
        "select message_id from (select version, message_id from resource_history where type = 'Patient'"
        " union all select version, message_id from resource where type = 'Patient') v order by version"
    )
    assert [row["message_id"] for row in rows] == ids


async def test_a_retried_merge_waits_at_the_head_of_both_of_its_lanes_again(feed: Feed, access: Access) -> None:
    await feed.send(hl7("ADT^A04", pid("1001")), hl7("ADT^A04", pid("2002")))
    [dead] = await feed.send(hl7("ADT^A40", pid("1001"), "MRG|2002^^^HOSP^MR", "Pi|"))
    assert (await feed.states(dead))[0][0] == "dead"
    async with feed.pool.transaction(access.org) as tx:
        await dead_letters.retry(tx, access, dead)
    assert len(await feed.rows("select lane_id from job where message_id = $1", dead)) == 2


async def test_an_edited_merge_waits_in_the_lanes_of_the_patients_that_it_names_now(feed: Feed, access: Access) -> None:
    await feed.send(*(hl7("ADT^A04", pid(number)) for number in ("1001", "2002", "3003")))
    broken = hl7("ADT^A40", pid("1001"), "MRG|2002^^^HOSP^MR", "Pi|", control_id="C-7")
    [dead] = await feed.send(broken)
    mended = hl7("ADT^A40", pid("1001"), "MRG|3003^^^HOSP^MR", control_id="C-7")
    async with feed.pool.transaction(access.org) as tx:
        child = await dead_letters.edit_and_retry(tx, access, dead, mended)
    places = await feed.rows("select lane_id from job where message_id = $1", child)
    lanes = await feed.rows("select lane_id from message where mrn in ('1001', '3003') and event = 'ADT^A04'")
    assert {place["lane_id"] for place in places} == {lane["lane_id"] for lane in lanes}
    await feed.work()
    assert await feed.states(child) == [("processed", None)]
    assert (await feed.body_of("3003"))["active"] is False


async def test_an_edited_message_is_a_child_that_is_worked_instead(feed: Feed, access: Access) -> None:
    [dead] = await feed.send(nobody("C-7"))
    async with feed.pool.transaction(access.org) as tx:
        child = await dead_letters.edit_and_retry(tx, access, dead, hl7("ADT^A04", pid(), control_id="C-7"))
    await feed.work()
    assert await feed.states(dead, child) == [("dead", "patient_identifier_missing"), ("processed", None)]
    [row] = await feed.rows("select parent_id, control_id, mode, mrn from message where id = $1", child)
    assert row == {"parent_id": dead, "control_id": "C-7", "mode": "live", "mrn": "1001"}
    [parent] = await feed.rows(
        "select decision, raw from message join message_body using (org_id, id) where id = $1", dead
    )
    decision = orjson.loads(parent["decision"])
    assert (decision["choice"], decision["actor"], decision["child"]) == ("edit", "key:operator", str(child))
    assert b"Weber" in parent["raw"]
    assert await causes(feed, access) == []
    assert (await feed.body("Patient"))["name"][0]["family"] == "Weber"
    assert "patient.created" in await feed.events()


async def test_an_edit_keeps_the_control_id_and_is_a_message(feed: Feed, access: Access) -> None:
    [dead] = await feed.send(nobody("C-7"))
    for raw, place in ((hl7("ADT^A04", pid(), control_id="C-8"), "MSH-10"), (b"MSH|^~\\&|broken\rPID|", "MSH")):
        with pytest.raises(ValidationError, match=place):
            async with feed.pool.transaction(access.org) as tx:
                await dead_letters.edit_and_retry(tx, access, dead, raw)


async def test_what_is_discarded_stays_dead_with_the_reason_and_is_listed_no_more(feed: Feed, access: Access) -> None:
    ids = await feed.send(nobody(), nobody(), nobody())
    [cause] = await causes(feed, access)
    async with feed.pool.transaction(access.org) as tx:
        await dead_letters.discard(tx, access, ids[0], "a test of the sender")
        done = await dead_letters.discard_many(tx, access, cause["fingerprint"], "tests of the sender", limit=1)
    assert (done.taken, done.left) == (1, 1)
    rows = await feed.rows("select state, decision from message order by id")
    assert [row["state"] for row in rows] == ["dead"] * 3
    reasons = [row["decision"] and orjson.loads(row["decision"])["reason"] for row in rows]
    assert reasons == ["a test of the sender", "tests of the sender", None]


async def test_a_message_whose_bytes_are_gone_can_be_discarded_but_not_retried(feed: Feed, access: Access) -> None:
    [dead] = await feed.send(nobody())
    await feed.rows("delete from message_body where id = $1 returning 1", dead)
    with pytest.raises(ConflictError, match="removed"):
        async with feed.pool.transaction(access.org) as tx:
            await dead_letters.retry(tx, access, dead)
    async with feed.pool.transaction(access.org) as tx:
        await dead_letters.discard(tx, access, dead, "gone")


async def test_another_organisation_finds_no_dead_letter_here(feed: Feed, access: Access, other_org_id: UUID) -> None:
    [dead] = await feed.send(nobody())
    [cause] = await causes(feed, access)
    stranger = Access(other_org_id, "key:stranger", "HOPERAT", frozenset({"*"}))
    assert await causes(feed, stranger) == []
    async with feed.pool.transaction(other_org_id) as tx:
        with pytest.raises(NotFoundError):
            await dead_letters.retry_many(tx, stranger, cause["fingerprint"])
        with pytest.raises(NotFoundError):
            await dead_letters.discard(tx, stranger, dead, "mischief")


async def test_causes_among_many_messages_are_found_by_an_index(feed: Feed, access: Access) -> None:
    await feed.send(nobody())
    async with feed.pool.transaction(access.org) as tx:
        plan = await tx.fetch(
            "explain select count(*) from message m where m.org_id = $1 and m.state = 'dead' and m.decision is null"
            " and dead_letter_fingerprint(m.source_id, m.event, m.error_code, m.error_location) = $2",
            access.org,
            LAST,
        )
    text = "\n".join(row[0] for row in plan)
    assert "Seq Scan" not in text
    assert "dead_letter_fingerprint" in text
