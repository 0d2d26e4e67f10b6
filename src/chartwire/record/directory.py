"""Practitioners, locations and organizations: shared by all patients, so saved apart from the patients' batch.

A short transaction of their own, in one order for everyone, and only for what this process has not just saved: most
messages name the same few. What another process said since is seen when a word is told again, `told_again_s` later.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

import msgspec

from chartwire.core import clock
from chartwire.core.access import Access
from chartwire.core.fhir_ids import local_reference
from chartwire.events.outbox import Event, emit
from chartwire.mapping.conversion import Conversion, Mapped
from chartwire.record import authority
from chartwire.record.telling import MessageContext, Teller
from chartwire.record.work import Work
from chartwire.store.pool import Connection, Pool
from chartwire.store.queries import q

Announce = Callable[[Connection, Sequence[Event]], Awaitable[None]]
_REMEMBERED_MAX = 100_000
_encoder = msgspec.json.Encoder(decimal_format="number", order="deterministic")


@dataclass(frozen=True, slots=True)
class _Saved:
    reference: str
    content: bytes
    until_s: float


class _Word(NamedTuple):
    mapped: Mapped
    context: MessageContext
    content: bytes


_Place = tuple[UUID, str, str]
_Fresh = dict[_Place, list[_Word]]


class Directory:
    """What one worker process knows to be saved already."""

    def __init__(self, *, told_again_s: float = 30.0) -> None:
        self._told_again_s = told_again_s
        self._saved: OrderedDict[tuple[UUID, str, str], _Saved] = OrderedDict()

    async def save(
        self,
        pool: Pool,
        access: Access,
        spoken: Sequence[tuple[Conversion, MessageContext]],
        announce: Announce,
    ) -> list[Event]:
        """Save the directory resources of these messages where they are new or changed; answers the events emitted.

        `announce` makes the events' deliveries, last in the same transaction. Raises ConflictError or TransientError
        when another worker was first: call again.
        """
        fresh: _Fresh = {}
        for conversion, context in spoken:
            for mapped in _shared(conversion):
                self._consider(fresh, (access.org, mapped.type, mapped.key), mapped, context)
        if not fresh:
            return []
        async with pool.transaction(access.org) as tx:
            work = Work(access, tx)
            references = await _tell_all(work, [word for place in sorted(fresh, key=_order) for word in fresh[place]])
            now = clock.now()
            await work.flush(now)
            await emit(tx, access.org, now, work.events)
            await announce(tx, work.events)
        until_s = clock.monotonic() + self._told_again_s
        for place, words in fresh.items():
            last = words[-1]
            self._remember(place, _Saved(references[f"{last.mapped.type}/{last.mapped.id}"], last.content, until_s))
        return work.events

    def references(self, access: Access, conversion: Conversion) -> dict[str, str]:
        """From the mapped references of a message's directory resources to the stored ones. Call after `save`."""
        return {
            f"{mapped.type}/{mapped.id}": self._saved[access.org, mapped.type, mapped.key].reference
            for mapped in _shared(conversion)
        }

    async def gone(
        self, tx: Connection, access: Access, spoken: Iterable[tuple[Conversion, MessageContext]]
    ) -> set[str]:
        """The stored references of these messages that lead nowhere: a FHIR client deleted the resource since it was
        saved. The next message that names it makes it anew. Call after `save`."""
        places = {(access.org, one.type, one.key) for conversion, _ in spoken for one in _shared(conversion)}
        refs = {place: local_reference(self._saved[place].reference) for place in places}
        asked = {place: ref for place, ref in refs.items() if ref is not None}
        if not asked:
            return set()
        rows = await tx.fetch(q.which_stand, access.org, *map(list, zip(*asked.values(), strict=True)))
        stand = {(row["type"], row["id"]) for row in rows}
        gone = [place for place, ref in asked.items() if ref not in stand]
        for place in gone:
            self._remember(place, replace(self._saved[place], until_s=0.0))
        return {self._saved[place].reference for place in gone}

    def _consider(
        self,
        fresh: _Fresh,
        place: _Place,
        mapped: Mapped,
        context: MessageContext,
    ) -> None:
        saved, content = self._saved.get(place), _content(mapped)
        if place in fresh:
            if fresh[place][-1].content != content:
                fresh[place].append(_Word(mapped, context, content))
        elif saved is None or saved.content != content or saved.until_s < clock.monotonic():
            fresh[place] = [_Word(mapped, context, content)]
        else:
            self._saved.move_to_end(place)

    def _remember(self, place: tuple[UUID, str, str], saved: _Saved) -> None:
        self._saved[place] = saved
        while len(self._saved) > _REMEMBERED_MAX:
            self._saved.popitem(last=False)


async def _tell_all(work: Work, spoken: Sequence[_Word]) -> dict[str, str]:
    await work.prefetch(((word.mapped.type, word.mapped.key) for word in spoken), lock=True)
    held = []
    references: dict[str, str] = {}
    for mapped, context, _ in spoken:
        ids = work.resolve(mapped.type, (mapped.key,))
        standing = work.standing(mapped.type, ids.pop()) if ids else work.create(mapped.type, (mapped.key,), None)
        references[f"{mapped.type}/{mapped.id}"] = standing.reference
        held.append((mapped, context, standing))
    for mapped, context, standing in held:
        Teller(work, context, references).tell(mapped, standing, context.stamp(mapped.type))
    return references


def _shared(conversion: Conversion) -> Iterator[Mapped]:
    return (mapped for mapped in conversion.resources if mapped.type in authority.directory_types())


def _order(place: tuple[UUID, str, str]) -> tuple[str, str]:
    return place[1], place[2]


def _content(mapped: Mapped) -> bytes:
    return sha256(_encoder.encode(mapped.body)).digest()
