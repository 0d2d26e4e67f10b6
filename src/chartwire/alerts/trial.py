"""Trying a channel out: a notice that says it is a test goes out now, and what came of it. Nothing is recorded."""

from dataclasses import dataclass
from functools import cache
from importlib import resources
from uuid import UUID

import yaml

from chartwire.alerts import channel_store
from chartwire.alerts.channel_store import channel_of
from chartwire.alerts.channels.kind import Way
from chartwire.alerts.observations import Notice, Sent
from chartwire.core.access import Access
from chartwire.core.clock import monotonic, now
from chartwire.core.errors import NotFoundError
from chartwire.core.ids import PREFIXES, to_prefixed, uuid7
from chartwire.delivery.trial import Advice, advice_for
from chartwire.store.pool import Pool
from chartwire.store.queries import q
from chartwire.trust.outbound import Outbound
from chartwire.trust.seal import Sealer, SealError

_HTTP = "http_"


@dataclass(frozen=True, slots=True)
class Trial:
    """How a test ended, and advice where something is to be mended (also where it went out)."""

    sent: Sent
    duration_ms: float
    advice: Advice | None


async def try_out(pool: Pool, access: Access, door: Outbound, sealer: Sealer, channel_id: UUID) -> Trial:
    """Send a test notice now, whether the channel is enabled or not. Raises NotFoundError."""
    async with pool.transaction(access.org) as tx:
        row = await tx.fetchrow(q.channel_for_test, access.org, channel_id)
        if row is None:
            raise NotFoundError("no alert channel has this id", code="unknown_id")
        way = Way(door, await channel_store.policy(tx, access.org))
    started_s = monotonic()
    try:
        sent = await channel_of(sealer, way, access.org, row).send(_notice(row["organisation"], channel_id))
    except SealError as error:
        sent = Sent(False, error=error.code)
    advice = advice_on(row["channel_kind"], sent.error) if sent.error else None
    return Trial(sent, (monotonic() - started_s) * 1000, advice)


def advice_on(channel_kind: str, error: str) -> Advice:
    """What a code means for a kind of channel, and what to do about it."""
    table = _table()
    told = table.get(channel_kind, {}).get(error) or table["any"].get(error)
    if told:
        return Advice(**told)
    return advice_for(error, int(error.removeprefix(_HTTP)) if error.startswith(_HTTP) else 0)


def _notice(organisation: str, channel_id: UUID) -> Notice:
    at = now()
    return Notice(
        id=uuid7(),
        kind="test",
        dedup_key=f"test_{to_prefixed(PREFIXES['alert_channel'], channel_id)}",
        organisation=organisation,
        rule="test",
        key="channel",
        severity="info",
        summary="alerts of Chartwire reach this channel; there is nothing to do",
        since=at,
        at=at,
        link="",
    )


@cache
def _table() -> dict[str, dict[str, dict[str, str]]]:
    table: dict[str, dict[str, dict[str, str]]] = yaml.safe_load(
        resources.files("chartwire.alerts").joinpath("advice.yaml").read_text("utf-8")
    )
    return table
