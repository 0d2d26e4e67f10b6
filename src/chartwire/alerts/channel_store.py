"""Channels as they are kept: settings beside sealed secrets, written and read within the caller's transaction.

A seal is bound to one channel of one organisation: a row copied elsewhere does not open.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

import msgspec

from chartwire.alerts.channel_form import ChannelForm, check_channel, settings_of
from chartwire.alerts.channels.kind import Way
from chartwire.alerts.channels.kinds import CHANNEL_KINDS, ChannelKindName
from chartwire.alerts.observations import Channel
from chartwire.core.access import Access
from chartwire.core.errors import ConflictError, FaultsError, NotFoundError
from chartwire.core.ids import uuid7
from chartwire.core.limits import ALERT_CHANNELS_PER_ORGANISATION_MAX
from chartwire.delivery.destinations import policy_of
from chartwire.store.pool import Connection, Pool, Row
from chartwire.store.queries import q
from chartwire.trust.addresses import OPERATOR, OutboundPolicy
from chartwire.trust.outbound import Outbound
from chartwire.trust.outcomes import ConnectFailedError, RefusedError
from chartwire.trust.seal import Sealer

_SECRETS: Final = "alert-channel"


@dataclass(frozen=True, slots=True)
class StoredChannel:
    """A channel as it may be shown: its secrets by name only. `settings` hold the defaults too."""

    id: UUID
    name: str
    kind: ChannelKindName
    enabled: bool
    settings: dict[str, Any]
    secrets: tuple[str, ...]
    version: int
    created_at: datetime
    updated_at: datetime


async def judge(pool: Pool, access: Access, door: Outbound, form: ChannelForm) -> None:
    """Check a completed form, and by name resolution where it leads to. Raises FaultsError."""
    check_channel(form)
    async with pool.transaction(access.org) as tx:
        way = Way(door, await policy(tx, access.org))
    try:
        await CHANNEL_KINDS[form.kind].judge(way, settings_of(form), form.secrets)
    except (RefusedError, ConnectFailedError) as error:
        place = "/secrets/url" if "url" in form.secrets else "/settings"
        told = f"not a channel that can tell anybody: {error.message}"
        raise FaultsError(told, code="alert_channel", faults=[(place, error.code, error.message)]) from None


async def register(tx: Connection, access: Access, sealer: Sealer, form: ChannelForm) -> StoredChannel:
    """Keep a new channel. Raises FaultsError, ConflictError (`channel_exists`, `channels_max`)."""
    check_channel(form)
    if len(await list_channels(tx, access)) >= ALERT_CHANNELS_PER_ORGANISATION_MAX:
        told = f"an organisation has at most {ALERT_CHANNELS_PER_ORGANISATION_MAX} alert channels"
        raise ConflictError(told, code="channels_max")
    channel_id = uuid7()
    columns = _columns(form, sealer, access.org, channel_id)
    if await tx.fetchval(q.insert_alert_channel, access.org, channel_id, *columns) is None:
        raise ConflictError("this organisation has an alert channel of this name", code="channel_exists")
    return await read_channel(tx, access, channel_id)


async def rewrite(
    tx: Connection, access: Access, sealer: Sealer, channel_id: UUID, form: ChannelForm, *, version: int | None = None
) -> StoredChannel:
    """Give a channel this form. What is open goes out by the new one.

    Raises NotFoundError, FaultsError (the kind stays), ConflictError: `version_conflict`, `channel_exists`, and
    `channel_in_use` where rules name the old name.
    """
    check_channel(form)
    stands = await read_channel(tx, access, channel_id)
    if form.kind != stands.kind:
        rule = f"stays {stands.kind}: make another channel"
        raise FaultsError(f"`/kind` {rule}", code="alert_channel", faults=[("/kind", "kind", rule)])
    if form.name != stands.name:
        await _check_unused(tx, access, stands.name)
        if any(other.name == form.name for other in await list_channels(tx, access)):
            raise ConflictError("this organisation has an alert channel of this name", code="channel_exists")
    columns = _columns(form, sealer, access.org, channel_id)
    if await tx.fetchval(q.change_alert_channel, access.org, channel_id, *columns, version or stands.version) is None:
        raise _changed_meanwhile()
    return await read_channel(tx, access, channel_id)


async def remove(tx: Connection, access: Access, channel_id: UUID, *, judge: Literal["now", "later"] = "now") -> None:
    """A channel goes, with its secrets; notices that wait for it are withdrawn.

    Raises NotFoundError, ConflictError (`channel_in_use`) where rules name it, unless they are judged `later`.
    """
    stands = await read_channel(tx, access, channel_id)
    if judge == "now":
        await _check_unused(tx, access, stands.name)
    await tx.execute(q.withdraw_notices_of_channel, access.org, channel_id)
    await tx.execute(q.delete_alert_channel, access.org, channel_id)


async def read_channel(tx: Connection, access: Access, channel_id: UUID) -> StoredChannel:
    """One channel. Raises NotFoundError, also for another organisation's."""
    row = await tx.fetchrow(q.alert_channels_of, access.org, channel_id)
    if row is None:
        raise NotFoundError("no alert channel has this id", code="unknown_id")
    return _stored(row)


async def list_channels(tx: Connection, access: Access) -> list[StoredChannel]:
    """Every channel of the organisation, by name."""
    return [_stored(row) for row in await tx.fetch(q.alert_channels_of, access.org, None)]


async def secrets_of(tx: Connection, access: Access, sealer: Sealer, channel_id: UUID) -> dict[str, str]:
    """The secrets of a channel, opened: for a change and for nobody's eyes. Raises NotFoundError, SealError."""
    row = await tx.fetchrow(q.sealed_of_alert_channel, access.org, channel_id)
    if row is None:
        raise NotFoundError("no alert channel has this id", code="unknown_id")
    return _opened(sealer, access.org, channel_id, row["sealed"])


async def policy(tx: Connection, org: UUID) -> OutboundPolicy:
    """Where an organisation's notices may go: as its webhooks; those of the installation are its operator's, and go
    anywhere. Raises NotFoundError."""
    row = await tx.fetchrow(q.outbound_settings, org)
    if row is None:
        raise NotFoundError("no organisation has this id", code="unknown_id")
    return OPERATOR if row["kind"] == "installation" else policy_of(row["kind"], row["settings"])


def channel_of(sealer: Sealer, way: Way, org: UUID, row: Row) -> Channel:
    """The channel of a row with channel_id, channel_kind, settings and sealed. Raises SealError, FaultsError."""
    form = ChannelForm(name="-", kind=row["channel_kind"], settings=msgspec.json.decode(row["settings"]))
    secrets = _opened(sealer, org, row["channel_id"], row["sealed"])
    return CHANNEL_KINDS[form.kind].channel(way, settings_of(form), secrets)


def _columns(form: ChannelForm, sealer: Sealer, org: UUID, channel_id: UUID) -> tuple[Any, ...]:
    settings = msgspec.json.encode(settings_of(form)).decode()
    sealed = sealer.seal(_SECRETS, msgspec.json.encode(form.secrets), org.bytes + channel_id.bytes)
    return form.name, form.kind, settings, "enabled" if form.enabled else "disabled", sealed, sorted(form.secrets)


async def _check_unused(tx: Connection, access: Access, name: str) -> None:
    rules = [row["name"] for row in await tx.fetch(q.alert_rules_that_name, access.org, name)]
    if rules:
        told = f"alert rules name this channel, take it out of them first: {', '.join(rules)}"
        raise ConflictError(told, code="channel_in_use")


def _opened(sealer: Sealer, org: UUID, channel_id: UUID, sealed: bytes) -> dict[str, str]:
    return msgspec.json.decode(sealer.open_sealed(_SECRETS, sealed, org.bytes + channel_id.bytes), type=dict[str, str])


def _stored(row: Row) -> StoredChannel:
    return StoredChannel(
        row["id"],
        row["name"],
        row["kind"],
        row["state"] == "enabled",
        msgspec.json.decode(row["settings"]),
        tuple(row["secret_names"]),
        row["version"],
        row["created_at"],
        row["updated_at"],
    )


def _changed_meanwhile() -> ConflictError:
    return ConflictError("the channel was changed meanwhile: read it again", code="version_conflict")
