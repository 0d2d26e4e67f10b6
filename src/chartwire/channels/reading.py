"""From a job's bytes to a conversion or to a named fault. Pure CPU; nothing here can fail a batch."""

from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

import structlog

from chartwire.channels.message_keys import MessageKey, message_keys
from chartwire.channels.soundness import FAULT_CODE, Examiner
from chartwire.channels.strictness import NO_OBJECTION, Place, judge
from chartwire.core.clock import instant
from chartwire.core.errors import ChartwireError, MappingError, ParseError
from chartwire.core.source import EffectMode, Source
from chartwire.formats import hl7v2
from chartwire.mapping.conversion import Conversion
from chartwire.mapping.convert import Mapper
from chartwire.record.telling import MessageContext

_log = structlog.get_logger(__name__)
_examiner = Examiner()


@dataclass(frozen=True, slots=True)
class Job:
    """One message at its place in a lane. `ticket_lanes` are all the lanes of a merge, () for other messages.

    `decision` is what a person said about a doubt that the message was held for. While its source is on hold, or its
    lane waits for the case `under_review`, it is loaded without its bytes and not worked.
    """

    lane_id: UUID
    seq: int
    message_id: UUID
    ticket_lanes: tuple[UUID, ...]
    source_id: UUID
    mode: EffectMode
    raw: bytes
    parent_id: UUID | None = None
    decision: str | None = None
    source_on_hold: bool = False
    under_review: UUID | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a message became a dead letter: a rule, a place, words without values."""

    code: str
    location: str
    text: str


class Spoken(NamedTuple):
    """What a message says, and with what weight."""

    conversion: Conversion
    context: MessageContext


@dataclass(frozen=True, slots=True)
class Reading:
    """A job with what it says (`spoken`) or with its `fault`. `keys` are the numbers that it will be found by.

    `held_by` are the issues, as (rule, location), for which the source's strictness holds a message; `warned_of` those
    that are only told of, with what R4 says against its resources.
    """

    job: Job
    spoken: Spoken | None = None
    fault: Fault | None = None
    keys: tuple[MessageKey, ...] = ()
    held_by: tuple[Place, ...] = ()
    warned_of: tuple[Place, ...] = ()


def read(job: Job, source: Source | None, mapper: Mapper) -> Reading:
    """Parse and map one message. Every failure ends in a fault."""
    if source is None:
        return Reading(job, fault=Fault("unknown_source", "", "the message's source is no longer configured"))
    keys: tuple[MessageKey, ...] = ()
    try:
        document = hl7v2.parse(job.raw, charset=source.charset)
        keys = message_keys(document)
        verdict = judge(document, source) if source.strictness and job.decision is None else NO_OBJECTION
        if verdict.refused:
            fault = Fault(verdict.refused.rule, verdict.refused.location, verdict.refused.text)
            return Reading(job, fault=fault, keys=keys)
        conversion = mapper.convert(document, source)
        sound = _examiner.examine(conversion.resources)
        if sound.fault is not None:
            fault = Fault(FAULT_CODE, sound.fault.location, f"{sound.fault.text} [{sound.fault.rule}]")
            return Reading(job, fault=fault, keys=keys)
    except ChartwireError as error:
        return Reading(job, fault=fault_of(error), keys=keys)
    except Exception as error:
        _log.exception("reading_failed", message_id=str(job.message_id), error=type(error).__name__)
        fault = Fault("internal_error", "", f"{type(error).__name__} while reading or mapping")
        return Reading(job, fault=fault, keys=keys)
    recorded = instant(conversion.recorded_at) if conversion.recorded_at else None
    context = MessageContext(job.message_id, job.lane_id, source, job.mode, conversion.event, recorded, job.parent_id,
                             job.decision)  # fmt: skip
    return Reading(job, Spoken(conversion, context), None, keys, verdict.held_by, (*verdict.warned_of, *sound.flagged))


def fault_of(error: ChartwireError) -> Fault:
    """The dead letter's reason for one of our errors."""
    if isinstance(error, ParseError):
        return Fault(error.code, error.location, error.message)
    if isinstance(error, MappingError):
        return Fault(error.code, error.field, f"{error.message} [{error.rule}]" if error.rule else error.message)
    return Fault(error.code, "", error.message)
