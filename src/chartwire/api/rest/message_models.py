"""HL7 v2 messages as JSON."""

from typing import Literal

import msgspec

from chartwire.api.rest.deliveries import Delivery
from chartwire.api.rest.lineage import Elements
from chartwire.api.rest.models import Page


class Fault(msgspec.Struct, frozen=True):
    """Why a message is dead or held: a code, the place in HL7 terms, and the rule in words."""

    code: str
    location: str | None
    detail: str | None


class Feed(msgspec.Struct, frozen=True):
    """The source that a message came from."""

    id: str
    name: str | None


class MessageLinks(msgspec.Struct, frozen=True):
    """Where a message, and what belongs to it, stands."""

    itself: str = msgspec.field(name="self")
    source: str
    patient: str | None
    parent: str | None


class Message(msgspec.Struct, frozen=True):
    """One HL7 v2 message."""

    id: str
    received_at: str
    processed_at: str | None
    state: Literal["received", "processed", "filtered", "held", "dead"]
    event: str
    control_id: str
    mrn: str | None
    source: Feed
    charset: str
    size_bytes: int
    mode: str
    ack_code: str | None
    fault: Fault | None
    patient_id: str | None
    parent_id: str | None
    links: MessageLinks
    object: Literal["hl7_message"] = "hl7_message"


class TouchedResource(msgspec.Struct, frozen=True):
    """A resource version that a message made (`changed`) or found as it was, and where its elements came from."""

    type: str
    id: str
    version: int
    changed: bool
    fhir: str
    lineage: Elements


class Raw(msgspec.Struct, frozen=True):
    """The bytes as they arrived: `data` is the text itself (`utf-8`) or base 64 of it, which reads in `charset`."""

    encoding: Literal["utf-8", "base64"]
    charset: str
    data: str


class Finding(msgspec.Struct, frozen=True):
    """Something that reading or mapping noticed, and where."""

    code: str
    location: str


class Child(msgspec.Struct, frozen=True):
    """A replay of a message."""

    id: str
    received_at: str
    state: str
    mode: str


class Case(msgspec.Struct, frozen=True):
    """A review that a message made, and where it stands."""

    id: str
    kind: str
    state: str
    created_at: str
    link: str


class DeadLetterOf(msgspec.Struct, frozen=True):
    """The cause that a dead letter belongs to; the others of it stand there too."""

    cause_id: str
    link: str


class Decided(msgspec.Struct, frozen=True):
    """What a person decided about a message: skipped, discarded, edited, ..."""

    choice: str
    reason: str
    actor: str
    at: str


class MessageDetail(Message, frozen=True, kw_only=True):
    """A message with all that it caused. `raw` only for a key with the scope messages.raw, and null once retention has
    removed the bytes, at `raw_expired_at`."""

    resources: list[TouchedResource]
    findings: list[Finding]
    unread_fields: list[str]
    deliveries: list[Delivery]
    replays: list[Child]
    reviews: list[Case]
    dead_letter: DeadLetterOf | None
    decision: Decided | None
    raw: Raw | None
    raw_expired_at: str | None = None


class MessagePage(Page, frozen=True, omit_defaults=True):
    """A page of messages."""

    data: list[Message]


class Replayed(msgspec.Struct, frozen=True):
    """The child of a message that is replayed."""

    id: str
    parent_id: str
    mode: str
    object: Literal["hl7_message"] = "hl7_message"


class ReplayOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to replay: `record-only` (the default) tells nobody outside; `live` does as the first time."""

    mode: Literal["record-only", "live", "preview"] = "record-only"
