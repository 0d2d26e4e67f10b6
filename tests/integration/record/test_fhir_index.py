"""The FHIR index agrees with the bodies, whoever wrote them, and comes to agree where a release before wrote them."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from tests.integration.feed import Feed, hl7, pid
from tests.integration.record.fhir_index_checks import assert_index_is_right, expected_rows, stored_rows
from tests.integration.record.test_unmerge_histories import carry_all, history

from chartwire.app.cli import main
from chartwire.channels.reindexing import keep_indexed
from chartwire.core.access import Access
from chartwire.core.ids import uuid7
from chartwire.core.source import IdentifierRule
from chartwire.record.fhir_index import RULES
from chartwire.record.lineage import Lineage
from chartwire.record.reindexing import RESOURCES_PER_BATCH, index_batch, to_index
from chartwire.record.work import Work
from chartwire.store.pool import Pool
from chartwire.store.queries import q

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
ROWS_OF_AN_OBSERVATION = 13


@pytest.fixture
async def feed(pool: Pool, engine_pool: Pool, org_id: UUID) -> Feed:
    return await Feed(pool, engine_pool, org_id).open()


def writing(feed: Feed, tx: object) -> Work:
    return Work(Access(feed.org, "key:test", "TREAT", frozenset({"*"})), tx)


async def observe(feed: Feed, value: int, resource_id: UUID | None = None) -> UUID:
    """Write an Observation, or its next version; its id."""
    body = {
        "resourceType": "Observation",
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4", "display": "Heart rate"}]},
        "valueQuantity": {"value": value, "system": "http://unitsofmeasure.org", "code": "/min"},
    }
    async with feed.pool.transaction(feed.org) as tx:
        work = writing(feed, tx)
        if resource_id:
            await work.load([("Observation", resource_id)], lock=True)
        held = work.standing("Observation", resource_id) if resource_id else work.create("Observation", [], None)
        held.advance(body, Lineage(), None, "key:test")
        await work.flush(NOW)
    return held.id


async def write_as_the_release_before(feed: Feed, resource_id: UUID) -> None:
    """The next version by the function that the release before calls: it knows of no FHIR index."""
    async with feed.pool.transaction(feed.org) as tx:
        row = await tx.fetchrow("select * from resource where id = $1", resource_id)
        body = row["body"].replace('"/min"', '"/h"')
        await tx.execute(
            "select record_save($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            [row["type"]], [row["id"]], [row["version"] + 1], [NOW], [False], [row["patient_id"]],
            [row["original_subject"]], [None], ["key:test"], [body], [row["lineage"]],
        )  # fmt: skip


@pytest.mark.parametrize("seed", [3, 8])
async def test_after_a_history_of_feeds_merges_and_unmerges_the_index_agrees_with_every_body(
    feed: Feed, seed: int
) -> None:
    other = await feed.other_source(rank=20, identifiers=(IdentifierRule("", "MR"),))
    sources = {"one": feed.source, "two": other}
    for message in history(seed)[0]:
        await feed.store(message.raw(), source=sources[message.source])
    await carry_all(feed)
    assert (await stored_rows(feed.pool, feed.org))["tokens"]
    await assert_index_is_right(feed.pool, feed.org)


async def test_a_change_touches_only_the_rows_of_what_changed(feed: Feed) -> None:
    observation = await observe(feed, 60)
    before = await feed.rows("select ctid::text, xmin::text, key, value from fhir_token order by ctid")
    await observe(feed, 61, observation)
    assert await feed.rows("select ctid::text, xmin::text, key, value from fhir_token order by ctid") == before
    assert {row["low"] for row in await feed.rows("select low from fhir_number")} == {61.0}
    await assert_index_is_right(feed.pool, feed.org)


@pytest.mark.parametrize("status", ["\x1f", "\0", "fin\x1fal\0", "{a,b}", 'a"b\\\n'])
async def test_no_text_breaks_the_way_of_rows_to_the_store(feed: Feed, status: str) -> None:
    for body in ({"resourceType": "Observation", "status": status}, {"resourceType": "Observation"}):
        async with feed.pool.transaction(feed.org) as tx:
            work = writing(feed, tx)
            for row in await tx.fetch("select id from resource"):
                await work.load([("Observation", row["id"])], lock=True)
                work.standing("Observation", row["id"]).advance(body, Lineage(), None, "key:test")
                break
            else:
                work.create("Observation", [], None).advance(body, Lineage(), None, "key:test")
            await work.flush(NOW)
        await assert_index_is_right(feed.pool, feed.org)
    assert not any((await stored_rows(feed.pool, feed.org)).values())


async def test_a_deleted_resource_has_no_rows_and_gets_them_back_with_a_new_version(feed: Feed) -> None:
    observation = await observe(feed, 60)
    async with feed.pool.transaction(feed.org) as tx:
        work = writing(feed, tx)
        await work.load([("Observation", observation)], lock=True)
        work.standing("Observation", observation).delete("key:test")
        await work.flush(NOW)
    assert not any((await stored_rows(feed.pool, feed.org)).values())
    async with feed.pool.transaction(feed.org) as tx:
        work = writing(feed, tx)
        await work.load([("Observation", observation)], lock=True, deleted=True)
        work.standing("Observation", observation).advance(
            {"resourceType": "Observation", "status": "final"}, Lineage(), None, "key:test"
        )
        await work.flush(NOW)
    assert (await stored_rows(feed.pool, feed.org))["tokens"]
    await assert_index_is_right(feed.pool, feed.org)


async def test_what_the_release_before_writes_is_indexed_later(feed: Feed) -> None:
    observation = await observe(feed, 60)
    await write_as_the_release_before(feed, observation)
    assert await stored_rows(feed.pool, feed.org) != await expected_rows(feed.pool, feed.org)
    assert await to_index(feed.pool, feed.org) == 1
    assert await index_batch(feed.pool, feed.org) == 1
    assert await index_batch(feed.pool, feed.org) == 0
    await assert_index_is_right(feed.pool, feed.org)


async def test_a_resource_that_cannot_be_indexed_keeps_no_other_from_it_and_stays_to_be_told(feed: Feed) -> None:
    broken, sound = await observe(feed, 60), await observe(feed, 61)
    await feed.rows("update resource set indexed = null returning 1")
    await feed.rows("update resource set body = '{' where id = $1 returning 1", broken)
    assert await index_batch(feed.pool, feed.org) == 1
    assert await index_batch(feed.pool, feed.org) == 0
    assert await to_index(feed.pool, feed.org) == 1
    assert [row["id"] for row in await feed.rows("select id from resource where indexed is not null")] == [sound]


async def test_a_writer_that_meets_what_the_release_before_wrote_indexes_all_of_it(feed: Feed) -> None:
    observation = await observe(feed, 60)
    await write_as_the_release_before(feed, observation)
    await observe(feed, 62, observation)
    await assert_index_is_right(feed.pool, feed.org)


async def test_indexing_again_leaves_alone_what_another_type_stores_under_the_same_id(feed: Feed) -> None:
    async with feed.pool.transaction(feed.org) as tx:
        work = writing(feed, tx)
        for body in (
            {"resourceType": "Patient", "gender": "female"},
            {"resourceType": "Basic", "author": {"reference": "Patient/example"}},
        ):
            held = work.create(body["resourceType"], [], None, logical_id="example")
            held.advance(body, Lineage(), None, "key:test")
        await work.flush(NOW)
    await feed.rows("update resource set indexed = null where type = 'Patient' returning 1")
    assert await index_batch(feed.pool, feed.org) == 1
    rows = await stored_rows(feed.pool, feed.org)
    assert rows == await expected_rows(feed.pool, feed.org)
    assert len(rows["tokens"][held.id]) > 2


async def test_the_command_indexes_what_is_left_and_says_how_much(
    feed: Feed, database: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CHARTWIRE_DATABASE_APP_URL", database.app_dsn)
    monkeypatch.setenv("CHARTWIRE_DATABASE_ENGINE_URL", database.engine_dsn)

    async def reindex(*words: str) -> tuple[int, dict[str, int]]:
        code = await asyncio.to_thread(main, ["fhir", "reindex", "--org", str(feed.org), "--json", *words])
        return code, json.loads(capsys.readouterr().out)

    for value in range(RESOURCES_PER_BATCH + 1):
        await observe(feed, value)
    await feed.rows("update resource set indexed = null returning 1")
    assert await reindex("--check") == (1, {"indexed": 0, "left": RESOURCES_PER_BATCH + 1})
    assert await reindex() == (0, {"indexed": RESOURCES_PER_BATCH + 1, "left": 0})
    await assert_index_is_right(feed.pool, feed.org)


async def test_rows_are_written_and_taken_out_by_their_keys_however_many_there_are(feed: Feed) -> None:
    observations = [await observe(feed, value) for value in range(300)]
    tables = "'fhir_token', 'fhir_string', 'fhir_date', 'fhir_number'"
    read = f"select sum(seq_scan), sum(seq_tup_read), sum(idx_tup_fetch) from pg_stat_xact_user_tables where relname in ({tables})"
    async with feed.pool.transaction(feed.org) as tx:
        work = writing(feed, tx)
        await work.load([("Observation", observations[150])], lock=True)
        work.standing("Observation", observations[150]).delete("key:test")
        await work.flush(NOW)
        scans, read_by_scans, fetched = tuple(await tx.fetchrow(read))
    assert (scans, read_by_scans) == (0, 0)
    assert fetched <= 3 * ROWS_OF_AN_OBSERVATION


async def test_workers_bring_the_index_up_while_feeds_write(feed: Feed, engine_pool: Pool) -> None:
    for number in range(30):
        await feed.store(hl7("ADT^A04", pid(str(number))))
    await feed.work()
    await feed.rows("update resource set indexed = null returning 1")
    await feed.rows("delete from fhir_token where resource_id <> $1 returning 1", uuid7())
    stop = asyncio.Event()
    rounds = [asyncio.create_task(keep_indexed(feed.pool, engine_pool, stop, every_s=0.01)) for _ in range(2)]
    for number in range(30):
        await feed.store(hl7("ADT^A08", pid(str(number), name="Meier^Anna")))
    await feed.work()
    async with asyncio.timeout(20):
        while await to_index(feed.pool, feed.org):
            await asyncio.sleep(0.02)
    stop.set()
    await asyncio.gather(*rounds)
    await assert_index_is_right(feed.pool, feed.org)


async def test_the_rules_the_index_of_what_is_missing_and_its_queries_agree(pool: Pool, org_id: UUID) -> None:
    async with pool.transaction(org_id) as tx:
        definition = await tx.fetchval("select pg_get_indexdef('resource_not_indexed'::regclass)")
        plan = "\n".join(
            row[0]
            for row in await tx.fetch(
                f"explain {q.take_unindexed.replace('$1', 'gen_random_uuid()').replace('$2', '10')}"
            )
        )
    assert f"indexed < {RULES}" in definition
    assert f"indexed < {RULES}" in q.take_unindexed
    assert f"indexed < {RULES}" in q.count_unindexed
    assert "resource_not_indexed" in plan
