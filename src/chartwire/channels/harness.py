"""The test harness: what Chartwire would make of a message, without keeping anything of it.

For each message its issues, the answer it would get, the FHIR Bundle it would become, and the input that no rule read.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from chartwire.core.clock import now
from chartwire.core.errors import ChartwireError, MappingError, ParseError, ValidationError
from chartwire.core.source import IdentifierRule, Source
from chartwire.formats.hl7v2 import Document, parse, split
from chartwire.formats.hl7v2.validate import Issue, Validator, rule_issue
from chartwire.mapping import MapFinding, Mapper, event_of, to_bundle
from chartwire.mapping.moments import zone_named

# On a desk nobody is matched, so a message without a medical record number has its patient all the same.
_ANY = tuple(IdentifierRule(*rule) for rule in (("", "MR"), ("", "PI"), ("*", "MR"), ("*", "PI"), ("*", "*")))
_NOBODY = UUID(int=0)
_CONTROL_IDS_KEPT_MAX = 1_000_000
UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Preview:
    """The answer that a message would get: `code` of MSA-1, None where none is sent; `state` is what it becomes first.

    `condition` is the code of ERR-3 (table HL70357), `location` of ERR-2, `text` what ERR-8 says; `message` the whole
    ACK, with MSH-10 as it would be for the id 0.
    """

    state: Literal["received", "filtered", "dead", "ignored"]
    code: str | None
    condition: str
    location: str
    text: str
    message: str


Answerer = Callable[[bytes, Source, frozenset[str], datetime], Preview]
"""Tells the answer of a listener: body, source, events that have a map, the time that the ACK bears."""


@dataclass(slots=True)
class Trial:
    """What one message would become. `index` counts from 1 within its input.

    `map` is the event by whose map it was converted, '' where there is none; `refused` why nothing came of it.
    `coverage` is the part of the filled fields that some rule read, from 0 to 1; None where nothing was converted.
    """

    index: int
    event: str = ""
    version: str = ""
    control_id: str = ""
    issues: list[Issue] = field(default_factory=list)
    ack: Preview | None = None
    bundle: dict[str, Any] | None = None
    map: str = ""
    map_version: str = ""
    findings: list[MapFinding] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    coverage: float | None = None
    refused: dict[str, str] | None = None

    def count(self, severity: str) -> int:
        """How many issues of a severity."""
        return sum(issue.severity == severity for issue in self.issues)


def desk_source(*, authority: str = "", timezone: str | None = None) -> Source:
    """A source for files on a desk: it takes every event, test messages too, and any identifier of a patient.

    Raises ValidationError (`zone`) where `timezone` is no IANA zone.
    """
    if timezone is not None and zone_named(timezone) is None:
        raise ValidationError(f"{timezone} is not an IANA zone such as Europe/Zurich", code="zone")
    return Source(_NOBODY, _NOBODY, "desk", authority, timezone=timezone, identifiers=_ANY, live=False)


class Harness:
    """Tries messages. Holds no more of them than the control ids of a run, to see one that comes twice."""

    def __init__(self, mapper: Mapper, answer: Answerer, *, version: str | None = None) -> None:
        self._mapper = mapper
        self._mapped = frozenset(mapper.events)
        self._answer = answer
        self._validator = Validator(version=version)
        self._control_ids: set[tuple[str, str, str]] = set()

    def run(self, data: bytes, source: Source, *, anonymous: bool = False, most: int | None = None) -> Iterator[Trial]:
        """Try every message of a text: one, several, or a batch. `most` ends it early. Raises ParseError for what
        cannot be divided into messages; a message that cannot be read is a Trial with one issue.

        `anonymous`: a patient without an identifier is drawn all the same, as on a desk.
        """
        for index, body in enumerate(split(data), 1):
            if most is not None and index > most:
                return
            yield self._try(index, body, source, anonymous=anonymous)

    def _try(self, index: int, body: bytes, source: Source, *, anonymous: bool) -> Trial:
        trial = Trial(index, ack=self._answer(body, source, self._mapped, now()))
        try:
            document = parse(body, charset=source.charset)
        except ParseError as error:
            trial.issues.append(rule_issue(UNREADABLE, error.location or "MSH", reason=error.message))
            trial.refused = _refusal(error)
            return trial
        trial.event, trial.version = event_of(document).rstrip("^"), document.get("MSH-12") or ""
        trial.control_id = document.get("MSH-10") or ""
        trial.issues = self._validator.check(document)
        if self._came_before(document):
            trial.issues.append(rule_issue("control_id_repeats", "MSH-10"))
        self._convert(trial, document, source, anonymous=anonymous)
        return trial

    def _convert(self, trial: Trial, document: Document, source: Source, *, anonymous: bool) -> None:
        try:
            conversion = self._mapper.convert(document, source, anonymous=anonymous)
        except MappingError as error:
            trial.refused = _refusal(error)
            return
        trial.map, trial.map_version = conversion.event, conversion.map_version
        trial.bundle = to_bundle(conversion)
        trial.findings, trial.unread = conversion.findings, conversion.unread
        filled = len(_filled(document))
        trial.coverage = round(1 - len(conversion.unread) / filled, 3) if filled else None

    def _came_before(self, document: Document) -> bool:
        key = (document.get("MSH-3") or "", document.get("MSH-4") or "", document.get("MSH-10") or "")
        if not key[2]:
            return False
        seen = key in self._control_ids
        if len(self._control_ids) < _CONTROL_IDS_KEPT_MAX:
            self._control_ids.add(key)
        return seen


def _filled(document: Document) -> set[tuple[str, int]]:
    """The fields that hold something, each once whatever the occurrences of its segment."""
    return {
        (segment.name, number)
        for segment in document.segments
        for number in range(1, segment.field_count + 1)
        if segment.raw(number).strip()
    }


def _refusal(error: ChartwireError) -> dict[str, str]:
    """Why nothing came of a message: code, reason, and the place or rule where there is one."""
    told = {"code": error.code, "reason": error.message}
    for detail in ("location", "field", "rule"):
        if value := getattr(error, detail, ""):
            told[detail] = str(value)
    return told
