"""What holds of searches whatever they ask: merged patients, concurrent writers, transactions, withdrawn keys."""

import asyncio
from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from tests.integration.feed import Feed, hl7, pid
from tests.integration.record.stored import Shelf

from chartwire.core.errors import AuthError
from chartwire.core.fhir_ids import store_id
from chartwire.record.fhir_writing import FhirWriter, Write
from chartwire.record.search import Context, parse, run
from chartwire.store.pool import Pool


@pytest.fixture
def shelf(pool: Pool, org_id: UUID) -> Shelf:
    return Shelf(pool, org_id)


def task(fhir_id: str, subject: str = "Patient/nobody") -> dict[str, object]:
    return {
        "resourceType": "Task",
        "id": fhir_id,
        "status": "ready",
        "intent": "order",
        "code": {"text": "Fall risk"},
        "for": {"reference": subject},
    }


async def test_what_refers_to_a_patient_who_was_merged_away_is_found_under_the_survivor(
    feed: Feed, shelf: Shelf
) -> None:
    await feed.send(hl7("ADT^A01", pid("1001"), "PV1|1|I|W^1^1||||||||||||||||V1"))
    await feed.send(hl7("ADT^A01", pid("1002"), "PV1|1|I|W^1^2||||||||||||||||V2"))
    loser, survivor = [(await feed.body_of(mrn))["id"] for mrn in ("1001", "1002")]
    await feed.send(hl7("ADT^A40", pid("1002"), "MRG|1001^^^HOSP^MR"))

    both = await shelf.find("Encounter", f"patient={survivor}")
    assert len(both) == 2
    for asked in (f"patient={loser}", f"subject=Patient/{loser}&_sort=-date", f"subject:Patient={loser}&status:not=x"):
        assert sorted(await shelf.find("Encounter", asked)) == sorted(both), asked
    assert (await shelf.page("Encounter", f"patient={loser}&_count=0")).total == 2
    assert sorted(await shelf.find("Encounter", compartment=("Patient", loser))) == sorted(both)

    assert await shelf.find("Patient", "name=weber") == [survivor]
    assert await shelf.find("Patient", f"_id={loser}") == [loser], (
        "read by its id it is there, with the link that leads on"
    )
    assert await shelf.find("Patient", "identifier=1001") == [loser]


async def test_a_walk_skips_and_repeats_nothing_that_stays_unchanged_while_others_write(shelf: Shelf) -> None:
    await shelf.put(*(task(f"f{number:02}") for number in range(30)))
    for sort in ("", "_sort=_lastUpdated", "_sort=-_lastUpdated", "_sort=status,-_id", "_sort=-subject"):
        walked: list[str] = []
        after = None
        for step in range(100):
            page = await shelf.page("Task", f"{sort}&_count=4", after)
            walked += [one.stored.body.partition('"id":"')[2].partition('"')[0] for one in page.found]
            if (after := page.after) is None:
                break
            await shelf.put(task(str(uuid4())), {**task(f"f{step:02}"), "status": "completed"})
        steady = [fhir_id for fhir_id in walked if fhir_id[0] == "f" and len(fhir_id) == 3 and int(fhir_id[1:]) > 20]
        assert sorted(steady) == [f"f{number:02}" for number in range(21, 30)], sort


async def test_in_rising_order_of_change_nothing_appears_behind_what_was_given(shelf: Shelf, pool: Pool) -> None:
    await shelf.put(task("first"))
    async with pool.transaction(shelf.access.org) as slow:
        writer = FhirWriter(shelf.access, slow)
        write = Write("update", "Task", "slow", task("slow"))
        await writer.read([write])
        await writer.apply(write)
        await writer.finish()
        await asyncio.sleep(0.01)
        await shelf.put(task("late"))
        assert await shelf.find("Task", "_sort=_lastUpdated") == ["first"]
        assert await shelf.find("Task", "_sort=-_lastUpdated") == ["late", "first"]
    assert await shelf.find("Task", "_sort=_lastUpdated") == ["first", "slow", "late"]


async def test_a_search_in_a_transaction_sees_what_that_has_written(shelf: Shelf, pool: Pool) -> None:
    query = parse("Task", [("subject", "Patient/x")], context=Context())
    walk = parse("Task", [("_sort", "-_lastUpdated"), ("status:not", "completed")], context=Context())
    async with pool.transaction(shelf.access.org) as tx:
        writer = FhirWriter(shelf.access, tx)
        write = Write("update", "Task", "mine", task("mine", "Patient/x"))
        await writer.read([write])
        await writer.apply(write)
        await writer.finish()
        for asked in (query, walk):
            assert [one.stored.id for one in (await run(tx, shelf.access, asked)).found] == [store_id("mine")]
    assert await shelf.find("Task", "subject=Patient/x") == ["mine"]


async def test_a_withdrawn_key_finds_nothing(shelf: Shelf, pool: Pool) -> None:
    await shelf.put(task("one"))
    stranger = replace(shelf.access, credential_id=uuid4())
    for text in ("_id=one", "status=ready&_sort=subject", "_count=0"):
        query = parse("Task", [tuple(one.split("=")) for one in text.split("&")], context=Context())
        async with pool.connection() as connection:
            with pytest.raises(AuthError) as refused:
                await run(connection, stranger, query)
        assert refused.value.code == "credential_invalid"
        assert pool.lent == 0


async def test_what_was_deleted_is_not_found(shelf: Shelf) -> None:
    await shelf.put(task("one"), task("two"))
    await shelf.delete("Task", "one")
    for text in ("", "status=ready", "_id=one,two", "subject=Patient/nobody", "code:text=fall", "_sort=status"):
        assert await shelf.find("Task", text) == ["two"], text
