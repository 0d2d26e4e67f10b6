"""From what probes found to what changes: every rule against every thing that it watches. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from chartwire.alerts.observations import Observation, Seen
from chartwire.alerts.rules import Rule
from chartwire.alerts.states import Bout, Pace, Step, look
from chartwire.core.ids import uuid7

_FORGOTTEN: Final = timedelta(days=1)
"""What another machine saw and looks at no more is gone with it."""


class Place(NamedTuple):
    """What burns: a rule's name and the key of the thing."""

    rule: str
    key: str


@dataclass(frozen=True, slots=True)
class Standing:
    """A bout as it is stored."""

    id: UUID
    bout: Bout


@dataclass(frozen=True, slots=True)
class Change:
    """A bout after a look, and what is to be told. `rule` is None where the rule is gone or switched off."""

    id: UUID
    place: Place
    step: Step
    rule: Rule | None


def changes(
    rules: Mapping[str, Rule], seen: Mapping[str, Seen], burning: Mapping[Place, Standing], at: datetime
) -> Iterator[Change]:
    """What a look at `at` changes. `rules` are the enabled ones by name, `seen` what the probes found by kind: a kind
    that is missing could not be looked at now, and what burns there burns on."""
    for name, rule in rules.items():
        if rule.form.kind in seen:
            own = {place.key: standing for place, standing in burning.items() if place.rule == name}
            yield from _of_rule(rule, seen[rule.form.kind], own, at)
    for place, standing in burning.items():
        if place.rule not in rules:
            step = look(standing.bout, None, bad=False, severity=standing.bout.severity, pace=Pace(), at=at)
            yield Change(standing.id, place, step, None)


def _of_rule(rule: Rule, found: Seen, burning: Mapping[str, Standing], at: datetime) -> Iterator[Change]:
    looked = {one.key: one for one in found.things if rule.watches(one.key)}
    gone = [key for key, one in burning.items() if key not in looked
            and (key.startswith(found.covers) or at - one.bout.seen_at > _FORGOTTEN)]  # fmt: skip
    for key in (*looked, *gone):
        if change := _look(rule, key, looked.get(key), burning.get(key), at):
            yield change


def _look(rule: Rule, key: str, seen: Observation | None, standing: Standing | None, at: datetime) -> Change | None:
    bad = seen is not None and rule.is_bad(seen)
    if standing is None and not bad:
        return None
    bout = standing.bout if standing else None
    severity = (seen.severity if seen else None) or rule.severity
    step = look(bout, seen, bad=bad, severity=severity, pace=_pace(rule, bout, at), at=at)
    if step.bout is None:
        return None
    return Change(standing.id if standing else uuid7(), Place(rule.name, key), _told_when_open(rule, step), rule)


def _pace(rule: Rule, bout: Bout | None, at: datetime) -> Pace:
    """Who was not to be told before the opening is not waited for before it either, and reminded in open hours only."""
    if rule.hours is None or bout is None or bout.fired_at is None or bout.severity == "critical":
        return rule.pace
    waited_s = (rule.hours.next_open(bout.fired_at) - bout.fired_at).total_seconds()
    return replace(
        rule.pace,
        escalate_after_s=tuple(after_s + waited_s for after_s in rule.pace.escalate_after_s),
        remind_every_s=rule.pace.remind_every_s if rule.hours.next_open(at) == at else 0.0,
    )


def _told_when_open(rule: Rule, step: Step) -> Step:
    """Reminders keep their distance from when people were told, which may be the next opening."""
    bout = step.bout
    if bout is None or bout.fired_at is None or step.tells != "start":
        return step
    return step._replace(bout=replace(bout, reminded_at=rule.opening(bout.severity, bout.fired_at)))
