"""The light check before the ACK: what a listener needs to route, order, deduplicate and answer a message."""

import hashlib
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import zip_longest
from typing import Final, Literal, NamedTuple

from chartwire.core.errors import ParseError
from chartwire.core.limits import ENVELOPE_IDENTIFIERS_MAX, SEGMENTS_MAX
from chartwire.formats.hl7v2.charsets import NOT_ASCII_SUPERSETS, decode
from chartwire.formats.hl7v2.document import NULL
from chartwire.formats.hl7v2.escapes import DEFAULT_DELIMITERS, Delimiters, unescaper
from chartwire.formats.hl7v2.parser import PADDING, is_storable, read_delimiters, segment_id, storable

REQUIRED: Final = (9, 10, 11, 12)
"""MSH fields that HL7 v2.9.2 section 2.14.9 requires, beside the delimiters."""

_ACK_CODES: Final = frozenset({"ACK", "MCF"})
_TIMESTAMP: Final = 7
_HASH_SCAN_BYTES: Final = 4096
_READ_MAX: Final = ENVELOPE_IDENTIFIERS_MAX + 1
_HEADER_KEPT_MAX: Final = 512
_EMPTY: Final = ("", NULL)
_HEADER_FIELDS: Final = 22
_NO_FIELDS: Final = [""] * 20
_NO_COMPONENTS: Final = [""] * 4


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a message is refused, as the ERR segment tells it; never holds a value of the message.

    `code` is of table HL70357 (100-103 content, 200-207 not about the content), `location` is `SEG[n]-field`, `SEG`
    or '' where no segment can be named.
    """

    code: str
    text: str
    location: str = ""
    ack_code: Literal["AE", "AR"] = "AE"
    severity: Literal["E", "W", "I", "F"] = "E"


class PatientId(NamedTuple):
    """One CX repetition of PID-3 or MRG-1, unescaped, '' where empty.

    `authority` is CX.4.1, `type` CX.5, `group` the number (from 1) of the PID that it stands in or follows.
    """

    value: str
    authority: str
    type: str
    authority_universal_id: str = ""
    authority_universal_type: str = ""
    group: int = 1


@dataclass(frozen=True, slots=True)
class Envelope:
    """The header of a message and the identifiers of its patients. Text is unescaped, '' where the field is empty, and
    holds no NUL or lone surrogate (but for `header`).

    HD fields are tuples of their components. `header` are the undecoded MSH fields by number (in a batch BHS, else
    FHS), for answers that must echo them byte for byte. `fault` is None for a message that may be acknowledged.
    """

    body_hash: bytes
    charset: str = "ascii"
    delimiters: Delimiters = DEFAULT_DELIMITERS
    header: tuple[str, ...] = ()
    sending_application: tuple[str, ...] = ()
    sending_facility: tuple[str, ...] = ()
    receiving_application: tuple[str, ...] = ()
    receiving_facility: tuple[str, ...] = ()
    timestamp: str = ""
    message_code: str = ""
    trigger_event: str = ""
    structure: str = ""
    control_id: str = ""
    processing_id: str = ""
    version: str = ""
    accept_ack_type: str = ""
    application_ack_type: str = ""
    patient_ids: tuple[PatientId, ...] = ()
    merge_ids: tuple[PatientId, ...] = ()
    account_number: str = ""
    visit_number: str = ""
    visit_location: tuple[str, ...] = ()
    is_ack: bool = False
    is_batch: bool = False
    fault: Fault | None = field(default=None)


def read_envelope(data: bytes, *, charset: str | None = None, required: tuple[int, ...] = REQUIRED) -> Envelope:
    """The Envelope of one frame's bytes; never raises. `charset` overrides MSH-18, `required` are MSH field numbers.

    Checked, first fault wins: something stands there and starts with MSH (FHS or BHS mark a batch) [100]; MSH-1 and
    MSH-2 give delimiters [102]; the `required` fields (MSH-9, 10, 11, 12) are not empty [101]; every segment has an id
    of a capital and two capitals or digits, and there are at most SEGMENTS_MAX [100]; PID-3 and MRG-1 hold at most
    ENVELOPE_IDENTIFIERS_MAX ids each [102].
    All are AE. Not checked: types, events, versions and processing ids (the listener's decision), field contents,
    structure, sizes. In a batch (`is_batch`: FHS, BHS, or several MSH) the members are not looked at: split it first.
    `is_ack`: MSH-9.1 is ACK or MCF, or an MSA stands in it; never answer those.
    """
    decoded = decode(data, charset)
    text = decoded.text.strip(PADDING)
    if not text.startswith(("MSH", "FHS", "BHS")):
        return _refused(data, decoded.codec, Fault("100", "the first segment is not MSH", "MSH"))
    try:
        delimiters = read_delimiters(text)
    except ParseError as error:
        return _refused(data, decoded.codec, Fault("102", error.message, error.location))
    if "\n" in text:
        text = text.replace("\r\n", "\r").replace("\n", "\r")
    reader = _reader(delimiters, decoded.codec)
    digest = _body_hash(data, text, decoded.codec, delimiters.field)
    lines = text.split("\r")
    header = fields = _header(lines, delimiters.field)
    if not is_storable(text):
        lines = storable(text, delimiters).split("\r")
        fields = _header(lines, delimiters.field)
    if fields[0] != "MSH":
        return _batch_envelope(header, fields, reader, digest)
    return _message_envelope(header, fields, lines, reader, digest, required)


class _Reader:
    """Reads leaves of undecoded field text."""

    __slots__ = ("codec", "delimiters", "unescape")

    def __init__(self, delimiters: Delimiters, codec: str) -> None:
        self.delimiters = delimiters
        self.codec = codec
        self.unescape = unescaper(delimiters, codec)

    def leaf(self, raw: str) -> str:
        if raw == NULL:
            return ""
        escape = self.delimiters.escape
        return self.unescape(raw) if escape and escape in raw else raw

    def sub(self, part: str) -> str:
        """The first subcomponent of a component."""
        mark = self.delimiters.subcomponent
        return self.leaf(part.split(mark, 1)[0] if mark and mark in part else part)

    def components(self, raw: str) -> tuple[str, ...]:
        """The components of the first repetition, each by its first subcomponent."""
        if not raw or raw == NULL:
            return ()
        _, component, repetition, _, subcomponent, _ = self.delimiters
        if repetition and repetition in raw:
            raw = raw.split(repetition, 1)[0]
        parts = raw.split(component)
        read = self.sub if subcomponent and subcomponent in raw else self.leaf
        return tuple(map(read, parts))

    def first(self, raw: str) -> str:
        """The first leaf of the first repetition."""
        if not raw:
            return ""
        _, component, repetition, _, subcomponent, _ = self.delimiters
        for mark in (repetition, component, subcomponent):
            if mark and mark in raw:
                raw = raw.split(mark, 1)[0]
        return self.leaf(raw)

    def identifiers(self, raw: str, group: int) -> list[PatientId]:
        """Every CX of the field that has an id, up to one more than may stand in a message."""
        _, component, repetition, escape, subcomponent, _ = self.delimiters
        found = []
        plain = not ((escape and escape in raw) or (subcomponent and subcomponent in raw) or NULL in raw)
        for one in raw.split(repetition, _READ_MAX)[:_READ_MAX] if repetition else (raw,):
            parts = one.split(component, 5)
            if plain:
                if parts[0]:
                    parts += _NO_COMPONENTS
                    found.append(PatientId(parts[0], parts[3], parts[4], "", "", group))
                continue
            value = self.sub(parts[0])
            if not value:
                continue
            authority = parts[3] if len(parts) > 3 else ""
            kind = self.sub(parts[4]) if len(parts) > 4 else ""
            names = authority.split(subcomponent) if subcomponent and authority else [authority]
            namespace, universal, universal_type, *_ = [*map(self.leaf, names), "", ""]
            found.append(PatientId(value, namespace, kind, universal, universal_type, group))
        return found


@lru_cache(maxsize=64)
def _reader(delimiters: Delimiters, codec: str) -> _Reader:
    return _Reader(delimiters, codec)


def read_identifiers(raw: str) -> list[PatientId]:
    """Every CX of an undecoded ASCII field in the usual delimiters, at most ENVELOPE_IDENTIFIERS_MAX + 1 of them."""
    return _USUAL.identifiers(raw, 1) if raw else []


_USUAL: Final = _Reader(DEFAULT_DELIMITERS, "ascii")


class _Fixed(NamedTuple):
    """What stands in the header of one message after another: all but MSH-7 and MSH-10."""

    parties: tuple[tuple[str, ...], ...]
    event: tuple[str, ...]
    processing_id: str
    version: str
    accept_ack_type: str
    application_ack_type: str

    @property
    def complete(self) -> bool:
        """Whether none of MSH-9, 11 and 12 is empty."""
        return bool(self.event[0].strip() and self.processing_id.strip() and self.version.strip())


def _read_fixed(reader: _Reader, raw: tuple[str, ...]) -> _Fixed:
    return _Fixed(
        tuple(map(reader.components, raw[:4])), (*reader.components(raw[4]), "", "", ""), *map(reader.first, raw[5:])
    )


_read_fixed_again: Final = lru_cache(maxsize=512)(_read_fixed)


def _message_envelope(
    header: list[str], fields: list[str], lines: list[str], reader: _Reader, digest: bytes, required: tuple[int, ...]
) -> Envelope:
    raw = (*fields[3:7], fields[9], fields[11], fields[12], fields[15], fields[16])
    fixed = (_read_fixed_again if len(lines[0]) <= _HEADER_KEPT_MAX else _read_fixed)(reader, raw)
    event = fixed.event
    control_id = _control_id(fields[10], reader)
    complete = required == REQUIRED and fixed.complete and control_id and reader.first(fields[10]).strip()
    missing = None if complete else _missing(fields, reader, required)
    body = _Body(reader)
    bad_segment = body.read(lines)
    return Envelope(
        body_hash=digest,
        charset=reader.codec,
        delimiters=reader.delimiters,
        header=tuple(header),
        sending_application=fixed.parties[0],
        sending_facility=fixed.parties[1],
        receiving_application=fixed.parties[2],
        receiving_facility=fixed.parties[3],
        timestamp=fields[7],
        message_code=event[0],
        trigger_event=event[1],
        structure=event[2],
        control_id=control_id,
        processing_id=fixed.processing_id,
        version=fixed.version,
        accept_ack_type=fixed.accept_ack_type,
        application_ack_type=fixed.application_ack_type,
        patient_ids=tuple(body.patient_ids),
        merge_ids=tuple(body.merge_ids),
        account_number=body.account_number,
        visit_number=body.visit_number,
        visit_location=body.visit_location,
        is_ack=event[0] in _ACK_CODES or body.has_msa,
        is_batch=body.headers > 1,
        fault=(missing or bad_segment) if body.headers == 1 else None,
    )


def _batch_envelope(header: list[str], fields: list[str], reader: _Reader, digest: bytes) -> Envelope:
    return Envelope(
        body_hash=digest,
        charset=reader.codec,
        delimiters=reader.delimiters,
        header=tuple(header),
        sending_application=reader.components(fields[3]),
        sending_facility=reader.components(fields[4]),
        receiving_application=reader.components(fields[5]),
        receiving_facility=reader.components(fields[6]),
        timestamp=fields[7],
        control_id=_control_id(fields[11], reader),
        is_batch=True,
    )


def _header(lines: list[str], mark: str) -> list[str]:
    """The fields of the header by number; FHS and a BHS after it as one: same fields, BHS first where it speaks."""
    fields = lines[0].split(mark)
    fields.insert(1, mark)
    if fields[0] == "FHS" and len(lines) > 1 and lines[1][:4] == f"BHS{mark}":
        inner = lines[1].split(mark)
        inner.insert(1, mark)
        fields = [own or outer for own, outer in zip_longest(inner, fields, fillvalue="")]
    return fields + [""] * (_HEADER_FIELDS - len(fields))


def _refused(data: bytes, codec: str, fault: Fault) -> Envelope:
    return Envelope(body_hash=hashlib.sha256(data).digest(), charset=codec, fault=fault)


def _missing(fields: list[str], reader: _Reader, required: tuple[int, ...]) -> Fault | None:
    for number in required:
        if number >= len(fields) or fields[number] in _EMPTY or not reader.first(fields[number]).strip():
            return Fault("101", f"MSH-{number} is empty", f"MSH-{number}")
    return None


def _control_id(raw: str, reader: _Reader) -> str:
    return reader.leaf(raw).strip()


def _body_hash(data: bytes, text: str, codec: str, mark: str) -> bytes:
    """SHA-256 of the message without MSH-7; over UTF-8 text where the charset is no superset of ASCII."""
    if codec in NOT_ASCII_SUPERSETS:
        data = text.encode("utf-8", "surrogatepass")
    head = data[:_HASH_SCAN_BYTES].split(mark.encode("utf-8", "surrogatepass"), _TIMESTAMP)
    if len(head) <= _TIMESTAMP:
        return hashlib.sha256(data).digest()
    rest = head.pop()
    head.pop()
    before = b"\x00".join(head)
    if b"\r" in before or b"\n" in before:
        return hashlib.sha256(data).digest()
    digest = hashlib.sha256(before)
    digest.update(memoryview(data)[min(len(data), _HASH_SCAN_BYTES) - len(rest) :])
    return digest.digest()


class _Body:
    """What the segments after MSH say about patients and visits, read in one pass."""

    __slots__ = (
        "_groups", "account_number", "has_msa", "headers", "merge_ids", "patient_ids", "reader", "visit_location",
        "visit_number",
    )  # fmt: skip

    def __init__(self, reader: _Reader) -> None:
        self.reader = reader
        self.patient_ids: list[PatientId] = []
        self.merge_ids: list[PatientId] = []
        self.account_number = self.visit_number = ""
        self.visit_location: tuple[str, ...] = ()
        self.has_msa = False
        self.headers = self._groups = 0

    def read(self, lines: list[str]) -> Fault | None:
        """Read every line; the first fault, if any."""
        if len(lines) > SEGMENTS_MAX and sum(map(bool, lines)) > SEGMENTS_MAX:
            self.headers = 1
            return Fault("100", f"more than {SEGMENTS_MAX} segments")
        mark = self.reader.delimiters.field
        fault = None
        for number, line in enumerate(filter(None, lines), 1):
            name = segment_id(line[:4], mark)
            if name in _HANDLERS:
                _HANDLERS[name](self, line.split(mark, 20) + _NO_FIELDS)
            elif not name and fault is None and line.strip(PADDING):
                fault = Fault("100", f"segment {number} has no segment id")
        for name, found in (("PID-3", self.patient_ids), ("MRG-1", self.merge_ids)):
            if len(found) > ENVELOPE_IDENTIFIERS_MAX:
                fault = fault or Fault("102", f"more than {ENVELOPE_IDENTIFIERS_MAX} identifiers", name)
        return fault

    def patient(self, fields: list[str]) -> None:
        """PID: its identifiers, and the account number as a stand-in for the visit."""
        self._groups += 1
        if len(self.patient_ids) <= ENVELOPE_IDENTIFIERS_MAX:
            self.patient_ids += self.reader.identifiers(fields[3], self._groups)
        self.account_number = self.account_number or self.reader.first(fields[18])

    def merge(self, fields: list[str]) -> None:
        """MRG: the prior identifiers of the PID before it."""
        if len(self.merge_ids) <= ENVELOPE_IDENTIFIERS_MAX:
            self.merge_ids += self.reader.identifiers(fields[1], max(self._groups, 1))

    def visit(self, fields: list[str]) -> None:
        """PV1: visit number and assigned location."""
        self.visit_number = self.visit_number or self.reader.first(fields[19])
        self.visit_location = self.visit_location or self.reader.components(fields[3])

    def response(self, _fields: list[str]) -> None:
        """MSA: this is an answer."""
        self.has_msa = True

    def header(self, _fields: list[str]) -> None:
        """MSH: more than one makes a batch."""
        self.headers += 1


_HANDLERS: Final = {
    "PID": _Body.patient, "MRG": _Body.merge, "PV1": _Body.visit, "MSA": _Body.response, "MSH": _Body.header,
}  # fmt: skip
