"""From well to burning and back: what one look at a thing changes, and who is to be told. Pure.

    well --bad--> pending --bad for `for_s`--> firing --well for `clear_s`--> recovered
                     |                           |  ^
                     +--well--> withdrawn        +--+-- acknowledged (nobody is reminded; recovery is told)

One bout tells `start` once and `recovery` once; that it became worse is told as an escalation, and what was critical
once stays so until it is over. A thing that flaps within `clear_s` burns on and tells nobody. Every step follows from
the bout as stored and the time, so that a restart in between tells nobody twice.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from chartwire.alerts.observations import NoticeKind, Observation, Severity

State = Literal["pending", "firing", "acknowledged", "recovered", "withdrawn"]
OPEN: frozenset[State] = frozenset({"pending", "firing", "acknowledged"})
_RANK: dict[Severity, int] = {"info": 0, "warning": 1, "critical": 2}


@dataclass(frozen=True, slots=True)
class Pace:
    """How a rule burns: seconds that a thing must be bad before it fires, and well before it is over; after how many
    seconds of silence each escalation step is told, and how often people are reminded (0: never)."""

    for_s: float = 0.0
    clear_s: float = 0.0
    escalate_after_s: tuple[float, ...] = ()
    remind_every_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Bout:
    """One time that a thing is not well, from its first bad look on."""

    state: State
    severity: Severity
    summary: str
    value: float
    since: datetime
    seen_at: datetime
    fired_at: datetime | None = None
    well_since: datetime | None = None
    recovered_at: datetime | None = None
    snoozed_until: datetime | None = None
    escalated: int = 0
    reminded_at: datetime | None = None


class Step(NamedTuple):
    """The bout after a look (None: there is none), and what is to be told of it. `level` counts escalations from 1; one
    of level 0 says that it became worse, to whoever was reached by now, also to who has acknowledged it."""

    bout: Bout | None
    tells: NoticeKind | None = None
    level: int = 0

    @property
    def rose(self) -> bool:
        """Whether it became worse."""
        return self.tells == "escalation" and self.level == 0


def look(
    bout: Bout | None, seen: Observation | None, *, bad: bool, severity: Severity, pace: Pace, at: datetime
) -> Step:
    """One look at `at` (aware). `seen` is None for what is there no more, which is as good as well."""
    if seen is not None and bad:
        return _bad(bout, seen, severity, pace, at)
    return Step(None) if bout is None else _well(bout, seen, pace, at)


def _bad(bout: Bout | None, seen: Observation, severity: Severity, pace: Pace, at: datetime) -> Step:
    if bout is None:
        bout = Bout("pending", severity, seen.text, seen.value, since=at, seen_at=at)
    rose = _RANK[severity] > _RANK[bout.severity]
    severity = severity if rose else bout.severity
    bout = replace(bout, severity=severity, summary=seen.text, value=seen.value, seen_at=at, well_since=None)
    if bout.state == "pending":
        if at - bout.since < timedelta(seconds=pace.for_s):
            return Step(bout)
        return Step(replace(bout, state="firing", fired_at=at, reminded_at=at), "start")
    if rose:
        return Step(replace(bout, reminded_at=at), "escalation")
    return _unheard(bout, pace, at) if bout.state == "firing" else Step(bout)


def _unheard(bout: Bout, pace: Pace, at: datetime) -> Step:
    """Nobody has said that they know: tell the next step, or remind."""
    if bout.fired_at is None or (bout.snoozed_until is not None and at < bout.snoozed_until):
        return Step(bout)
    waited_s = (at - max(bout.fired_at, bout.snoozed_until or bout.fired_at)).total_seconds()
    level = bout.escalated + 1
    if level <= len(pace.escalate_after_s) and waited_s >= pace.escalate_after_s[level - 1]:
        return Step(replace(bout, escalated=level, reminded_at=at), "escalation", level)
    told_at = bout.reminded_at or bout.fired_at
    if pace.remind_every_s and (at - told_at).total_seconds() >= pace.remind_every_s:
        return Step(replace(bout, reminded_at=at), "reminder", bout.escalated)
    return Step(bout)


def _well(bout: Bout, seen: Observation | None, pace: Pace, at: datetime) -> Step:
    if bout.state == "pending":
        return Step(replace(bout, state="withdrawn", seen_at=at, recovered_at=at))
    well_since = bout.well_since or at
    bout = replace(bout, seen_at=at, well_since=well_since)
    if seen is not None and at - well_since < timedelta(seconds=pace.clear_s):
        return Step(bout)
    return Step(replace(bout, state="recovered", recovered_at=at), "recovery", bout.escalated)
