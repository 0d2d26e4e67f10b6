"""From a row of alert_notice to the people: each notice at least once, under one id, until a day has passed.

A notice is leased before it is tried and settled after, so that one whose process dies is tried again, with the id by
which receivers tell that they have it. What fails is visible in its row, by a code.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import structlog

from chartwire.alerts import channel_store
from chartwire.alerts.channel_store import channel_of
from chartwire.alerts.channels.kind import Way
from chartwire.alerts.kinds import KINDS
from chartwire.alerts.observations import Notice, Sent
from chartwire.core.access import Access
from chartwire.core.clock import now
from chartwire.core.errors import ChartwireError
from chartwire.core.ids import PREFIXES, to_prefixed
from chartwire.core.limits import ALERT_NOTICE_LEASE_S, ALERT_NOTICES_AT_ONCE_MAX
from chartwire.core.telemetry import Counter
from chartwire.store.pool import Connection, Pool, Row
from chartwire.store.queries import q
from chartwire.trust.outbound import Outbound
from chartwire.trust.seal import Sealer

WAITS_S: Final = (30, 60, 120, 300, 600, 1_800, *(3_600,) * 23)
"""Between the tries of a notice: together a day, then it is dead."""

_SHOWN_MAX: Final = 500
_NOTICES = Counter("chartwire_alert_notices_total", "Tries of alert notices.", ("channel_kind", "outcome"))
_log = structlog.get_logger(__name__)


async def deliver_due(
    pool: Pool,
    org: UUID,
    door: Outbound,
    sealer: Sealer,
    *,
    base_url: str = "",
    clock: Callable[[], datetime] = now,
) -> None:
    """Try what is due in an organisation, each notice once. Safe to run twice at the same time.

    `base_url` (without closing slash) is where people reach this installation; without it notices carry no link.
    Raises TransientError when the store is away; what was not settled is tried again.
    """
    claimed = ALERT_NOTICES_AT_ONCE_MAX
    while claimed == ALERT_NOTICES_AT_ONCE_MAX:
        at = clock()
        async with pool.transaction(org) as tx:
            lease = at + timedelta(seconds=ALERT_NOTICE_LEASE_S)
            rows = await tx.fetch(q.claim_notices, org, at, ALERT_NOTICES_AT_ONCE_MAX, lease)
            if not rows:
                return
            way = Way(door, await channel_store.policy(tx, org))
        claimed = len(rows)
        tries = [_try_once(pool, org, row, way, sealer, base_url, clock) for row in rows]
        for failure in filter(None, await asyncio.gather(*tries, return_exceptions=True)):
            raise failure


async def _try_once(
    pool: Pool, org: UUID, row: Row, way: Way, sealer: Sealer, base_url: str, clock: Callable[[], datetime]
) -> None:
    sent = await _sent(row, way, sealer, org, base_url)
    await _settle(pool, org, row, sent, clock())


async def notices_of(tx: Connection, access: Access, alert_id: UUID) -> list[Row]:
    """What people were told of an alert, the first first."""
    return await tx.fetch(q.notices_of_alert, access.org, alert_id, _SHOWN_MAX)


async def _sent(row: Row, way: Way, sealer: Sealer, org: UUID, base_url: str) -> Sent:
    if row["channel_state"] != "enabled":
        return Sent(False, error="channel_disabled" if row["channel_state"] else "channel_gone")
    try:
        return await channel_of(sealer, way, org, row).send(_notice(row, base_url))
    except ChartwireError as error:  # its secrets or settings cannot be read
        return Sent(False, error=error.code)


def _notice(row: Row, base_url: str) -> Notice:
    alert_id = to_prefixed(PREFIXES["alert"], row["alert_id"])
    page = KINDS[row["rule_kind"]].page if row["rule_kind"] in KINDS else None
    moments: dict[str, Any] = {"recovery": row["recovered_at"], "acknowledged": row["acknowledged_at"]}
    return Notice(
        id=row["id"],
        kind=row["kind"],
        dedup_key=alert_id,
        organisation=row["organisation"],
        rule=row["rule"],
        key=row["key"],
        severity=row["severity"],
        summary=row["summary"],
        since=row["since"],
        at=moments.get(row["kind"]) or row["created_at"],
        link=f"{base_url}/api/v1/alerts/{alert_id}" if base_url else "",
        note=row["note"],
        guide=f"{base_url}/docs/guide/{page.removesuffix('.md')}" if page and base_url else "",
    )


async def _settle(pool: Pool, org: UUID, row: Row, sent: Sent, at: datetime) -> None:
    state, again = _following(sent, row["attempts"], at)
    _NOTICES.add(1, row["channel_kind"] or "none", state if sent.ok else sent.error or "failed")
    if not sent.ok:
        _log.warning("alert_notice_failed", notice=str(row["id"]), code=sent.error, attempts=row["attempts"])
    async with pool.transaction(org) as tx:
        await tx.execute(q.settle_notice, org, row["id"], row["attempts"], state, sent.error, again)


def _following(sent: Sent, attempts: int, at: datetime) -> tuple[str, datetime | None]:
    """The state after the `attempts`-th try, and when the next one is due."""
    if sent.ok:
        return "sent", None
    if sent.retry and attempts <= len(WAITS_S):
        return "pending", at + timedelta(seconds=WAITS_S[attempts - 1])
    return "withdrawn" if sent.error in ("channel_disabled", "channel_gone") else "dead", None
