"""Sources as their owners keep them: written, changed, retired; each change is judged against its neighbours first.

All within the caller's transaction, which is bound to the organisation. Listeners and workers take a change up within
REFRESH_S of sources.py.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec
import structlog

from chartwire.channels.patterns import rival
from chartwire.channels.source_form import SourceForm, form_of, source_of
from chartwire.core.access import Access
from chartwire.core.errors import ConflictError, NotFoundError
from chartwire.core.ids import uuid7
from chartwire.core.source import Source
from chartwire.store.pool import Connection, Row
from chartwire.store.queries import q

Judge = Literal["everyone", "own", "later"]

SOURCES_PER_ORGANISATION_MAX = 1000
_NO_LISTENER = ""
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class StoredSource:
    """A source with its listener ('' for a retired one), its version, and how it stands."""

    source: Source
    listener: str
    version: int
    created_at: datetime
    updated_at: datetime
    on_hold: bool

    @property
    def form(self) -> SourceForm:
        """How people write it."""
        return form_of(self.source, self.listener)


@dataclass(frozen=True, slots=True)
class Traffic:
    """What comes of a source: counts are exact; `dead` are those that nobody has decided about."""

    last_message_at: datetime | None
    messages_today: int
    held: int
    dead: int


async def stored_sources(tx: Connection, org: UUID, *, retired: bool = False) -> list[StoredSource]:
    """The sources of an organisation, oldest first; those that can be read."""
    rows = await tx.fetch(q.stored_sources, org, retired, None)
    return [stored for row in rows if (stored := _stored(org, row))]


async def stored_source(tx: Connection, org: UUID, source_id: UUID) -> StoredSource:
    """One source, retired ones too. Raises NotFoundError."""
    row = await tx.fetchrow(q.stored_sources, org, True, source_id)
    stored = _stored(org, row) if row else None
    if stored is None:
        raise NotFoundError("this organisation has no source of this id", code="unknown_id")
    return stored


async def write_source(tx: Connection, access: Access, form: SourceForm, *, judge: Judge = "everyone") -> StoredSource:
    """Make a source. Raises ConflictError (`source_exists`, `source_overlaps`, `sources_max`).

    `judge` says which sources of the listener it has to be told apart from: `own`, for an operator, who may put feeds
    of several organisations on one listener; `later`, for an operator who does `check_neighbours` when all are written.
    What is judged by `everyone` is the organisation's own word: no operator vouches for it.
    """
    present = await stored_sources(tx, access.org)
    if len(present) >= SOURCES_PER_ORGANISATION_MAX:
        raise ConflictError(f"an organisation has at most {SOURCES_PER_ORGANISATION_MAX} sources", code="sources_max")
    source = replace(source_of(form, access.org, uuid7()), vouched=judge != "everyone")
    _check_name(source, present)
    if judge != "later":
        await check_neighbours(tx, source, form.listener, own_only=judge == "own")
    await tx.execute(q.insert_source, source.org, source.id, source.name, to_json(source))
    await tx.execute(q.insert_route, "source", source.org, source.id, form.listener)
    return await stored_source(tx, access.org, source.id)


async def rewrite_source(
    tx: Connection,
    access: Access,
    source_id: UUID,
    form: SourceForm,
    *,
    version: int | None = None,
    judge: Judge = "everyone",
) -> StoredSource:
    """Give a source these settings; a retired one comes back.

    What an operator decided stands as long as `listener`, `peers` and `sending` stay as they were: it is not judged
    again, and the operator still vouches for it. Raises NotFoundError, and ConflictError: `version_conflict` where it
    has another version than the given one, else as write_source.
    """
    before = await stored_source(tx, access.org, source_id)
    source = source_of(form, access.org, source_id)
    told_apart_as_before = _told_apart_by(source, form.listener) == _told_apart_by(before.source, before.listener)
    source = replace(source, vouched=judge != "everyone" or (before.source.vouched and told_apart_as_before))
    _check_name(source, await stored_sources(tx, access.org))
    if judge != "later" and not told_apart_as_before:
        await check_neighbours(tx, source, form.listener, own_only=judge == "own")
    arguments = (source.org, source.id, source.name, to_json(source), version)
    if await tx.fetchval(q.change_source, *arguments) is None:
        raise _changed_meanwhile()
    await tx.execute(q.insert_route, "source", source.org, source.id, form.listener)
    return await stored_source(tx, access.org, source_id)


async def retire_source(tx: Connection, access: Access, source_id: UUID, *, version: int | None = None) -> None:
    """Take a source off its listener. Its messages, and what is still in its lanes, go their way; its name is free.

    Again it changes nothing. Raises NotFoundError, ConflictError (`version_conflict`).
    """
    stored = await stored_source(tx, access.org, source_id)
    if stored.source.retired:
        return
    if await tx.fetchval(q.retire_source, access.org, source_id, version) is None:
        raise _changed_meanwhile()
    await tx.execute(q.insert_route, "source", access.org, source_id, _NO_LISTENER)


async def traffic(tx: Connection, org: UUID, since: Sequence[tuple[UUID, UUID]]) -> dict[UUID, Traffic]:
    """What came of sources: pairs of source id and the least message id of its today."""
    rows = await tx.fetch(q.source_traffic, org, [one for one, _ in since], [least for _, least in since])
    return {row["source_id"]: Traffic(row["last_message_at"], row["since"], row["held"], row["dead"]) for row in rows}


def to_json(source: Source) -> str:
    """The settings as they are stored."""
    return msgspec.json.encode(source).decode()


def from_json(org: UUID, source_id: UUID, settings: str) -> Source | None:
    """A source as it is stored; one that cannot be read is told of and None, so that it takes no other one along."""
    try:
        return replace(msgspec.json.decode(settings, type=Source), org=org, id=source_id)
    except msgspec.DecodeError as error:
        _log.error("source_unreadable", org_id=str(org), source_id=str(source_id), reason=str(error))
        return None


def _stored(org: UUID, row: Row) -> StoredSource | None:
    source = from_json(org, row["id"], row["settings"])
    if source is None:
        return None
    standing = {"live": row["kind"] == "live", "paused": row["paused"], "retired": row["retired_at"] is not None}
    source = replace(source, name=row["name"], **standing)
    return StoredSource(source, row["listener"], row["version"], row["created_at"], row["updated_at"], row["on_hold"])


def _told_apart_by(source: Source, listener: str) -> tuple[object, ...]:
    return listener, source.peers, source.sending


def _check_name(source: Source, present: Iterable[StoredSource]) -> None:
    if any(other.source.name == source.name and other.source.id != source.id for other in present):
        raise ConflictError("this organisation has a source of this name", code="source_exists")


async def check_neighbours(tx: Connection, source: Source, listener: str, *, own_only: bool = False) -> None:
    """Raises ConflictError (`source_overlaps`) where a message could not tell a source from another of its listener, of
    any organisation or of its own only."""
    await tx.execute(q.lock_listener, listener)
    rows = await tx.fetch(q.sources_of_listener, listener)
    others = [from_json(row["org_id"], row["id"], row["settings"]) for row in rows]
    found = rival(source, [other for other in others if other and not (own_only and other.org != source.org)])
    if found is None:
        return
    if found.org == source.org:
        told = f"the source {found.name} of this listener takes some of the same senders, and neither is more specific"
    else:
        told = "another feed of this listener takes some of the same senders"
    raise ConflictError(f"{told}: tell them apart by `sending` or `peers`, or use another listener",
                        code="source_overlaps")  # fmt: skip


def _changed_meanwhile() -> ConflictError:
    return ConflictError("the source was changed meanwhile: read it again", code="version_conflict")
