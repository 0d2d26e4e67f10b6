"""What burns and what burnt, as people read it, and what they say to it: I know; not now."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from chartwire.alerts import telling
from chartwire.alerts.observations import Severity
from chartwire.alerts.states import State
from chartwire.core.access import Access
from chartwire.core.clock import now
from chartwire.core.errors import ConflictError, NotFoundError
from chartwire.store.pool import Connection, Row
from chartwire.store.queries import q

LAST: Final = UUID(int=2**128 - 1)
VISIBLE: Final[tuple[State, ...]] = ("firing", "acknowledged", "recovered")
"""States that people see; what has not fired is nobody's business."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which alerts: older than `before`, in these states, of this rule or severity where not None."""

    states: tuple[State, ...] = ("firing", "acknowledged")
    rule: str | None = None
    severity: Severity | None = None
    before: UUID = LAST


@dataclass(frozen=True, slots=True)
class Alert:
    """One bout of a thing that is not well. `since` is the first bad look, `fired_at` when people were to be told,
    `seen_at` the last look; `summary` and `value` are those of the last bad look."""

    id: UUID
    rule: str
    key: str
    state: State
    severity: Severity
    summary: str
    value: float
    since: datetime
    seen_at: datetime
    fired_at: datetime | None
    recovered_at: datetime | None
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    note: str | None
    snoozed_until: datetime | None
    escalated: int


async def list_alerts(tx: Connection, access: Access, wanted: Wanted, limit: int) -> list[Alert]:
    """Alerts of the organisation, the newest first."""
    args = (access.org, wanted.before, list(wanted.states), wanted.rule, wanted.severity, limit)
    return [_alert(row) for row in await tx.fetch(q.list_alerts, *args)]


async def one_alert(tx: Connection, access: Access, alert_id: UUID) -> Alert:
    """One alert, locked until the transaction ends. Raises NotFoundError, for one that has not fired too."""
    row = await tx.fetchrow(q.lock_alert, access.org, alert_id)
    if row is None or row["state"] not in VISIBLE:
        raise NotFoundError("no alert has this id", code="unknown_id")
    return _alert(row)


async def acknowledge(tx: Connection, access: Access, alert_id: UUID, note: str | None) -> Alert:
    """Somebody knows: nobody is reminded any more, whoever was told is told so, whoever was not is not. Again it only
    changes the note. Raises NotFoundError, ConflictError (`alert_over`)."""
    alert = await _burning(tx, access, alert_id)
    at = now()
    await tx.execute(q.acknowledge_alert, access.org, alert_id, at, access.actor, note)
    if alert.state == "firing":
        await telling.tell_those_who_know(tx, access.org, alert_id, "acknowledged", at)
    return await one_alert(tx, access, alert_id)


async def snooze(tx: Connection, access: Access, alert_id: UUID, until: datetime) -> Alert:
    """Nobody is reminded and nothing escalates before `until` (aware); a rise in severity and the end are told all the
    same. Raises NotFoundError, ConflictError (`alert_over`)."""
    await _burning(tx, access, alert_id)
    await tx.execute(q.snooze_alert, access.org, alert_id, until)
    return await one_alert(tx, access, alert_id)


async def _burning(tx: Connection, access: Access, alert_id: UUID) -> Alert:
    alert = await one_alert(tx, access, alert_id)
    if alert.state == "recovered":
        raise ConflictError("this alert is over", code="alert_over")
    return alert


def _alert(row: Row) -> Alert:
    return Alert(**{name: row[name] for name in Alert.__slots__})
