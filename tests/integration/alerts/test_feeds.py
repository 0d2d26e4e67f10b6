"""A feed's silence against what it usually does, learned from the messages that are stored; by time travel."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from tests.integration.alerts.watched import Watched

from chartwire.alerts.feeds import usual_gaps
from chartwire.alerts.probes import PROBES
from chartwire.channels.sources import create_source
from chartwire.core.ids import uuid7, uuid7_floor
from chartwire.core.source import Source
from chartwire.store.pool import Pool

BERLIN = ZoneInfo("Europe/Berlin")
START = datetime(2026, 1, 26, tzinfo=BERLIN)  # a Monday
WEEKS = 2
NOW = START + timedelta(weeks=WEEKS)  # Monday, midnight


def office_hours(start: datetime, days: int, every_min: float) -> Iterator[datetime]:
    """Arrivals from 08:00 to 18:00, Monday to Friday."""
    for day in range(days):
        morning = start + timedelta(days=day, hours=8)
        if morning.weekday() < 5:
            for number in range(int(600 / every_min)):
                yield morning + timedelta(minutes=every_min * number)


class Feed:
    """A source, and messages that came at any moment."""

    def __init__(self, pool: Pool, org: UUID) -> None:
        self.pool, self.org = pool, org
        self.source = Source(org, uuid7(), "ADT", "HOSP", timezone="Europe/Berlin")
        self._count = 0

    async def open(self) -> "Feed":
        await create_source(self.pool, self.source, "plain")
        return self

    async def came(self, *moments: datetime, parent: UUID | None = None) -> None:
        ids = []
        for moment in moments:
            self._count += 1
            ids.append(UUID(int=uuid7_floor(int(moment.timestamp() * 1000)).int + self._count))
        async with self.pool.transaction(self.org) as tx:
            await tx.execute(
                "insert into message (org_id, id, source_id, received_at, state, event, control_id, charset, body_bytes,"
                " mode, parent_id) select $1, i, $2, t, 'processed', 'ADT^A01', '1', 'ASCII', 1, 'live', $5"
                " from unnest($3::uuid[], $4::timestamptz[]) as m (i, t)",
                self.org, self.source.id, ids, list(moments), parent,
            )  # fmt: skip

    async def set(self, **columns: bool) -> None:
        async with self.pool.transaction(self.org) as tx:
            for name, value in columns.items():
                await tx.execute(f"update source set {name} = $2 where id = $1", self.source.id, value)


@pytest.fixture
async def feed(pool, org_id) -> Feed:
    return await Feed(pool, org_id).open()


@pytest.fixture
async def watched(pool, engine_pool, org_id) -> Watched:
    return Watched(pool, engine_pool, org_id, {kind: PROBES[kind] for kind in ("feed_silence", "feed_gap")})


async def learn_history(watched: Watched, feed: Feed) -> None:
    """Two weeks of a message every three minutes, and the rounds that learn them, up to NOW."""
    await feed.came(*office_hours(START, 7 * WEEKS, 3))
    for number in range(7 * WEEKS + 1):
        await watched.look(NOW - timedelta(seconds=20 * (7 * WEEKS - number)))


async def watch(watched: Watched, start: datetime, minutes: int, step: float = 2) -> datetime | None:
    """Rounds from a moment on, as if there were some in between; when the silence was first told."""
    at = start
    while at <= start + timedelta(minutes=minutes):
        if at > start:
            await watched.execute(
                "update feed_watch set looked_at = $1 where looked_at = $2", at, at - timedelta(minutes=step)
            )
        await watched.look(at)
        if await watched.firing("feed_silence"):
            return at
        at += timedelta(minutes=step)
    return None


async def test_a_feed_that_stops_in_the_morning_is_missed_soon_and_told_with_its_usual_gap(watched, feed):
    await learn_history(watched, feed)
    monday = NOW + timedelta(hours=8)
    await feed.came(*(monday + timedelta(minutes=3 * number) for number in range(41)))  # the last one at 10:00
    assert await watch(watched, NOW + timedelta(hours=9, minutes=50), 10) is None
    told = await watch(watched, monday + timedelta(hours=2), 90)
    assert told is not None
    silent = told - (monday + timedelta(hours=2))
    assert timedelta(minutes=5) <= silent <= timedelta(minutes=60)
    [text] = await watched.firing("feed_silence")
    assert text == f"feed ADT silent for {silent.total_seconds() / 60:.0f} min; usually 3 min at this hour"


async def test_it_recovers_when_it_sends_again(watched, feed):
    await learn_history(watched, feed)
    stopped = NOW + timedelta(hours=10)
    await feed.came(stopped)
    told = await watch(watched, stopped, 90)
    await feed.came(told + timedelta(seconds=30))
    await watched.look(told + timedelta(minutes=1))
    [state] = [state for state, _ in (await watched.alerts()).values()]
    assert state == "recovered"


async def test_a_night_and_a_weekend_that_are_always_silent_alarm_nobody(watched, feed):
    await learn_history(watched, feed)
    friday = NOW + timedelta(days=4, hours=17, minutes=57)
    await feed.came(friday)
    assert await watch(watched, friday, 62 * 60, step=30) is None
    monday = friday + timedelta(hours=62, minutes=5)
    told = await watch(watched, monday, 120, step=5)
    assert told is not None
    assert told < monday + timedelta(minutes=90)


async def test_a_feed_whose_week_is_unknown_is_judged_by_the_fixed_bound(watched, feed):
    await feed.came(NOW - timedelta(minutes=10))
    await watched.rule("feed_silence", threshold=7200.0)
    assert await watch(watched, NOW, 130, step=2) == NOW + timedelta(minutes=122)
    [text] = await watched.firing("feed_silence")
    assert text == "feed ADT silent for 2 h"


async def test_a_feed_that_has_never_sent_is_not_missed(watched, feed):
    await watched.rule("feed_silence", threshold=60.0)
    assert await watch(watched, NOW, 20) is None


async def test_a_feed_that_is_paused_or_on_hold_is_not_missed_and_its_silence_begins_anew_after_it(watched, feed):
    await feed.came(NOW - timedelta(minutes=1))
    await watched.rule("feed_silence", threshold=1800.0)
    await watched.look(NOW)
    await feed.set(paused=True)
    assert await watch(watched, NOW + timedelta(minutes=2), 60) is None
    await feed.set(paused=False, on_hold=True)
    assert await watch(watched, NOW + timedelta(minutes=62), 10) is None
    await feed.set(on_hold=False)
    resumed = NOW + timedelta(minutes=80)
    assert await watch(watched, resumed, 60, step=2) == resumed + timedelta(minutes=32)


async def test_a_standstill_of_the_watch_is_no_silence_of_the_feeds(watched, feed):
    """Chartwire was down for three hours: what could not come is not missed at the start, but from then on."""
    await feed.came(NOW - timedelta(minutes=1))
    await watched.rule("feed_silence", threshold=1800.0)
    await watched.look(NOW)
    back = NOW + timedelta(hours=3)
    assert await watch(watched, back, 60, step=2) == back + timedelta(minutes=32)


async def test_a_replay_is_no_sign_of_life(watched, feed):
    await feed.came(NOW - timedelta(minutes=40))
    await watched.rule("feed_silence", threshold=1800.0)
    await watched.look(NOW)
    await feed.came(NOW + timedelta(minutes=20), parent=uuid7())
    assert await watch(watched, NOW + timedelta(minutes=2), 60, step=2) == NOW + timedelta(minutes=32)


async def test_the_history_is_learned_a_day_a_round_and_then_slot_by_slot(watched, feed):
    await feed.came(*office_hours(START, 7 * WEEKS, 3))
    await watched.look(NOW)
    assert await counted_until(watched) == START + timedelta(days=1, hours=8)
    for number in range(7 * WEEKS):
        await watched.look(NOW + timedelta(seconds=number))
    assert await counted_until(watched) == NOW - timedelta(minutes=15)  # late messages may still be stored
    await watched.look(NOW + timedelta(minutes=2))
    assert await counted_until(watched) == NOW
    await feed.came(NOW + timedelta(minutes=10))
    await watched.look(NOW + timedelta(minutes=17, seconds=59))
    [rhythm] = await watched.rows("select means, variances, weeks from feed_rhythm")
    monday_ten = 10 * 4
    assert (rhythm["means"][monday_ten], rhythm["variances"][monday_ten], rhythm["weeks"][monday_ten]) == (5, 0, 2)
    assert rhythm["means"][0] == 0


async def test_what_could_not_come_is_not_learned(watched, feed):
    await learn_history(watched, feed)
    await watched.look(NOW + timedelta(minutes=2))
    await feed.set(paused=True)
    monday_noon = NOW + timedelta(hours=12, minutes=1)
    await watched.look(monday_noon)
    await feed.set(paused=False)
    await watch(watched, monday_noon, 32)
    [rhythm] = await watched.rows("select weeks from feed_rhythm")
    assert (rhythm["weeks"][10 * 4], rhythm["weeks"][12 * 4], rhythm["weeks"][12 * 4 + 1]) == (2, 2, 3)


async def test_the_usual_gap_of_a_feed_is_known_for_its_listing(watched, feed, pool, org_id):
    await learn_history(watched, feed)
    other = replace(feed.source, id=uuid7(), name="LAB")
    await create_source(pool, other, "plain")
    zones = {feed.source.id: "Europe/Berlin", other.id: None}
    async with pool.transaction(org_id) as tx:
        assert await usual_gaps(tx, org_id, zones, NOW + timedelta(hours=10)) == {feed.source.id: 180.0}
        assert await usual_gaps(tx, org_id, zones, NOW + timedelta(hours=3)) == {}


async def test_a_feed_whose_week_cannot_be_learned_hides_nothing_that_is_not_well(watched, feed):
    await feed.came(*office_hours(START, 7, 3))
    watched.probes["dead_letters"] = PROBES["dead_letters"]
    await watched.rule("dead_letters", threshold=2.0)
    await watched.execute(
        "update message set state = 'dead' where control_id = '1' and id in (select id from message limit 3)"
    )
    await watched.execute("update source set settings = replace(settings, 'Europe/Berlin', 'Europe/Nowhere')")
    await watched.look(NOW)
    assert await watched.firing("dead_letters") == ["feed ADT: 3 dead messages without a decision"]
    assert await watched.rows("select 1 from feed_rhythm") == []


async def test_a_feed_can_be_bound_to_a_gap_whatever_it_usually_does(watched, feed):
    await learn_history(watched, feed)
    await watched.rule("feed_gap", enabled=True, threshold=3600.0)
    assert await watch(watched, NOW + timedelta(minutes=1), 64) is None
    [text] = await watched.firing("feed_gap")
    assert text.endswith("usually silent too at this hour")


async def counted_until(watched: Watched) -> datetime:
    [row] = await watched.rows("select counted_until from feed_rhythm")
    return row["counted_until"].astimezone(UTC)
