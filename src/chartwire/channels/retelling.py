"""After an unmerge: what came since the merge is told again, each message to the patient that its number names now."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from uuid import UUID

from chartwire.channels.reading import Job, Reading, read
from chartwire.core.source import Source
from chartwire.mapping.conversion import Conversion
from chartwire.mapping.convert import Mapper
from chartwire.record.cases import Review
from chartwire.record.identity import HeldForReviewError
from chartwire.record.save import keys_of, save
from chartwire.record.snapshots import scopes_of
from chartwire.record.work import Work
from chartwire.store.pool import Row


async def read_again(
    work: Work, messages: Iterable[Row], sources: Mapping[UUID, Source], mapper: Mapper
) -> list[Reading]:
    """Read messages of `Parting.messages` again, for the record only: those who were told of them stay as they are."""
    readings = []
    for row in messages:
        job = Job(
            row["lane_id"], 0, row["id"], (), row["source_id"], "record-only", row["raw"] or b"", row["parent_id"]
        )
        readings.append(read(job, sources.get(job.source_id), mapper))
        await asyncio.sleep(0)  # the process has other work too
        await work.breathe()
    return readings


async def retell(
    work: Work, readings: Sequence[Reading], references: Callable[[Conversion], Mapping[str, str]]
) -> None:
    """Tell these messages in their order. One that cannot be read, or fits neither patient, is a case for a person."""
    spoken = [reading.spoken for reading in readings if reading.spoken]
    keys = [key for conversion, _ in spoken for key in keys_of(conversion)]
    await work.prefetch(keys, [scope for told, context in spoken for scope in scopes_of(context.source.id, told)])
    for reading in readings:
        if reading.spoken is None:
            code = reading.fault.code if reading.fault and reading.job.raw else "message_expired"
            work.reviews.append(_case(reading, code, None, None))
            continue
        conversion, context = reading.spoken
        try:
            await save(work, conversion, context, references(conversion))
        except HeldForReviewError as doubt:
            work.reviews.append(_case(reading, doubt.code, doubt.resource_type, doubt.resource_id))


def _case(reading: Reading, code: str, resource_type: str | None, resource_id: UUID | None) -> Review:
    return Review("unmerge", reading.job.message_id, None, resource_type, resource_id, {"code": code})
