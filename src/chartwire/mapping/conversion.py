"""What one message becomes: the contract between the maps (which make it) and the record (which merges it).

A map draws; it decides nothing. Whether an element may be set, whose patient this is, and what a missing segment
means for the record are the record's business (domain-rules.md sections 2, 3 and 5).
"""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from chartwire.core.ids import source_key_id

Json = dict[str, Any]
Contribution = tuple[str, int]
"""A source field and how many array items it gave, in order: ("PID-13", 2). For single elements the count is 1."""


@dataclass(frozen=True, slots=True)
class PatientKey:
    """One identifier that may identify a patient: assigning authority, type (HL7 table 0203) and value."""

    authority: str
    type: str
    value: str

    @property
    def key(self) -> str:
        """The source key, as it stands in the record: `MR|HOSP_A|12345`."""
        return f"{self.type}|{self.authority}|{self.value}"


@dataclass(slots=True)
class Mapped:
    """One FHIR resource drawn from one message.

    `id` is the uuid5 of (`type`, `key`); references in `body` are `Type/<that id>`, in this and every other resource
    of the conversion. `body` is R4 JSON with resourceType and id, without meta. `lineage` maps an element path
    (`birthDate`, `period.start`, `telecom`) to the source fields that gave it; `clears` names elements that the sender
    emptied with `""`, with the source field (several, separated by a space, where several fields gave a list). An
    element in neither was not spoken of.
    `keys` are further source keys of the same resource (a patient's other identifiers), strongest first.
    `directory` marks Practitioner, Location and Organization, shared by all patients.
    """

    type: str
    key: str
    id: UUID
    body: Json
    lineage: dict[str, tuple[Contribution, ...]] = field(default_factory=dict)
    clears: dict[str, str] = field(default_factory=dict)
    keys: tuple[str, ...] = ()
    directory: bool = False
    facts: dict[str, Any] = field(default_factory=dict)
    """What the record needs to judge and FHIR has no element for: `source_status`, `result_status` (OBX-11),
    `reported_at` (OBR-22, aware datetime), `multiple_birth`, `start_changed_by`; named in docs/reference/mapping.md."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """AL1, DG1, NK1, IN1 (PR1): the full list that the source holds now, for one scope (a patient, or a visit).

    Members of an earlier snapshot of the same (source, segment, scope) that are not in `members` become inactive;
    an empty `members` is one segment of all `""`: clear. No Snapshot for a segment type = the message had none.
    `mode` is `action` where the segments carry action codes: then only the named members change.
    """

    segment: str
    scope: str
    resource_type: str
    members: tuple[UUID, ...]
    mode: str = "snapshot"
    deleted: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class Merge:
    """One PATIENT group of a merge event: keys of the survivor (PID-3) and of the loser (MRG-1)."""

    survivor: tuple[PatientKey, ...]
    loser: tuple[PatientKey, ...]


@dataclass(frozen=True, slots=True)
class Link:
    """Two PATIENT groups of a link event: keys of each. `apart` unlinks, and unmerges what was merged (A37)."""

    one: tuple[PatientKey, ...]
    other: tuple[PatientKey, ...]
    apart: bool


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of an embedded document. `id` is made of their SHA-256: the same bytes are the same Binary."""

    id: UUID
    sha256: bytes
    media_type: str
    data: bytes = field(repr=False)

    @classmethod
    def of(cls, data: bytes, media_type: str) -> "Content":
        """The content with its id."""
        digest = hashlib.sha256(data)
        return cls(source_key_id("Binary", digest.hexdigest()), digest.digest(), media_type, data)


@dataclass(frozen=True, slots=True)
class MapFinding:
    """Something the reader of the message should know: a place, a rule and words. Never a value."""

    code: str
    location: str
    message: str
    severity: str = "warning"


@dataclass(slots=True)
class Conversion:
    """Everything one message becomes.

    `event` is `ADT^A01` by MSH-9.1 and 9.2. `recorded_at` is EVN-2, else MSH-7 (aware), None where neither can be
    placed in time. `patient_keys` are the PID-3 identifiers that identify by the source's rule, strongest first.
    Resources stand in order of dependence: what is referred to comes before what refers to it, save for cycles.
    `unread` lists source fields with content that no rule read (`PID-28`).
    """

    event: str
    control_id: str
    recorded_at: datetime | None
    patient_keys: tuple[PatientKey, ...]
    resources: list[Mapped]
    snapshots: list[Snapshot] = field(default_factory=list)
    merges: list[Merge] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    findings: list[MapFinding] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    map_version: str = ""
    contents: list[Content] = field(default_factory=list)
    """What attachments name by `Binary/<id>`, each once."""
