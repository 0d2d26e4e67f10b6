"""Rules against what probes found: what starts, goes on, ends, and when people are told."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from uuid import uuid4

from chartwire.alerts.hours import BusinessHours
from chartwire.alerts.judging import Change, Place, Standing, changes
from chartwire.alerts.observations import Observation, Seen
from chartwire.alerts.rule_form import RuleForm, StepForm
from chartwire.alerts.rules import Rule, default_rules
from chartwire.alerts.states import Bout, Pace

EVENING = datetime(2026, 3, 4, 20, tzinfo=UTC)  # a Wednesday
OFFICE = BusinessHours("UTC", opens=time(8), closes=time(18))
BAD, WELL = Observation("source:adt", 99.0, "silent", bad=True), Observation("source:adt", 1.0, "", bad=False)


def rule(**settings: object) -> Rule:
    default = next(one for one in default_rules(uuid4()) if one.name == "feed_silence")
    return replace(default, **settings)


def looks(rules: list[Rule], *seen: Observation, burning: dict[Place, Standing] | None = None,
          at: datetime = EVENING, covers: str = "") -> list[Change]:  # fmt: skip
    by_kind = {"feed_silence": Seen(seen, covers)}
    return list(changes({one.name: one for one in rules}, by_kind, burning or {}, at))


def standing(changed: Change) -> dict[Place, Standing]:
    assert changed.step.bout is not None
    return {changed.place: Standing(changed.id, changed.step.bout)}


def test_what_is_well_leaves_no_trace() -> None:
    assert looks([rule()], WELL) == []


def test_a_bout_keeps_its_id_from_look_to_look() -> None:
    [first] = looks([rule()], BAD)
    [second] = looks([rule()], BAD, burning=standing(first), at=EVENING + timedelta(minutes=1))
    assert (first.step.tells, second.step.tells) == ("start", None)
    assert first.id == second.id


def test_a_thing_that_is_no_more_is_over_unless_it_stands_on_another_machine() -> None:
    [first] = looks([rule()], replace(BAD, key="north/disk"))
    burning = standing(first)
    [gone] = looks([rule()], burning=burning, covers="north/")
    assert gone.step.tells == "recovery"
    assert looks([rule()], burning=burning, covers="south/") == []
    [forgotten] = looks([rule()], burning=burning, covers="south/", at=EVENING + timedelta(days=2))
    assert forgotten.step.tells == "recovery"


def test_a_kind_that_could_not_be_looked_at_burns_on() -> None:
    [first] = looks([rule()], BAD)
    assert list(changes({"feed_silence": rule()}, {}, standing(first), EVENING + timedelta(hours=1))) == []


def test_what_burns_under_a_rule_that_is_gone_ends() -> None:
    [first] = looks([rule()], BAD)
    [ended] = looks([], BAD, burning=standing(first))
    assert (ended.rule, ended.step.tells) == (None, "recovery")


def test_a_thing_that_a_rule_no_longer_means_ends() -> None:
    [first] = looks([rule()], BAD)
    narrow = rule(form=RuleForm(name="feed_silence", kind="feed_silence", keys=["source:lab"]))
    [ended] = looks([narrow], BAD, burning=standing(first))
    assert ended.step.tells == "recovery"


def test_who_is_told_in_the_morning_is_waited_for_from_the_morning_on() -> None:
    """A warning of the evening: told at 08:00, escalated at 08:30, not in the night."""
    form = RuleForm(name="feed_silence", kind="feed_silence", escalation=[StepForm(after_s=1800, channels=["chief"])])
    calm = rule(hours=OFFICE, pace=Pace(escalate_after_s=(1800.0,)), form=form)
    [first] = looks([calm], BAD)
    burning, told = standing(first), []
    for minutes in range(0, 14 * 60, 10):
        at = EVENING + timedelta(minutes=minutes)
        [change] = looks([calm], BAD, burning=burning, at=at)
        burning = standing(change)
        told += [(at.hour, at.minute)] if change.step.tells == "escalation" else []
    assert told == [(8, 30)]


def test_a_critical_alert_escalates_in_the_night() -> None:
    urgent = rule(hours=OFFICE, severity="critical", pace=Pace(escalate_after_s=(1800.0,)))
    [first] = looks([urgent], BAD)
    [later] = looks([urgent], BAD, burning=standing(first), at=EVENING + timedelta(minutes=30))
    assert later.step.tells == "escalation"


def test_reminders_come_in_opening_hours_and_a_whole_interval_after_people_were_told() -> None:
    calm = rule(hours=OFFICE, pace=Pace(remind_every_s=3600.0))
    [first] = looks([calm], BAD)
    burning, told = standing(first), []
    for minutes in range(0, 24 * 60, 15):
        at = EVENING + timedelta(minutes=minutes)
        [change] = looks([calm], BAD, burning=burning, at=at)
        burning = standing(change)
        told += [at.hour] if change.step.tells == "reminder" else []
    assert told == [9, 10, 11, 12, 13, 14, 15, 16, 17]


def test_a_warning_that_becomes_critical_is_told_even_to_who_acknowledged_it() -> None:
    [first] = looks([rule()], BAD)
    known = {place: Standing(one.id, replace(one.bout, state="acknowledged")) for place, one in standing(first).items()}
    [worse] = looks([rule()], replace(BAD, severity="critical"), burning=known)
    assert worse.step.rose
    [same] = looks([rule()], BAD, burning=standing(worse))
    assert (same.step.tells, same.step.bout and same.step.bout.severity) == (None, "critical")


def test_two_rules_of_one_kind_judge_apart() -> None:
    strict = rule(form=RuleForm(name="strict", kind="feed_silence"), threshold=10.0)
    unknown = Observation("source:new", 60.0, "silent")
    assert [one.place.rule for one in looks([rule(), strict], unknown)] == ["strict"]


def test_a_bout_that_never_fired_is_withdrawn() -> None:
    slow = rule(pace=Pace(for_s=600))
    [first] = looks([slow], BAD)
    [over] = looks([slow], WELL, burning=standing(first), at=EVENING + timedelta(minutes=1))
    assert isinstance(over.step.bout, Bout)
    assert (over.step.bout.state, over.step.tells) == ("withdrawn", None)
