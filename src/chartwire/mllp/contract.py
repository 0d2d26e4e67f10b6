"""The ACK contract: what a sender may rely on. HL7 v2.9.2 chapter 2; domain-rules.md sections 1 and 9.

**AA, CA: it is safe.** The message is committed to the inbox (synchronous commit) before a positive answer leaves.
Before that these were checked: framing, charset by MSH-18, a complete MSH (1, 2, 9, 10, 11, 12), segment ids, and
PID-3 and MRG-1 were read for the order. Faults that lie deeper are found afterwards and show in the dead letters.

**AE, CE: something is wrong with this message** (structure, content, size). ERR-3 is 100 to 103, ERR-2 names the place.
Sending it again does not help. An oversize message gets AE and the connection is closed.

**AR, CR: not about the content, or not for us.** ERR-3: 200 type, 201 event, 202 processing id, 203 version that HL7
or this source does not know (`events.yaml`); 202 also for test and training messages (MSH-11 T, D) to a live
organisation; 204 a sender that is not known or not allowed here. A peer of one organisation that names another one is
refused so, and an audit row tells of it.

**No answer, connection closed: we are unable** (or, by setting of the source, AR or CE with 207). Never AE: a sender
drops what got AE. Send again: nothing is doubled.

**Kept anyhow.** What gets AE or AR is stored as a dead letter with its reason and its answer; of a peer that no source
knows, in the installation's quarantine, as far as its caps allow. A type that the source did not choose gets AA and is
stored as `filtered`. Not kept: an inbound ACK (MSH-9.1 ACK or MCF, or an MSA segment), which is counted and never
answered, and a message whose end block never came, which was never received.

**Resends.** Same source, same control id, same body apart from MSH-7: the first answer again, byte for byte, no second
effect. The same control id with another body is a new message and counted; where the source is strict it gets AE (205).

**Modes** (`ack_mode` of the source). `commit` and `one-ack`: one answer AA, AE or AR after the commit, whatever
MSH-15 and MSH-16 say. `after-processing`: AA once the message is processed, filtered or held for review, AE when it
became a dead letter; without an outcome by the deadline the connection is closed without answer, the message stays,
and a resend gets the answer as soon as there is one. `enhanced`: MSH-15 decides whether the commit ACK (CA, CE, CR)
is sent (AL always, NE or empty never, ER on error, SU on success); MSH-16 likewise the application ACK, which follows
after processing, as a message of its own on the same connection, with its own MSH-10; where a refusal gets no commit
ACK it gets the application ACK instead; with MSH-15 and MSH-16 both empty as `commit`. `none`: never an answer.
`ack_overrides` replaces codes at the end, looked up by ERR-3 code, then by ACK code.

**Order.** Answers on a connection leave in the order in which the messages came. A batch (FHS, BHS) gets one batch
ACK with one ACK a member, each member by its own control id; several messages in one frame get a frame each.

MSH-10 of an answer is the first 20 letters of the message's id, so that the message can be found by its ACK; that of an
application ACK is `A` and the first 19.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from importlib import resources
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID

import yaml

from chartwire.core.source import Source
from chartwire.formats.hl7v2.ack import AckCode, build_ack
from chartwire.formats.hl7v2.envelope import Envelope, Fault

CONTROL_ID_LETTERS_MAX: Final = 199
ACK_ID_LETTERS: Final = 20
_CODES: Final[Mapping[str, AckCode]] = {"AA": "AA", "AE": "AE", "AR": "AR", "CA": "CA", "CE": "CE", "CR": "CR"}
_COMMIT_CODES: Final[Mapping[str, AckCode]] = {"AA": "CA", "AE": "CE", "AR": "CR"}
_ECHOED: Final = (1, 2, 3, 4, 5, 6, 9, 11, 12, 18)
_MARK_ID, _MARK_ECHO, _MARK_TIME = "CHARTWIREACKID", "CHARTWIREECHO", datetime(1111, 11, 11, tzinfo=UTC)
_TEMPLATES_MAX: Final = 512
_TEMPLATE_BYTES_MAX: Final = 1024
_acceptances: "dict[tuple[str, ...], Acceptance]" = {}
_CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_HALF: Final = (1 << 50) - 1
_PAIRS: Final = tuple(first + second for first in _CROCKFORD for second in _CROCKFORD)

State = Literal["received", "filtered", "dead"]


class Verdict(NamedTuple):
    """What becomes of a message before the commit: its state, the code in original mode, and what is wrong."""

    state: State
    code: Literal["AA", "AE", "AR"]
    fault: Fault | None = None
    error_code: str | None = None


class Plan(NamedTuple):
    """How a message is answered: the code of the answer after the commit, whether that is sent, and what follows.

    `wait` holds the answer back until processing ends; `application` asks for an application ACK then.
    """

    code: AckCode
    send: bool = True
    wait: bool = False
    application: bool = False


class Vocabulary:
    """The types, events, versions and processing ids of `events.yaml`."""

    def __init__(self, text: str) -> None:
        raw: dict[str, Any] = yaml.safe_load(text)
        self.versions: frozenset[str] = frozenset(raw["versions"])
        self.processing_ids: Mapping[str, str] = raw["processing_ids"]
        self.types: Mapping[str, frozenset[str]] = {
            name: frozenset(event for entry in entries for event in _expand(entry))
            for name, entries in raw["types"].items()
        }
        self.processing_faults: Mapping[str, str] = raw["processing_faults"]

    @property
    def events(self) -> frozenset[str]:
        """Every known event as `ADT^A01`."""
        return frozenset(f"{name}^{event}" for name, events in self.types.items() for event in events)


def _expand(entry: str) -> Iterator[str]:
    first, _, last = entry.partition("-")
    if not last:
        yield first
        return
    stem = first.rstrip("0123456789")
    width = len(first) - len(stem)
    for number in range(int(first[len(stem) :]), int(last[len(stem) :]) + 1):
        yield f"{stem}{number:0{width}d}"


VOCABULARY: Final = Vocabulary((resources.files("chartwire.mllp") / "events.yaml").read_text("utf-8"))


def event_of(envelope: Envelope) -> str:
    """`ADT^A01` by MSH-9.1 and 9.2; `ADT` where no event is named."""
    trigger = envelope.trigger_event
    return f"{envelope.message_code}^{trigger}" if trigger else envelope.message_code


def judge(envelope: Envelope, source: Source, mapped: frozenset[str]) -> Verdict:
    """What a source makes of a message. `mapped` are the events that have a map."""
    fault = envelope.fault or _fault_of_header(envelope, source)
    if fault is not None:
        return Verdict("dead", fault.ack_code, fault, f"hl7_{fault.code}")
    event = event_of(envelope)
    accepts = source.accepts
    chosen = event in mapped and (not accepts or event in accepts or envelope.message_code in accepts)
    return Verdict("received" if chosen else "filtered", "AA")


def _fault_of_header(envelope: Envelope, source: Source) -> Fault | None:
    if len(envelope.control_id) > CONTROL_ID_LETTERS_MAX:
        return Fault("102", f"MSH-10 is longer than {CONTROL_ID_LETTERS_MAX} letters", "MSH-10")
    if envelope.version not in VOCABULARY.versions:
        return Fault("203", "this version is not known", "MSH-12", "AR")
    use = VOCABULARY.processing_ids.get(envelope.processing_id)
    if use is None:
        return Fault("202", "this processing id is not known", "MSH-11", "AR")
    if use != "live" and source.live:
        return Fault("202", "no test or training messages into a live organisation", "MSH-11", "AR")
    return _fault_of_event(envelope.message_code, envelope.trigger_event)


def _fault_of_event(code: str, trigger: str) -> Fault | None:
    if code.startswith("Z"):
        return None
    events = VOCABULARY.types.get(code)
    if events is None:
        return Fault("200", "this message type is not known", "MSH-9.1", "AR")
    if trigger not in events and not trigger.startswith("Z"):
        return Fault("201", "this event is not known for its message type", "MSH-9.2", "AR")
    return None


def plan(envelope: Envelope, source: Source, verdict: Verdict) -> Plan:
    """How this message is answered, by the source's mode."""
    code = overridden(verdict.code, verdict.fault, source)
    mode = source.ack_mode
    if mode == "none":
        return Plan(code, send=False)
    if mode == "after-processing":
        return Plan(code, wait=verdict.state == "received")
    if mode == "enhanced" and (envelope.accept_ack_type or envelope.application_ack_type):
        return _enhanced(envelope, source, verdict, code)
    return Plan(code)


def _enhanced(envelope: Envelope, source: Source, verdict: Verdict, code: AckCode) -> Plan:
    good = verdict.state != "dead"
    application = _wanted(envelope.application_ack_type, good)
    if _wanted(envelope.accept_ack_type, good):
        commit_code = overridden(_COMMIT_CODES[verdict.code], verdict.fault, source)
        # After CE or CR nothing more follows; after CA only the end of processing knows whether MSH-16 ER applies.
        return Plan(commit_code, application=good and envelope.application_ack_type not in ("", "NE"))
    if not good:
        return Plan(code, send=application)
    commit_code = overridden("CA", None, source)
    return Plan(commit_code, send=False, application=envelope.application_ack_type not in ("", "NE"))


def _wanted(condition: str, good: bool) -> bool:
    """HL7 table 0155. A value that the table does not have counts as AL: better one answer too many than none."""
    return {"": False, "NE": False, "ER": not good, "SU": good}.get(condition, True)


def overridden(code: str, fault: Fault | None, source: Source) -> AckCode:
    """The code after the source's override table."""
    for key, instead in source.ack_overrides:
        if (fault is not None and key == fault.code) or key == code:
            return _CODES.get(instead, _CODES[code])
    return _CODES[code]


def answer(
    envelope: Envelope, code: AckCode, message_id: UUID, at: datetime, fault: Fault | None = None, *, own: bool = False
) -> bytes:
    """The unframed ACK. `own` marks an application ACK that follows a commit ACK and so needs an id of its own."""
    control_id = ack_id(message_id)
    if own:
        control_id = "A" + control_id[: ACK_ID_LETTERS - 1]
    elif fault is None and code[1] == "A":
        accepted = acceptance(envelope, code)
        if accepted is not None and envelope.header[10].isascii():
            return accept(accepted, control_id, at, envelope.header[10])
    return build_ack(envelope, code, control_id=control_id, at=at, fault=fault, accept_side=code[0] == "C")


Acceptance = tuple[bytes, bytes, bytes, bytes]
"""A positive answer around its three variable parts: MSH-7, MSH-10 and MSA-2."""


def accept(acceptance: Acceptance, control_id: str, at: datetime, echo: str) -> bytes:
    """The unframed acceptance with MSH-10 `control_id` and MSA-2 `echo` (ASCII, in the delimiters of the message)."""
    before, between, after, end = acceptance
    return b"%b%b%b%b%b%b%b" % (before, _stamp(at), between, control_id.encode(), after, echo.encode(), end)


def acceptance(envelope: Envelope, code: AckCode) -> Acceptance | None:
    """The same for message after message of one sender, and building it anew would be a tenth of the time that a
    message takes before its commit. None where the three parts cannot be told from the rest."""
    header = envelope.header
    if len(header) <= _ECHOED[-1]:
        return None
    key = (code, envelope.charset, envelope.version, *[header[number] for number in _ECHOED])
    if key in _acceptances:
        return _acceptances[key]
    marked = replace(envelope, header=(*header[:10], _MARK_ECHO, *header[11:]))
    ack = build_ack(marked, code, control_id=_MARK_ID, at=_MARK_TIME, accept_side=code[0] == "C")
    marks = [_stamp(_MARK_TIME), _MARK_ID.encode("ascii"), _MARK_ECHO.encode("ascii")]
    parts = re.split(b"|".join(map(re.escape, marks)), ack)
    if len(parts) != 4 or [ack.count(mark) for mark in marks] != [1, 1, 1] or len(ack) > _TEMPLATE_BYTES_MAX:
        return None
    if len(_acceptances) >= _TEMPLATES_MAX:
        _acceptances.clear()
    before, between, after, end = parts
    return _acceptances.setdefault(key, (before, between, after, end))


@lru_cache(maxsize=16)
def _second(year: int, month: int, day: int, seconds: int) -> bytes:
    hours, minutes = divmod(seconds // 60, 60)
    return b"%04d%02d%02d%02d%02d%02d" % (year, month, day, hours, minutes, seconds % 60)


def _stamp(at: datetime) -> bytes:
    """What `formats.hl7v2.ack.timestamp` writes for an instant in UTC, in a third of the time."""
    second = _second(at.year, at.month, at.day, at.hour * 3600 + at.minute * 60 + at.second)
    return b"%b.%03d+0000" % (second, at.microsecond // 1000)


def ack_id(message_id: UUID) -> str:
    """The first 20 letters of the message's id as `to_prefixed` writes it: time, counter and 32 random bits."""
    number = message_id.int
    bits = number >> 30 & _HALF
    return (
        _first_letters(number >> 80)
        + _PAIRS[bits >> 40] + _PAIRS[bits >> 30 & 1023] + _PAIRS[bits >> 20 & 1023] + _PAIRS[bits >> 10 & 1023]
        + _PAIRS[bits & 1023]
    )  # fmt: skip


@lru_cache(maxsize=16)
def _first_letters(bits: int) -> str:
    """Ten letters for the 48 bits of time in an id: the same for all ids of a millisecond."""
    return "".join([_PAIRS[bits >> shift & 1023] for shift in (40, 30, 20, 10, 0)])


def application_outcome(
    state: str, error_code: str | None, location: str | None, text: str | None
) -> tuple[Literal["AA", "AE"], Fault | None]:
    """Code and fault of a message whose processing ended in this state."""
    if state != "dead":
        return "AA", None
    code = (error_code or "").removeprefix("hl7_")
    number = code if code.isdigit() else VOCABULARY.processing_faults.get(code, "102")
    return "AE", Fault(number, text or "this message could not be processed", location or "")


def application_ack_wanted(envelope: Envelope, code: str) -> bool:
    """Whether MSH-16 asks for an application ACK of this outcome."""
    return _wanted(envelope.application_ack_type, code == "AA")


SENDER_NOT_ALLOWED: Final = Fault("204", "this sender is not allowed here", "MSH-3", "AR")
UNABLE: Final = Fault("207", "not able to take messages now, send again", "", "AR")
CONTROL_ID_REUSED: Final = Fault("205", "this control id came before with another message", "MSH-10")


def too_large(limit_bytes: int) -> Fault:
    """The fault of a message above the limit."""
    return Fault("102", f"larger than {limit_bytes} bytes", "MSH")
