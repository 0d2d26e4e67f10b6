"""Who is to be told of a change: rows of alert_notice, written in the transaction of the change."""

from collections.abc import Collection, Iterable
from datetime import datetime
from uuid import UUID

from chartwire.alerts.observations import NoticeKind
from chartwire.alerts.rules import Rule
from chartwire.alerts.states import Step
from chartwire.core.ids import uuid7
from chartwire.store.pool import Connection
from chartwire.store.queries import q


async def tell(tx: Connection, org: UUID, alert_id: UUID, rule: Rule, step: Step, at: datetime) -> None:
    """Write the notices of a step of a bout that burns; none where it tells nothing."""
    bout, kind = step.bout, step.tells
    if bout is None or kind is None:
        return
    if step.rose:
        await tx.execute(q.withdraw_waiting_notices, org, alert_id, at)
    channels = {row["name"]: row["id"] for row in await tx.fetch(q.alert_channel_names, org)}
    wanted = [channels[name] for name in _names(rule, step, channels) if name in channels]
    await _write(tx, org, alert_id, wanted, kind, rule.opening(bout.severity, at))


async def tell_those_who_know(
    tx: Connection, org: UUID, alert_id: UUID, kind: NoticeKind, at: datetime, *, when: datetime | None = None
) -> None:
    """Tell the channels that were told of this bout, at once or `when`; a notice of it that still waits for opening
    hours is withdrawn."""
    await tx.execute(q.withdraw_waiting_notices, org, alert_id, at)
    told = [row["channel_id"] for row in await tx.fetch(q.channels_told, org, alert_id)]
    await _write(tx, org, alert_id, told, kind, when or at)


def _names(rule: Rule, step: Step, every: Collection[str]) -> list[str]:
    """Channels by name, each once: of the step that is reached, or of all that were reached by now."""
    form = rule.form
    if step.tells == "escalation" and not step.rose:
        return list(dict.fromkeys(form.escalation[step.level - 1].channels))
    reached = form.escalation[: step.bout.escalated] if step.bout else []
    first: Iterable[str] = form.channels or every
    return list(dict.fromkeys([*first, *(name for one in reached for name in one.channels)]))


async def _write(
    tx: Connection, org: UUID, alert_id: UUID, channels: list[UUID], kind: NoticeKind, when: datetime
) -> None:
    for channel_id in channels:
        await tx.execute(q.insert_alert_notice, org, uuid7(), alert_id, channel_id, kind, when)
