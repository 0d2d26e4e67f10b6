"""A thing that is not well is told once when it starts and once when it is over, whatever happens in between."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from tests.integration.alerts.watched import Lamp, Watched

from chartwire.alerts import standing, telling
from chartwire.alerts.rounds import KIND, ROUND, Rounds
from chartwire.alerts.rule_form import HoursForm, StepForm
from chartwire.core.access import Access
from chartwire.core.errors import ConflictError, NotFoundError
from chartwire.store.queries import q

EVENING = datetime(2026, 3, 4, 20, tzinfo=UTC)  # a Wednesday
OFFICE = HoursForm(zone="UTC")


def after(minutes: float) -> datetime:
    return EVENING + timedelta(minutes=minutes)


@pytest.fixture
def lamp() -> Lamp:
    return Lamp()


@pytest.fixture
async def watched(pool, engine_pool, org_id, lamp) -> Watched:
    clinic = Watched(pool, engine_pool, org_id, {"feed_silence": lamp})
    await clinic.channel("office")
    await clinic.channel("pager")
    return clinic


async def the_alert(watched: Watched) -> standing.Alert:
    async with watched.pool.transaction(watched.org) as tx:
        [alert] = await standing.list_alerts(tx, watched.access, standing.Wanted(standing.VISIBLE), 10)
    return alert


async def test_a_bout_is_told_once_at_its_start_and_once_at_its_end_though_the_process_restarts(watched, lamp):
    lamp.bad()
    for minute in range(5):
        await watched.look(after(minute))
    assert await watched.notices() == [("office", "start", "pending"), ("pager", "start", "pending")]
    await watched.sent()
    lamp.well()
    for minute in range(5, 10):
        await watched.look(after(minute))
    assert [notice[:2] for notice in await watched.notices()][2:] == [("office", "recovery"), ("pager", "recovery")]
    alert = await the_alert(watched)
    assert (alert.state, alert.since, alert.recovered_at) == ("recovered", after(0), after(5))


async def test_a_new_bout_of_the_same_thing_is_a_new_alert(watched, lamp):
    for minute, bad in enumerate((True, False, True)):
        lamp.bad() if bad else lamp.well()
        await watched.look(after(minute))
    rows = await watched.rows("select state from alert order by id")
    assert [row["state"] for row in rows] == ["recovered", "firing"]


async def test_what_was_bad_for_a_moment_leaves_nothing(watched, lamp):
    await watched.rule("feed_silence", for_s=300)
    lamp.bad()
    await watched.look(after(0))
    assert await watched.alerts() == {"feed_silence source:adt": ("pending", "silent for 14 min")}
    lamp.well()
    await watched.look(after(1))
    assert (await watched.alerts(), await watched.notices()) == ({}, [])


async def test_only_the_channels_of_the_rule_are_told_and_the_next_ones_when_nobody_answers(watched, lamp):
    await watched.rule("feed_silence", channels=["office"], escalation=[StepForm(after_s=600, channels=["pager"])])
    lamp.bad()
    for minute in (0, 5, 10, 15):
        await watched.look(after(minute))
        await watched.sent()
    assert [notice[:2] for notice in await watched.notices()] == [("office", "start"), ("pager", "escalation")]
    lamp.well()
    await watched.look(after(20))
    assert [notice[:2] for notice in await watched.notices()][2:] == [("office", "recovery"), ("pager", "recovery")]


async def test_who_acknowledges_stops_the_escalation_and_those_who_know_are_told_so(watched, lamp):
    await watched.rule("feed_silence", channels=["office"], escalation=[StepForm(after_s=600, channels=["pager"])])
    lamp.bad()
    await watched.look(after(0))
    await watched.sent()
    alert = await the_alert(watched)
    async with watched.pool.transaction(watched.org) as tx:
        known = await standing.acknowledge(tx, watched.access, alert.id, "the interface engine restarts")
        again = await standing.acknowledge(tx, watched.access, alert.id, None)
    assert (known.state, known.acknowledged_by, again.note) == (
        "acknowledged", "key:nurse", "the interface engine restarts",
    )  # fmt: skip
    await watched.look(after(60))
    lamp.well()
    await watched.look(after(61))
    assert [notice[:2] for notice in await watched.notices()] == [
        ("office", "start"), ("office", "acknowledged"), ("office", "recovery"),
    ]  # fmt: skip
    async with watched.pool.transaction(watched.org) as tx:
        with pytest.raises(ConflictError):
            await standing.acknowledge(tx, watched.access, alert.id, None)


async def test_a_snooze_puts_the_escalation_off(watched, lamp):
    await watched.rule("feed_silence", channels=["office"], escalation=[StepForm(after_s=600, channels=["pager"])])
    lamp.bad()
    await watched.look(after(0))
    async with watched.pool.transaction(watched.org) as tx:
        alert_id = (await standing.list_alerts(tx, watched.access, standing.Wanted(), 10))[0].id
        await standing.snooze(tx, watched.access, alert_id, after(120))
    await watched.look(after(100))
    assert len(await watched.notices()) == 1
    await watched.look(after(131))
    assert [notice[:2] for notice in await watched.notices()][1:] == [("pager", "escalation")]


async def test_a_warning_of_the_night_waits_for_the_morning_and_is_never_told_when_it_is_over_by_then(watched, lamp):
    await watched.rule("feed_silence", business_hours=OFFICE, channels=["office"])
    lamp.bad()
    await watched.look(after(0))
    [waiting] = await watched.rows("select send_at from alert_notice")
    assert waiting["send_at"] == datetime(2026, 3, 5, 8, tzinfo=UTC)
    lamp.well()
    await watched.look(after(30))
    assert await watched.notices() == [("office", "start", "withdrawn")]


async def test_a_critical_alert_of_the_night_is_told_in_the_night_and_so_is_its_end(watched, lamp):
    await watched.rule("feed_silence", business_hours=OFFICE, channels=["pager"], severity="critical")
    lamp.bad()
    await watched.look(after(0))
    await watched.sent()
    lamp.well()
    await watched.look(after(30))
    rows = await watched.rows("select kind, send_at from alert_notice order by id")
    assert [(row["kind"], row["send_at"]) for row in rows] == [("start", after(0)), ("recovery", after(30))]


async def test_a_waiting_warning_that_becomes_critical_is_told_at_once_and_not_again_in_the_morning(watched, lamp):
    await watched.rule("feed_silence", business_hours=OFFICE, channels=["pager"])
    lamp.bad()
    await watched.look(after(0))
    lamp.bad(severity="critical")
    await watched.look(after(10))
    rows = await watched.rows("select kind, state, send_at from alert_notice order by id")
    assert [(row["kind"], row["state"]) for row in rows] == [("start", "withdrawn"), ("escalation", "pending")]
    assert rows[1]["send_at"] == after(10)


async def test_the_end_of_a_warning_of_the_day_waits_for_the_morning_when_it_comes_at_night(watched, lamp):
    noon = EVENING - timedelta(hours=8)
    await watched.rule("feed_silence", business_hours=OFFICE, channels=["office"])
    lamp.bad()
    await watched.look(noon)
    await watched.sent()
    lamp.well()
    await watched.look(EVENING)
    rows = await watched.rows("select send_at from alert_notice where kind = 'recovery'")
    assert [row["send_at"] for row in rows] == [datetime(2026, 3, 5, 8, tzinfo=UTC)]


async def test_a_probe_that_cannot_look_ends_nothing_and_hides_no_other(watched, lamp):
    other = Lamp()
    watched.probes["lane_age"] = other
    await watched.rule("lane_age", for_s=0)
    lamp.bad()
    await watched.look(after(0))
    lamp.fails = True
    other.bad("lanes")
    await watched.look(after(1))
    assert {place: state for place, (state, _) in (await watched.alerts()).items()} == {
        "feed_silence source:adt": "firing",
        "lane_age lanes": "firing",
    }


async def test_a_rule_that_is_switched_off_ends_what_it_lit_and_tells_those_who_were_told(watched, lamp):
    lamp.bad()
    await watched.look(after(0))
    await watched.sent()
    await watched.rule("feed_silence", enabled=False)
    await watched.look(after(1))
    assert [notice[1] for notice in await watched.notices()] == ["start", "start", "recovery", "recovery"]
    await watched.look(after(2))
    assert len(await watched.notices()) == 4


async def test_nobody_sees_or_answers_the_alerts_of_another_organisation(watched, lamp, other_org_id):
    lamp.bad()
    await watched.look(after(0))
    alert = await the_alert(watched)
    stranger = Access(other_org_id, "key:stranger", "HOPERAT", frozenset({"*"}))
    async with watched.pool.transaction(other_org_id) as tx:
        assert await standing.list_alerts(tx, stranger, standing.Wanted(standing.VISIBLE), 10) == []
        with pytest.raises(NotFoundError):
            await standing.acknowledge(tx, stranger, alert.id, None)


async def test_a_round_that_another_took_over_writes_nothing(watched, lamp):
    lamp.bad()
    rounds = Rounds(watched.pool, watched.engine_pool, watched.probes)
    async with watched.pool.connection() as connection:
        await connection.execute(q.enroll_organisations, ROUND, KIND)
    async with watched.engine_pool.connection() as connection:
        [ours] = await connection.fetch(q.claim_due, KIND, 0.0, 10)
        await asyncio.sleep(0.01)
        [theirs] = await connection.fetch(q.claim_due, KIND, 120.0, 10)
    await rounds.round(watched.org, after(0), ours["fence"])
    assert await watched.alerts() == {}
    await rounds.round(watched.org, after(0), theirs["fence"])
    assert list(await watched.alerts()) == ["feed_silence source:adt"]


async def test_several_workers_light_one_alert_and_write_one_notice_a_channel(watched, lamp, other_org_id):
    lamp.bad()
    workers = [Rounds(watched.pool, watched.engine_pool, watched.probes) for _ in range(3)]
    await asyncio.gather(*(worker.turn() for worker in workers))
    assert sorted(await watched.notices()) == [("office", "start", "pending"), ("pager", "start", "pending")]
    other = Watched(watched.pool, watched.engine_pool, other_org_id)
    assert list(await other.alerts()) == ["feed_silence source:adt"]
    async with watched.engine_pool.connection() as connection:
        assert await connection.fetch(q.claim_due, KIND, 1.0, 10) == []


async def test_what_is_to_be_told_is_sent_beside_the_rounds_and_its_fault_stops_none(watched, lamp):
    sent: list[UUID] = []

    async def deliver(org: UUID) -> None:
        sent.append(org)
        raise RuntimeError("a channel that breaks")

    lamp.bad()
    stop = asyncio.Event()
    rounds = Rounds(watched.pool, watched.engine_pool, watched.probes, deliver)
    running = asyncio.create_task(rounds.run(stop))
    async with asyncio.timeout(10):
        while not sent:
            await asyncio.sleep(0.01)
    stop.set()
    await running
    assert sent == [watched.org]


async def test_an_alert_whose_notices_could_not_be_written_is_not_lit_either(watched, lamp, monkeypatch):
    async def breaks(*_: object) -> None:
        raise RuntimeError("the process died here")

    lamp.bad()
    with monkeypatch.context() as broken:
        broken.setattr(telling, "tell", breaks)
        with pytest.raises(RuntimeError):
            await watched.look(after(0))
    assert await watched.alerts() == {}
    await watched.look(after(1))
    assert [notice[1] for notice in await watched.notices()] == ["start", "start"]


async def test_a_rule_of_another_release_leaves_the_default_in_its_place(watched, lamp):
    await watched.rule("feed_silence", enabled=False)
    await watched.execute("update alert_rule set settings = replace(settings, 'feed_silence', 'feed_of_tomorrow')")
    lamp.bad()
    await watched.look(after(0))
    assert list(await watched.alerts()) == ["feed_silence source:adt"]


async def test_alerts_are_forgotten_after_more_than_a_year(watched, lamp):
    lamp.bad()
    await watched.look(after(0))
    await watched.sent()
    lamp.well()
    await watched.look(after(1))
    await watched.look(after(0) + timedelta(days=399))
    assert len(await watched.notices()) == 4
    await watched.look(after(0) + timedelta(days=401))
    assert (await watched.alerts(), await watched.notices()) == ({}, [])
