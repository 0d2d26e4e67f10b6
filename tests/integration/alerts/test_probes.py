"""Each probe finds what it is there for, on real rows, and nothing of another organisation; no text has patient data."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from tests.integration.feed import Feed, hl7, pid

from chartwire.alerts.observations import Look, Observation
from chartwire.alerts.probes import PROBES, database
from chartwire.channels import halts
from chartwire.core.access import Access
from chartwire.core.ids import PREFIXES, to_prefixed, uuid7
from chartwire.store.partitions import ensure_partitions
from chartwire.store.pool import Pool

NOW = datetime.now(UTC)


class Finder:
    """Looks with one probe."""

    def __init__(self, pool: Pool, org: UUID) -> None:
        self.pool, self.org = pool, org

    async def find(self, kind: str, at: datetime | None = None) -> list[Observation]:
        async with self.pool.transaction(self.org) as tx:
            seen = await PROBES[kind](Look(tx, self.org, at or datetime.now(UTC)))
        return [] if seen is None else list(seen.things)

    async def value(self, kind: str, at: datetime | None = None) -> float:
        [found] = await self.find(kind, at)
        return found.value

    async def execute(self, sql: str, *args: Any) -> None:
        async with self.pool.transaction(self.org) as tx:
            await tx.execute(sql, *args)


@pytest.fixture
def finder(pool, org_id) -> Finder:
    return Finder(pool, org_id)


@pytest.fixture
def stranger(pool, other_org_id) -> Finder:
    return Finder(pool, other_org_id)


@pytest.fixture
async def feed(pool, engine_pool, org_id) -> Feed:
    return await Feed(pool, engine_pool, org_id, name="ADT").open()


def key_of(feed: Feed) -> str:
    return f"source:{to_prefixed(PREFIXES['source'], feed.source.id)}"


async def test_dead_messages_are_counted_by_feed_and_by_cause_and_name_no_patient(finder, stranger, feed):
    await feed.send(*(hl7("ADT^A01", "EVN|A01", pid(mrn="")) for _ in range(3)))
    await finder.execute(
        "update message set state = 'dead', error_code = 'no_identifier', error_location = 'PID-3', decision = null"
    )
    [by_feed] = await finder.find("dead_letters")
    assert (by_feed.key, by_feed.value) == (key_of(feed), 3)
    [cause] = await finder.find("dead_letter_cause")
    assert (cause.value, cause.text) == (3, "feed ADT: 3 dead messages ADT^A01, no_identifier")
    assert "Weber" not in by_feed.text + cause.text
    assert await stranger.find("dead_letters") == await stranger.find("dead_letter_cause") == []
    await finder.execute("update message set decision = 'discarded'")
    assert await finder.find("dead_letters") == await finder.find("dead_letter_cause") == []


async def test_the_share_of_refused_messages_is_that_of_the_last_quarter_of_an_hour(finder, stranger, feed):
    ids = await feed.store(*(hl7("ADT^A01", "EVN|A01", pid()) for _ in range(20)))
    await finder.execute("update message set state = 'dead', ack_code = 'AE' where id = any($1)", ids[:4])
    assert await finder.find("ack_error_rate") == []
    await finder.execute("update message set state = 'dead', ack_code = 'AR' where id = $1", ids[4])
    [found] = await finder.find("ack_error_rate")
    assert (found.key, found.value) == (key_of(feed), 0.25)
    assert await finder.find("ack_error_rate", datetime.now(UTC) + timedelta(minutes=16)) == []
    assert await stranger.find("ack_error_rate") == []


async def test_a_message_that_waits_ages_and_one_on_hold_does_not(finder, feed):
    assert await finder.value("lane_age") == 0
    await feed.store(hl7("ADT^A01", "EVN|A01", pid()))
    later = datetime.now(UTC) + timedelta(minutes=10)
    assert 599 < await finder.value("lane_age", later) < 660
    access = Access(feed.org, "key:nurse", "HOPERAT", frozenset({"*"}))
    async with feed.pool.transaction(feed.org) as tx:
        await halts.begin(tx, access, feed.source.id, "hold", "new interface engine")
    await feed.work()
    assert await finder.value("lane_age", later) == 0
    [halted] = await finder.find("feed_halted", later)
    assert halted.value > 599
    assert halted.text == "feed ADT is on hold for 10 min"
    async with feed.pool.transaction(feed.org) as tx:
        await halts.end(tx, access, feed.source.id, "hold")
    assert await finder.find("feed_halted", later) == []


async def test_cases_are_counted_and_lanes_that_wait_for_one_age(finder, stranger):
    review, lane = uuid7(), uuid7()
    await finder.execute("insert into review (org_id, id, kind) values ($1, $2, 'identity')", finder.org, review)
    assert await finder.value("review_backlog") == 1
    assert await finder.value("review_wait") == 0
    await finder.execute(
        "insert into lane_hold (org_id, lane_id, review_id, since) values ($1, $2, $3, $4)",
        finder.org, lane, review, NOW - timedelta(hours=5),
    )  # fmt: skip
    assert await finder.value("review_wait", NOW) == 5 * 3600
    assert (await stranger.value("review_backlog"), await stranger.value("review_wait")) == (0, 0)


async def test_endpoints_that_fail_or_were_switched_off_are_found_and_those_of_their_owner_are_not(finder, stranger):
    failing, gone = await endpoint(finder, "billing"), await endpoint(finder, "lab")
    await endpoint(finder, "well")
    off = await endpoint(finder, "switched off by hand")
    hour_ago = NOW - timedelta(hours=1)
    await finder.execute("update destination set failing_since = $2 where id = $1", failing, hour_ago)
    await finder.execute(
        "update destination set state = 'disabled', state_reason = 'gone', disabled_at = $2 where id = $1",
        gone,
        hour_ago,
    )
    await finder.execute(
        "update destination set state = 'disabled', state_reason = 'by_owner', disabled_at = $2 where id = $1",
        off,
        hour_ago,
    )
    [one] = await finder.find("endpoint_failing", NOW)
    assert (one.value, one.text) == (3600, "endpoint billing fails for 60 min")
    [other] = await finder.find("endpoint_disabled", NOW)
    assert other.text == "endpoint lab was switched off: it answered 410, gone"
    assert await stranger.find("endpoint_failing") == await stranger.find("endpoint_disabled") == []


async def test_a_delivery_that_is_due_is_late_and_one_that_waits_for_its_next_try_is_not(finder):
    behind, patient = await endpoint(finder, "billing"), await endpoint(finder, "lab")
    for target, due in ((behind, NOW - timedelta(minutes=20)), (patient, NOW + timedelta(minutes=20))):
        await finder.execute(
            "insert into delivery (org_id, event_id, destination_id, state, next_attempt_at, created_at, body)"
            " values ($1, $2, $3, 'retrying', $4, $5, '')",
            finder.org, uuid7(), target, due, NOW - timedelta(hours=1),
        )  # fmt: skip
    [late] = await finder.find("delivery_lag", NOW)
    assert (late.key, late.value) == (f"endpoint:{to_prefixed(PREFIXES['endpoint'], behind)}", 1200)
    assert late.text == "deliveries to endpoint billing are 20 min late"


async def test_keys_that_end_are_told_in_days_and_forgotten_a_week_after_their_end(finder, stranger):
    for name, days in (("soon", 3), ("ended", -2), ("long ago", -8), ("never", None)):
        await credential(finder, name, days)
    await credential(stranger, "of another", 1)
    found = {one.text: round(one.value) for one in await finder.find("key_expiry", NOW)}
    assert found == {"API key soon ...4321 ends in 3 days": 3, "API key ended ...4321 has ended": -2}


async def test_a_sender_whose_clock_is_ahead_is_found_and_one_that_was_late_is_not(finder, feed):
    clock = (datetime.now(UTC) + timedelta(minutes=10)).strftime("%Y%m%d%H%M%S+0000")
    await feed.store(*(hl7("ADT^A01", "EVN|A01", pid(), at=clock) for _ in range(5)))
    late = await feed.other_source()
    await feed.store(*(hl7("ADT^A01", "EVN|A01", pid(), at="20260301120000") for _ in range(5)), source=late)
    found = {one.key: one.value for one in await finder.find("sender_clock")}
    assert 590 < found[key_of(feed)] < 605
    assert max(value for key, value in found.items() if key != key_of(feed)) < 0


async def test_a_month_without_a_partition_is_missed_before_it_begins(finder, database):
    await ensure_partitions(database.admin_dsn, NOW)
    assert await finder.value("partitions", NOW) == 0
    [missing] = await finder.find("partitions", NOW + timedelta(days=92))
    assert missing.value >= 7
    assert "message" in missing.text


async def test_the_database_is_asked_for_its_clock_and_its_time_to_answer(finder, monkeypatch):
    assert await finder.value("clock_skew") < 1.5
    monkeypatch.setattr(database.clock, "now", lambda: datetime.now(UTC) - timedelta(seconds=30))
    assert 28 < await finder.value("clock_skew") < 32
    assert 0 < await finder.value("database_slow") < 60_000


async def endpoint(finder: Finder, name: str) -> UUID:
    endpoint_id = uuid7()
    await finder.execute(
        "insert into destination (org_id, id, kind, name, url, event_types, secrets, api_version)"
        " values ($1, $2, 'webhook', $3, 'https://example.org', '{}', '', '2026-11-20')",
        finder.org, endpoint_id, name,
    )  # fmt: skip
    return endpoint_id


async def credential(finder: Finder, name: str, days: int | None) -> None:
    key_id = uuid7()
    ends = None if days is None else NOW + timedelta(days=days)
    await finder.execute(
        "insert into credential (key_hash, credential_id, org_id, scopes, last_four, expires_at)"
        " values ($1, $2, $3, '{}', '4321', $4)",
        key_id.bytes, key_id, finder.org, ends,
    )  # fmt: skip
    await finder.execute(
        "insert into credential_label (org_id, credential_id, name) values ($1, $2, $3)", finder.org, key_id, name
    )
