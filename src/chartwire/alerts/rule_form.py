"""A rule as people write it, in the API and in configuration files: members, and what is wrong with them."""

import difflib
import math
import re
from collections.abc import Collection, Iterator
from datetime import time
from typing import Final, Literal

import msgspec

from chartwire.alerts.hours import BusinessHours
from chartwire.alerts.kinds import KINDS
from chartwire.alerts.observations import Severity
from chartwire.channels.source_checks import nearest_zone
from chartwire.core.errors import FaultsError

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Fault = tuple[str, str, str]

_WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DURATION_S_MAX: Final = 30 * 86_400.0
_REMIND_S_MIN: Final = 60.0
_STEPS_MAX, _KEYS_MAX, _CHANNELS_MAX, _CHARACTERS_MAX = 5, 50, 20, 100
_CLOCK: Final = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d")


class HoursForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When notices that are not critical are sent; outside they wait for the next opening. `opens` and `closes` are
    HH:MM in `zone` (IANA); a day that closes at or before it opens closes on the next one."""

    zone: str
    weekdays: list[Weekday] = msgspec.field(default_factory=lambda: ["mon", "tue", "wed", "thu", "fri"])
    opens: str = "08:00"
    closes: str = "18:00"

    def hours(self) -> BusinessHours:
        """As the engine asks for them."""
        days = frozenset(map(_WEEKDAYS.index, self.weekdays))
        return BusinessHours(self.zone, days, time.fromisoformat(self.opens), time.fromisoformat(self.closes))


class StepForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom to tell (channels by name) when nobody has acknowledged for `after_s` seconds since people were told."""

    after_s: float
    channels: list[str]


class RuleForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to watch and whom to tell. A rule named like its kind takes the place of the default rule.

    What is null is as the kind's default. `keys` are what it watches (`source:src_..`, `endpoint:*`): the last pattern
    that fits counts, one that begins with `!` leaves out. It fires when bad for `for_s` seconds and is over when well
    for `clear_s`. `channels` are names; none means every enabled one. `remind_every_s` 0 reminds nobody.
    """

    name: str
    kind: str
    enabled: bool | None = None
    severity: Severity | None = None
    threshold: float | None = None
    keys: list[str] = msgspec.field(default_factory=lambda: ["*"])
    for_s: float | None = None
    clear_s: float | None = None
    channels: list[str] = msgspec.field(default_factory=list)
    escalation: list[StepForm] = msgspec.field(default_factory=list)
    remind_every_s: float = 0.0
    business_hours: HoursForm | None = None

    @property
    def named(self) -> frozenset[str]:
        """The channels that it names."""
        return frozenset([*self.channels, *(name for step in self.escalation for name in step.channels)])


def check_rule(form: RuleForm, *, of: Literal["organisation", "installation"], channels: Collection[str]) -> None:
    """Raises FaultsError (`alert_rule`) with every fault; `channels` are the names that there are."""
    faults = [*_faults_of_name(form, of), *_faults_of_bounds(form), *_faults_of_people(form, channels)]
    if faults:
        raise FaultsError("not a rule that can watch", code="alert_rule", faults=faults)


def _faults_of_name(form: RuleForm, of: str) -> Iterator[Fault]:
    if not 0 < len(form.name.strip()) <= _CHARACTERS_MAX or not form.name.isprintable():
        yield "/name", "name", f"1 to {_CHARACTERS_MAX} printable characters"
    kinds = [name for name, kind in KINDS.items() if kind.of == of]
    if form.kind not in kinds:
        near = difflib.get_close_matches(form.kind, kinds, 1)
        told = f"did you mean {near[0]}?" if near else f"one of {', '.join(kinds)}"
        yield "/kind", "kind", f"this {of} watches no such thing: {told}"
    elif form.name in KINDS and form.name != form.kind:
        yield "/kind", "kind", f"a rule named {form.name} is of that kind"


def _faults_of_bounds(form: RuleForm) -> Iterator[Fault]:
    if form.threshold is not None and not (math.isfinite(form.threshold) and form.threshold >= 0):
        yield "/threshold", "threshold", "a number from 0 on"
    for name in ("for_s", "clear_s"):
        seconds = getattr(form, name)
        if seconds is not None and not 0 <= seconds <= _DURATION_S_MAX:
            yield f"/{name}", "duration", f"0 to {_DURATION_S_MAX:.0f} seconds"
    if form.remind_every_s and not _REMIND_S_MIN <= form.remind_every_s <= _DURATION_S_MAX:
        yield "/remind_every_s", "duration", f"0, or {_REMIND_S_MIN:.0f} to {_DURATION_S_MAX:.0f} seconds"
    if not 0 < len(form.keys) <= _KEYS_MAX or not all(0 < len(key) <= _CHARACTERS_MAX for key in form.keys):
        yield "/keys", "keys", f"1 to {_KEYS_MAX} patterns of 1 to {_CHARACTERS_MAX} characters"


def _faults_of_people(form: RuleForm, channels: Collection[str]) -> Iterator[Fault]:
    yield from _unknown("/channels", form.channels, channels)
    if len(form.escalation) > _STEPS_MAX:
        yield "/escalation", "escalation", f"at most {_STEPS_MAX} steps"
    before_s = 0.0
    for number, step in enumerate(form.escalation):
        place = f"/escalation/{number}"
        if not before_s < step.after_s <= _DURATION_S_MAX:
            yield f"{place}/after_s", "duration", f"more than the step before, at most {_DURATION_S_MAX:.0f} seconds"
        if not step.channels:
            yield f"{place}/channels", "channels", "a step tells at least one channel"
        yield from _unknown(f"{place}/channels", step.channels, channels)
        before_s = step.after_s
    if form.business_hours is not None:
        yield from _faults_of_hours(form.business_hours)


def _unknown(place: str, named: list[str], channels: Collection[str]) -> Iterator[Fault]:
    if len(named) > _CHANNELS_MAX:
        yield place, "channels", f"at most {_CHANNELS_MAX} channels"
    for number, name in enumerate(named):
        if name not in channels:
            yield f"{place}/{number}", "unknown_channel", "there is no alert channel of this name"


def _faults_of_hours(form: HoursForm) -> Iterator[Fault]:
    near = nearest_zone(form.zone)
    if near != form.zone:
        yield "/business_hours/zone", "unknown_zone", f"an IANA zone, such as {near or 'Europe/Zurich'}"
    if not form.weekdays:
        yield "/business_hours/weekdays", "weekdays", "at least one day"
    for name in ("opens", "closes"):
        if not _CLOCK.fullmatch(getattr(form, name)):
            yield f"/business_hours/{name}", "time", "a time as HH:MM, 00:00 to 23:59"
