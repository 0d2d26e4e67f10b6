"""The path of a message, from its lane to the record and to everyone who is told.

    read      bytes -> document -> FHIR resources          a fault -> dead letter, the lane goes on
    directory practitioners, locations, organizations      a short transaction of their own
    save      whose record, what changes, what happened    doubt -> held for review, nothing changed
    emit      events, in the transaction of the change
    route     event x destination -> delivery, in the same transaction
    settle    message states, jobs done, lanes released    fenced: a worker that lost a lane writes nothing

One batch is one transaction: up to LANES_PER_CLAIM_MAX lanes of one organisation. Whatever breaks it rolls it back;
`one_by_one.py` then redoes it one message a transaction, so that the one at fault is found and the others go on.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from chartwire.channels import route
from chartwire.channels.reading import Job, Reading, Spoken, read
from chartwire.channels.retelling import read_again, retell
from chartwire.channels.settling import Settlement, settle, settlement_of
from chartwire.core import clock
from chartwire.core.access import Access
from chartwire.core.crashpoints import hit
from chartwire.core.errors import ConflictError, TransientError
from chartwire.core.source import Source
from chartwire.events import lanes as lane_engine
from chartwire.events.lanes import Claim
from chartwire.events.outbox import Event, emit
from chartwire.mapping.convert import Mapper
from chartwire.record.directory import Directory
from chartwire.record.identity import HeldForReviewError
from chartwire.record.save import keys_of, save
from chartwire.record.snapshots import scopes_of
from chartwire.record.unmerging import Parting
from chartwire.record.work import Review, Work
from chartwire.store.pool import Connection, Pool
from chartwire.store.queries import q

_DIRECTORY_TRIES = 4


@dataclass(slots=True)
class Path:
    """What a worker needs to carry messages. `sources` is read at each batch, so that configuration takes hold."""

    pool: Pool
    mapper: Mapper
    sources: Callable[[], Mapping[UUID, Source]]
    actor: str
    directory: Directory = field(default_factory=Directory)
    deliveries_made: Callable[[], None] = lambda: None
    """Called after a commit that made deliveries: the delivery worker of this process need not wait for a wake-up."""

    def access(self, org: UUID) -> Access:
        """The worker acts for the organisation whose messages it carries."""
        return Access(org, self.actor, "HOPERAT", frozenset({"*"}))

    async def load(self, org: UUID, lane_ids: Sequence[UUID], jobs_per_lane: int) -> list[Job]:
        """The jobs at the head of these lanes, in lane order."""
        async with self.pool.transaction(org) as tx:
            rows = await tx.fetch(q.load_jobs, org, list(lane_ids), jobs_per_lane)
        return [
            Job(
                row["lane_id"],
                row["seq"],
                row["message_id"],
                tuple(row["ticket_lanes"] or ()),
                row["source_id"],
                row["mode"] or "record-only",
                row["raw"] or b"",
                row["parent_id"],
            )
            for row in rows
        ]

    async def read(self, org: UUID, jobs: Iterable[Job]) -> list[Reading]:
        """Parse and map, and save the directory resources that the messages name.

        Raises TransientError for a source that was made after this process last read the sources.
        """
        readings = []
        for job in jobs:
            hit("worker.before_read", job.raw)
            source = self.sources().get(job.source_id)
            if source is None and job.raw:
                raise TransientError("the message's source is not known here yet", code="source_not_known_yet")
            readings.append(read(job, source, self.mapper))
            await asyncio.sleep(0)  # deliveries and leases go on while a long batch is read
        await self._save_directory(org, readings)
        return readings

    async def _save_directory(self, org: UUID, readings: Iterable[Reading]) -> None:
        spoken = [reading.spoken for reading in readings if reading.spoken and reading.job.mode != "preview"]

        async def announce(tx: Connection, events: Sequence[Event]) -> None:
            await route.wake(tx, org, await route.route(tx, org, clock.now(), events))

        for attempt in range(_DIRECTORY_TRIES):
            try:
                await self.directory.save(self.pool, self.access(org), spoken, announce)
                break
            except (ConflictError, TransientError):
                if attempt == _DIRECTORY_TRIES - 1:
                    raise

    async def carry(self, org: UUID, readings: Sequence[Reading], claims: Sequence[Claim]) -> None:
        """Carry these messages in one transaction and end these claims in it.

        Raises StaleLeaseError, TransientError, ConflictError or any other error with nothing changed.
        """
        hit("worker.before_batch")
        async with self.pool.transaction(org) as tx:
            standing = await self.still_there(tx, org, readings)
            destinations = await self.apply(tx, org, standing)
            await lane_engine.release(tx, claims)
            await route.wake(tx, org, destinations)
            hit("worker.before_commit")
        hit("worker.after_commit")
        if destinations:
            self.deliveries_made()

    async def apply(self, tx: Connection, org: UUID, readings: Sequence[Reading]) -> list[UUID]:
        """Save, emit, route and settle within `tx`; answers the destinations to wake."""
        told = [reading for reading in readings if reading.job.mode != "preview"]
        work, settlements = await self._meet(tx, org, told)
        now = clock.now()  # after every id of this unit was made: nothing is changed before it was created
        await work.flush(now)
        await emit(tx, org, now, work.events)
        destinations = await route.route(tx, org, now, work.events)
        for reading in readings:
            if reading.job.mode == "preview":
                settlements += (await self._meet(tx, org, [reading]))[1]  # and what it would change is not written
        await settle(tx, org, now, settlements)
        return destinations

    async def _meet(self, tx: Connection, org: UUID, readings: Sequence[Reading]) -> tuple[Work, list[Settlement]]:
        """Let these messages meet the record in one unit of work, which is not written yet."""
        work = Work(self.access(org), tx)
        spoken = [reading.spoken for reading in readings if reading.spoken]
        keys = [key for conversion, _ in spoken for key in keys_of(conversion)]
        scopes = [scope for conversion, context in spoken for scope in scopes_of(context.source.id, conversion)]
        await work.prefetch(keys, scopes)
        waiting = await self._lanes_that_wait(tx, org, spoken)
        return work, [await self._settlement(work, reading, waiting) for reading in readings]

    async def _settlement(self, work: Work, reading: Reading, waiting: set[UUID]) -> Settlement:
        """One message meets the record; a doubt about identity becomes a review."""
        job = reading.job
        if reading.spoken is None:
            return settlement_of(reading)
        conversion, context = reading.spoken
        if job.lane_id in waiting:
            return settlement_of(reading, held="waits_for_review")
        references = self.directory.references(work.access, conversion) if job.mode != "preview" else {}
        try:
            outcome = await save(work, conversion, context, references)
        except HeldForReviewError as doubt:
            work.reviews.append(
                Review(
                    "identity",
                    job.message_id,
                    job.lane_id,
                    doubt.resource_type,
                    doubt.resource_id,
                    {"code": doubt.code},
                )
            )
            if context.source.hold_following == "wait":
                waiting.add(job.lane_id)
            return settlement_of(reading, held=doubt.code)
        for parting in outcome.parted:
            await self.tell_again(work, parting)
        return settlement_of(reading, outcome=outcome)

    async def tell_again(self, work: Work, parting: Parting) -> None:
        """Tell the messages that came since a merge once more, now that it is undone."""
        readings = await read_again(parting.messages, self.sources(), self.mapper)
        await self._save_directory(work.access.org, readings)
        await retell(work, readings, lambda conversion: self.directory.references(work.access, conversion))

    async def still_there(self, tx: Connection, org: UUID, readings: Sequence[Reading]) -> list[Reading]:
        """Lock the jobs; those that another worker did meanwhile are left out."""
        lanes, seqs = [reading.job.lane_id for reading in readings], [reading.job.seq for reading in readings]
        rows = await tx.fetch(q.lock_jobs, org, lanes, seqs)
        there = {(row["lane_id"], row["seq"]) for row in rows}
        return [reading for reading in readings if (reading.job.lane_id, reading.job.seq) in there]

    async def _lanes_that_wait(self, tx: Connection, org: UUID, spoken: Sequence[Spoken]) -> set[UUID]:
        """Lanes whose source says that later messages wait while it is open whose record this is."""
        lanes = {context.lane_id for _, context in spoken if context.source.hold_following == "wait"}
        if not lanes:
            return set()
        return {row["lane_id"] for row in await tx.fetch(q.lanes_under_review, org, list(lanes))}
