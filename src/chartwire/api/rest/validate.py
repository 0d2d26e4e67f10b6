"""The test harness by API: what is wrong with messages, and what would become of them. Nothing is stored."""

import asyncio
from typing import Any, Literal

import msgspec

from chartwire.api.http import FHIR_JSON, Answer, Request
from chartwire.api.problem import ApiError, Fault
from chartwire.api.rest.ids import in_query
from chartwire.api.routes import Parameter, Route
from chartwire.api.services import Services
from chartwire.channels.harness import Harness, Preview, Trial, desk_source
from chartwire.channels.source_store import stored_source
from chartwire.core.errors import ParseError
from chartwire.core.limits import TRIAL_MESSAGES_MAX
from chartwire.core.source import Source
from chartwire.formats.hl7v2.validate import SEVERITIES
from chartwire.mapping import load_maps

MEDIA = ("text/plain", "application/hl7-v2", "x-application/hl7-v2+er7", "application/octet-stream")
_encoder = msgspec.json.Encoder(decimal_format="number")


class ValidationIssue(msgspec.Struct, frozen=True):
    """One thing that is wrong, or worth knowing. `rule` is for programs, `location` a path such as `OBX(3)-5.1`."""

    severity: Literal["error", "warning", "information"]
    rule: str
    location: str
    text: str
    mend: str


class IssueCounts(msgspec.Struct, frozen=True):
    """How many issues there are, by severity."""

    error: int
    warning: int
    information: int


class AnswerPreview(msgspec.Struct, frozen=True):
    """The ACK that a listener would send: `code` of MSA-1, null where none is sent. `state` is what the message would
    be then; `condition` and `location` are ERR-3 (table HL70357) and ERR-2; `message` is the whole ACK."""

    state: Literal["received", "filtered", "dead", "ignored"]
    code: str | None
    condition: str
    location: str
    text: str
    message: str


class MappingNote(msgspec.Struct, frozen=True):
    """Something that the maps had to decide or leave out."""

    severity: str
    code: str
    location: str
    message: str


class MappingRefusal(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why no FHIR came of a message."""

    code: str
    reason: str
    location: str = ""
    field: str = ""
    rule: str = ""


class ValidatedMessage(msgspec.Struct, frozen=True):
    """One message. `unread` are filled fields that no rule read, `coverage` the part of them that was read."""

    index: int
    event: str
    version: str
    control_id_present: bool
    issues: list[ValidationIssue]
    counts: IssueCounts
    ack: AnswerPreview | None
    map: str
    map_version: str
    bundle: dict[str, Any] | None
    findings: list[MappingNote]
    unread: list[str]
    coverage: float | None
    refused: MappingRefusal | None


class Hl7Validation(msgspec.Struct, frozen=True):
    """What came of a text: one entry a message."""

    messages: list[ValidatedMessage]
    counts: IssueCounts
    object: Literal["hl7_validation"] = "hl7_validation"


async def validate(request: Request, services: Services) -> Answer:
    """`POST /api/v1/hl7/validate`."""
    trials = await _trials(request, services)
    shown = [_message(trial) for trial in trials]
    answer = Hl7Validation(shown, IssueCounts(*(sum(trial.count(one) for trial in trials) for one in SEVERITIES)))
    return Answer(_encoder.encode(answer), count=len(shown))


async def convert(request: Request, services: Services) -> Answer:
    """`POST /api/v1/hl7/convert`."""
    trials = await _trials(request, services)
    if len(trials) != 1:
        raise _unusable("", "is one message here; `/api/v1/hl7/validate` takes several")
    trial = trials[0]
    if trial.bundle is None:
        refused = trial.refused or {}
        place = refused.get("field") or refused.get("location", "")
        fault = Fault(f"/{place}" if place else "", refused.get("code", ""), refused.get("reason", ""))
        raise ApiError(f"no FHIR comes of this message: {fault.detail}", code="invalid_body", faults=[fault])
    return Answer(_encoder.encode(trial.bundle), media=FHIR_JSON, count=1)


async def _trials(request: Request, services: Services) -> list[Trial]:
    """Try what the body holds, in a thread: a large text must not keep other requests waiting."""
    if services.preview_ack is None:
        raise ApiError("messages are not tried by this process", code="not_available", error_class="transient")
    media = request.headers.get(b"content-type", b"").partition(b";")[0].strip().lower().decode("latin-1")
    if media not in MEDIA:
        raise ApiError(f"the body is sent as {', '.join(MEDIA)}", code="media_type_unsupported")
    data = await request.content()
    source, known = await _source(request, services)
    harness = Harness(load_maps(), services.preview_ack, version=request.query.get("version"))
    return await asyncio.to_thread(_run, harness, data, source, anonymous=not known)


def _run(harness: Harness, data: bytes, source: Source, *, anonymous: bool) -> list[Trial]:
    try:
        trials = [*harness.run(data, source, anonymous=anonymous, most=TRIAL_MESSAGES_MAX + 1)]
    except ParseError as error:
        raise _unusable("", error.message) from None
    if len(trials) > TRIAL_MESSAGES_MAX:
        raise _unusable("", f"holds at most {TRIAL_MESSAGES_MAX} messages here")
    return trials


async def _source(request: Request, services: Services) -> tuple[Source, bool]:
    """The source whose settings count, and whether it is one of the organisation's."""
    named = request.query.get("source")
    if named is None:
        return desk_source(), False
    async with services.pool.transaction(request.access.org) as tx:
        stored = await stored_source(tx, request.access.org, in_query("source", "source", named))
    return stored.source, True


def _unusable(pointer: str, detail: str) -> ApiError:
    return ApiError(f"the body {detail}", code="invalid_body", faults=[Fault(pointer, "invalid_value", detail)])


def _message(trial: Trial) -> ValidatedMessage:
    return ValidatedMessage(
        index=trial.index,
        event=trial.event,
        version=trial.version,
        control_id_present=bool(trial.control_id),
        issues=[ValidationIssue(one.severity, one.rule, one.location, one.text, one.mend) for one in trial.issues],
        counts=IssueCounts(*map(trial.count, SEVERITIES)),
        ack=_answer(trial.ack) if trial.ack else None,
        map=trial.map,
        map_version=trial.map_version,
        bundle=trial.bundle,
        findings=[MappingNote(one.severity, one.code, one.location, one.message) for one in trial.findings],
        unread=trial.unread,
        coverage=trial.coverage,
        refused=MappingRefusal(**trial.refused) if trial.refused else None,
    )


def _answer(ack: Preview) -> AnswerPreview:
    return AnswerPreview(ack.state, ack.code, ack.condition, ack.location, ack.text, ack.message)


_PARAMETERS = (
    Parameter("source", "by the settings of this source; without it, any event and identifier is taken"),
    Parameter("version", "check by this version of HL7, whatever MSH-12 says"),
)

ROUTES = (
    Route("POST", "/api/v1/hl7/validate", validate, "Validate messages, and see what would become of them",
          "hl7.validate", "Message", parameters=_PARAMETERS, answer=Hl7Validation, body=str, body_media=MEDIA,
          tag="hl7"),
    Route("POST", "/api/v1/hl7/convert", convert, "Convert a message to a FHIR Bundle; nothing is stored",
          "hl7.validate", "Message", parameters=_PARAMETERS[:1], answer=dict[str, Any], body=str, body_media=MEDIA,
          media="application/fhir+json", tag="hl7"),
)  # fmt: skip
