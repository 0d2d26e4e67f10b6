"""What can be watched is one table, and a rule that cannot watch is refused with every reason."""

from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from chartwire.alerts.kinds import KINDS
from chartwire.alerts.observations import Observation
from chartwire.alerts.probes import PROBES
from chartwire.alerts.rule_form import HoursForm, RuleForm, StepForm, check_rule
from chartwire.alerts.rules import Rule, default_rules
from chartwire.app.watching import Machine
from chartwire.core.errors import FaultsError

DOCS = Path(__file__).parents[3] / "docs"
SILENCE = RuleForm(name="Laboratory", kind="feed_silence")


def default(kind: str) -> Rule:
    of = UUID(int=0) if KINDS[kind].of == "installation" else uuid4()
    return next(rule for rule in default_rules(of) if rule.name == kind)


def faults(form: RuleForm, *channels: str) -> list[tuple[str, str]]:
    with pytest.raises(FaultsError) as refused:
        check_rule(form, of="organisation", channels=channels)
    return [(pointer, code) for pointer, code, _ in refused.value.faults]


def test_every_kind_that_can_be_watched_has_exactly_one_probe() -> None:
    machine = Machine.__new__(Machine).probes
    assert not PROBES.keys() & machine.keys()
    assert PROBES.keys() | machine.keys() == KINDS.keys()
    assert {name for name in machine if KINDS[name].of == "organisation"} == set()


def test_the_page_that_helps_is_there_for_every_kind_that_names_one() -> None:
    assert [kind.page for kind in KINDS.values() if kind.page and not (DOCS / kind.page).exists()] == []


def test_an_organisation_and_the_installation_watch_different_things() -> None:
    own = {rule.name for rule in default_rules(uuid4())}
    installation = {rule.name for rule in default_rules(UUID(int=0))}
    assert "feed_silence" in own
    assert "disk_free" in installation
    assert not own & installation


def test_the_bound_itself_is_still_well_on_both_sides() -> None:
    age, free = default("backup_age"), default("disk_free")
    assert not age.is_bad(Observation("backup", age.threshold, ""))
    assert age.is_bad(Observation("backup", age.threshold + 1, ""))
    assert not free.is_bad(Observation("volume", free.threshold, ""))
    assert free.is_bad(Observation("volume", free.threshold - 0.01, ""))


def test_what_a_probe_says_itself_goes_above_the_bound() -> None:
    silence = default("feed_silence")
    assert silence.is_bad(Observation("source:a", 60.0, "", bad=True))
    assert not silence.is_bad(Observation("source:a", 1e6, "", bad=False))


@pytest.mark.parametrize(
    ("keys", "watched"),
    [
        (["*"], {"source:adt", "source:lab"}),
        (["source:lab"], {"source:lab"}),
        (["*", "!source:lab"], {"source:adt"}),
        (["*", "!source:*", "source:lab"], {"source:lab"}),
    ],
)
def test_the_last_pattern_that_fits_says_whether_a_thing_is_watched(keys: list[str], watched: set[str]) -> None:
    rule = replace(default("feed_silence"), form=RuleForm(name="feed_silence", kind="feed_silence", keys=keys))
    assert {key for key in ("source:adt", "source:lab") if rule.watches(key)} == watched


def test_every_fault_of_a_rule_is_told_with_its_place() -> None:
    form = RuleForm(
        name="dead_letters",
        kind="feed_silense",
        threshold=-1.0,
        for_s=-5.0,
        remind_every_s=1.0,
        keys=[],
        channels=["office", "nobody"],
        escalation=[StepForm(after_s=600, channels=["office"]), StepForm(after_s=300, channels=[])],
        business_hours=HoursForm(zone="Europe/Berln", weekdays=[], opens="8", closes="25:00"),
    )
    assert faults(form, "office") == [
        ("/kind", "kind"),
        ("/threshold", "threshold"),
        ("/for_s", "duration"),
        ("/remind_every_s", "duration"),
        ("/keys", "keys"),
        ("/channels/1", "unknown_channel"),
        ("/escalation/1/after_s", "duration"),
        ("/escalation/1/channels", "channels"),
        ("/business_hours/zone", "unknown_zone"),
        ("/business_hours/weekdays", "weekdays"),
        ("/business_hours/opens", "time"),
        ("/business_hours/closes", "time"),
    ]


def test_a_practice_cannot_watch_the_disk_nor_name_a_rule_after_another_kind() -> None:
    assert faults(RuleForm(name="disk", kind="disk_free")) == [("/kind", "kind")]
    assert faults(RuleForm(name="dead_letters", kind="feed_silence")) == [("/kind", "kind")]
    check_rule(SILENCE, of="organisation", channels=())
