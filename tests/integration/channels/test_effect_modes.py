"""live, record-only, preview: what follows from a message (domain-rules.md section 4)."""

from uuid import UUID

import pytest
from tests.integration.feed import Feed, hl7, pid

from chartwire.store.pool import Pool

VISIT = "PV1|1|I|W1^101^1^HOSP||||D7^Bauer^Eva^^^^^^HOSP||||||||||||V1^^^HOSP^VN"


@pytest.fixture
async def feed(pool: Pool, engine_pool: Pool, org_id: UUID) -> Feed:
    return await Feed(pool, engine_pool, org_id).open()


async def test_a_record_only_message_is_recorded_and_its_events_are_marked(feed: Feed) -> None:
    await feed.send(hl7("ADT^A01", pid(), VISIT), mode="record-only")
    assert (await feed.body("Patient"))["name"][0]["family"] == "Weber"
    assert await feed.rows("select distinct mode from event") == [{"mode": "record-only"}]


async def test_a_preview_tells_what_would_change_and_changes_nothing(feed: Feed) -> None:
    await feed.send(hl7("ADT^A04", pid()))
    before = await feed.rows("select type, id, version, lineage from resource order by id")
    seen = await feed.events()
    ids = await feed.send(
        hl7("ADT^A01", pid(f13="555-0100"), VISIT, at="20260302"),
        hl7("ADT^A40", pid(), "MRG|2002^^^HOSP^MR", at="20260303"),
        mode="preview",
    )
    assert await feed.states(*ids) == [("processed", None)] * 2
    assert await feed.rows("select type, id, version, lineage from resource order by id") == before
    assert await feed.rows("select 1 from merge union all select 1 from review") == []
    assert await feed.events() == seen
    [row] = await feed.rows("select outcome from message where id = $1", ids[0])
    assert '"Encounter"' in row["outcome"]


async def test_a_preview_among_live_messages_sees_what_they_said_and_adds_nothing(feed: Feed) -> None:
    await feed.store(hl7("ADT^A04", pid()))
    await feed.store(hl7("ADT^A08", pid(f13="555-0100"), at="20260302"), mode="preview")
    await feed.store(hl7("ADT^A08", pid(f14="555-0200"), at="20260303"))
    await feed.work()
    assert [item["value"] for item in (await feed.body("Patient"))["telecom"]] == ["555-0200"]
