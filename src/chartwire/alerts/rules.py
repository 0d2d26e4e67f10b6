"""What is watched in an organisation: the default rule of each kind, what stands in its place, and rules of its own.

All within the caller's transaction, which is bound to the organisation. The next round takes a change up.
"""

from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Final, Literal
from uuid import UUID

import msgspec
import structlog

from chartwire.alerts.hours import BusinessHours
from chartwire.alerts.kinds import KINDS, Kind
from chartwire.alerts.observations import Observation, Severity
from chartwire.alerts.rule_form import RuleForm, check_rule
from chartwire.alerts.states import Pace
from chartwire.channels.sources import INSTALLATION
from chartwire.core.access import Access
from chartwire.core.errors import ConflictError, NotFoundError
from chartwire.core.ids import uuid7
from chartwire.store.pool import Connection, Row
from chartwire.store.queries import q

RULES_PER_ORGANISATION_MAX: Final = 200
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule as it works: what `form` leaves open is as its kind has it. `id` is None for a default as it comes."""

    form: RuleForm
    id: UUID | None
    version: int
    created_at: datetime | None
    updated_at: datetime | None
    enabled: bool
    severity: Severity
    threshold: float
    pace: Pace
    hours: BusinessHours | None

    @property
    def name(self) -> str:
        """What it is called; one of its organisation."""
        return self.form.name

    @property
    def kind(self) -> Kind:
        """What it watches."""
        return KINDS[self.form.kind]

    def watches(self, key: str) -> bool:
        """Whether a thing of its kind is meant."""
        meant = False
        for pattern in self.form.keys:
            if fnmatchcase(key, pattern.removeprefix("!")):
                meant = not pattern.startswith("!")
        return meant

    def is_bad(self, seen: Observation) -> bool:
        """Whether what was found is beyond the bound, where the probe does not say so itself."""
        if seen.bad is not None:
            return seen.bad
        return seen.value > self.threshold if self.kind.bad == "above" else seen.value < self.threshold

    def opening(self, severity: Severity, at: datetime) -> datetime:
        """When a notice of `at` goes out: at once where it is critical or the rule has no hours, else in open hours."""
        return at if self.hours is None or severity == "critical" else self.hours.next_open(at)


def default_rules(org: UUID) -> list[Rule]:
    """What is watched in an organisation that says nothing."""
    of = level_of(org)
    return [_rule(RuleForm(name=name, kind=name)) for name, kind in KINDS.items() if kind.of == of]


async def effective_rules(tx: Connection, org: UUID) -> list[Rule]:
    """Every rule of an organisation, switched-off ones too: the defaults in their order, then its own by name."""
    own = {rule.name: rule for row in await tx.fetch(q.alert_rules_of, org, None) if (rule := _stored(row))}
    defaults = [own.pop(rule.name, rule) for rule in default_rules(org)]
    return [*defaults, *own.values()]


async def one_rule(tx: Connection, access: Access, rule_id: UUID) -> Rule:
    """A rule that was written. Raises NotFoundError."""
    row = await tx.fetchrow(q.alert_rules_of, access.org, rule_id)
    rule = _stored(row) if row else None
    if rule is None:
        raise NotFoundError("this organisation has no alert rule of this id", code="unknown_id")
    return rule


async def write_rule(tx: Connection, access: Access, form: RuleForm) -> Rule:
    """Make a rule, or put one in the place of the default of its name.

    Raises FaultsError (`alert_rule`), ConflictError (`rule_exists`, `rules_max`).
    """
    await _check(tx, access, form)
    if len(await tx.fetch(q.alert_rules_of, access.org, None)) >= RULES_PER_ORGANISATION_MAX:
        raise ConflictError(f"an organisation has at most {RULES_PER_ORGANISATION_MAX} alert rules", code="rules_max")
    rule_id = uuid7()
    if await tx.fetchval(q.insert_alert_rule, access.org, rule_id, form.name, _text(form)) is None:
        raise _name_taken()
    return await one_rule(tx, access, rule_id)


async def rewrite_rule(
    tx: Connection, access: Access, rule_id: UUID, form: RuleForm, *, version: int | None = None
) -> Rule:
    """Give a rule this form. Under another name it is another rule: what burns under the old one ends.

    Raises NotFoundError, FaultsError, ConflictError (`rule_exists`, `version_conflict`).
    """
    await one_rule(tx, access, rule_id)
    await _check(tx, access, form)
    others = await tx.fetch(q.alert_rules_of, access.org, None)
    if any(other["name"] == form.name and other["id"] != rule_id for other in others):
        raise _name_taken()
    if await tx.fetchval(q.change_alert_rule, access.org, rule_id, form.name, _text(form), version) is None:
        raise _changed_meanwhile()
    return await one_rule(tx, access, rule_id)


async def remove_rule(tx: Connection, access: Access, rule_id: UUID, *, version: int | None = None) -> None:
    """Take a rule away; a default of its name counts again. What burns under a rule that is gone ends, and its people
    are told. Raises NotFoundError, ConflictError (`version_conflict`)."""
    await one_rule(tx, access, rule_id)
    if await tx.fetchval(q.delete_alert_rule, access.org, rule_id, version) is None:
        raise _changed_meanwhile()


async def _check(tx: Connection, access: Access, form: RuleForm) -> None:
    channels = {row["name"] for row in await tx.fetch(q.alert_channels_of, access.org, None)}
    check_rule(form, of=level_of(access.org), channels=channels)


def level_of(org: UUID) -> Literal["organisation", "installation"]:
    """Which kinds an organisation's rules may be of."""
    return "installation" if org == INSTALLATION else "organisation"


def _stored(row: Row) -> Rule | None:
    """A rule as it is stored. One that another release wrote and this one cannot read is told of, and None."""
    try:
        form = msgspec.json.decode(row["settings"], type=RuleForm)
        return _rule(form, row["id"], row["version"], row["created_at"], row["updated_at"])
    except (msgspec.DecodeError, KeyError) as error:
        _log.error("alert_rule_unreadable", rule_id=str(row["id"]), error=type(error).__name__)
        return None


def _rule(
    form: RuleForm,
    rule_id: UUID | None = None,
    version: int = 0,
    created_at: datetime | None = None,
    updated_at: datetime | None = None,
) -> Rule:
    kind = KINDS[form.kind]
    pace = Pace(
        kind.for_s if form.for_s is None else form.for_s,
        kind.clear_s if form.clear_s is None else form.clear_s,
        tuple(step.after_s for step in form.escalation),
        form.remind_every_s,
    )
    return Rule(
        form=form,
        id=rule_id,
        version=version,
        created_at=created_at,
        updated_at=updated_at,
        enabled=kind.enabled if form.enabled is None else form.enabled,
        severity=form.severity or kind.severity,
        threshold=kind.threshold if form.threshold is None else form.threshold,
        pace=pace,
        hours=form.business_hours.hours() if form.business_hours else None,
    )


def _text(form: RuleForm) -> str:
    return msgspec.json.encode(form).decode()


def _name_taken() -> ConflictError:
    return ConflictError("this organisation has an alert rule of this name", code="rule_exists")


def _changed_meanwhile() -> ConflictError:
    return ConflictError("the rule was changed meanwhile: read it again", code="version_conflict")
