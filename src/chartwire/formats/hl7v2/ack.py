"""The answer to a message: MSH, MSA and, where something is wrong, ERR (HL7 v2.9.2 sections 2.9 and 2.14)."""

import re
from datetime import datetime
from typing import Final, Literal

from chartwire.formats.hl7v2.charsets import ECHO
from chartwire.formats.hl7v2.encode import escape
from chartwire.formats.hl7v2.envelope import Envelope, Fault
from chartwire.formats.hl7v2.escapes import Delimiters

AckCode = Literal["AA", "AE", "AR", "CA", "CE", "CR"]

HL70357: Final = {
    "0": "Message accepted",
    "100": "Segment sequence error",
    "101": "Required field missing",
    "102": "Data type error",
    "103": "Table value not found",
    "104": "Value too long",
    "198": "Non-Conformant Cardinality",
    "199": "Other HL7 Error",
    "200": "Unsupported message type",
    "201": "Unsupported event code",
    "202": "Unsupported processing id",
    "203": "Unsupported version id",
    "204": "Unknown key identifier",
    "205": "Duplicate key identifier",
    "206": "Application record locked",
    "207": "Application internal error",
}
"""Message error condition codes."""

_DEFAULT_VERSION: Final = "2.5.1"
_ERR_2_FROM: Final = (2, 5)
_MSA_3_UNTIL: Final = (2, 7)
_LOCATION: Final = re.compile(
    r"(?P<segment>[A-Z][A-Z0-9]{2})(?:\[(?P<sequence>\d+)\])?(?:-(?P<field>\d+)(?:\((?P<repetition>\d+)\))?"
    r"(?:\.(?P<component>\d+)(?:\.(?P<sub>\d+))?)?)?"
)
_ERL: Final = ("segment", "sequence", "field", "repetition", "component", "sub")
_UNCARRIED: Final = re.compile(r"[\x00-\x1f]")


def build_ack(
    envelope: Envelope,
    code: AckCode,
    *,
    control_id: str,
    at: datetime,
    fault: Fault | None = None,
    text: str | None = None,
    accept_side: bool = False,
) -> bytes:
    """The unframed ACK for `envelope`, segments ended by CR, in the message's own delimiters and charset.

    MSH-3..6 are the message's, swapped and byte for byte; MSH-7 is `at` (aware) with milliseconds and offset; MSH-9
    ACK^trigger^ACK; MSH-10 `control_id`; MSH-11 and MSH-12 echoed (P and 2.5.1 where empty). MSA-2 echoes MSH-10 byte
    for byte and is empty where there was none. `accept_side` turns AA, AE, AR into CA, CE, CR (and False the other way
    round). `fault` (else `envelope.fault` where the code is no acceptance) gives the ERR: ERR-2, 3, 4 and 8 from
    version 2.5, ERR-1 before. `text` (else the fault's) is MSA-3 before version 2.7 and ERR-8. Never raises for any
    Envelope, garbage included.
    """
    writer = AckWriter(envelope)
    code_letter = "C" if accept_side else "A"
    refused = code[1] != "A"
    fault = fault or (envelope.fault if refused else None)
    wording = text or (fault.text if fault else None)
    lines = [writer.msh(control_id, at), writer.msa(code_letter + code[1], wording)]
    if fault:
        lines.append(writer.err(fault, wording or fault.text))
    return ("\r".join(lines) + "\r").encode(envelope.charset, ECHO)


class AckWriter:
    """Writes the segments of one answer in the delimiters of what it answers."""

    def __init__(self, envelope: Envelope) -> None:
        self.envelope = envelope
        self.delimiters: Delimiters = envelope.delimiters
        self.version = envelope.version or _DEFAULT_VERSION
        self.is_message = envelope.header[:1] == ("MSH",)

    def msh(self, control_id: str, at: datetime) -> str:
        """MSH with applications and facilities swapped."""
        event = self.write(self.envelope.trigger_event)
        message_type = self.delimiters.component.join(("ACK", event, "ACK")) if event else "ACK"
        echoed = (self.echo(11), self.echo(12), self.echo(18)) if self.is_message else ("", "", "")
        processing_id, version, charset = echoed
        fields = (*self._swapped("MSH", at), message_type, self.write(control_id), processing_id or "P",
                  version or self.version, "", "", "", "", "", charset)  # fmt: skip
        return self.delimiters.field.join(fields).rstrip(self.delimiters.field)

    def bhs(self, control_id: str, at: datetime) -> str:
        """BHS with applications and facilities swapped; BHS-12 is the BHS-11 or FHS-11 that is answered."""
        reference = "" if self.is_message else self.echo(11)
        fields = (*self._swapped("BHS", at), "", "", self.write(control_id), reference)
        return self.delimiters.field.join(fields).rstrip(self.delimiters.field)

    def _swapped(self, name: str, at: datetime) -> tuple[str, ...]:
        echo = self.echo
        return (
            name, self.delimiters.encoding_characters, echo(5), echo(6), echo(3), echo(4), timestamp(at), "",
        )  # fmt: skip

    def msa(self, code: str, text: str | None) -> str:
        """MSA-1, MSA-2 and, before version 2.7, MSA-3."""
        fields = ["MSA", code, self.echo(10 if self.is_message else 11)]
        if text and version_number(self.version) < _MSA_3_UNTIL:
            fields.append(self.write(text))
        return self.delimiters.field.join(fields)

    def err(self, fault: Fault, text: str) -> str:
        """ERR in the form of the message's version."""
        found = _LOCATION.fullmatch(fault.location)
        place = found.groupdict(default="") if found else dict.fromkeys(_ERL, "")
        if place["segment"]:
            place["sequence"] = place["sequence"] or "1"
        display = HL70357.get(fault.code, "")
        if version_number(self.version) < _ERR_2_FROM:
            return self._old_err(fault.code, display, place)
        join = self.delimiters.component.join
        location = join(place[part] for part in _ERL).rstrip(self.delimiters.component)
        condition = join((fault.code, self.write(display), "HL70357"))
        return self.delimiters.field.join(
            ("ERR", "", location, condition, fault.severity, "", "", "", self.write(text))
        )

    def _old_err(self, code: str, display: str, place: dict[str, str]) -> str:
        """ERR-1 (ELD): segment id, sequence, field, and the condition as a CE of subcomponents."""
        mark = self.delimiters.subcomponent
        condition = mark.join((code, self.write(display), "HL70357")) if mark else code
        place_and_condition = (place["segment"], place["sequence"], place["field"], condition)
        return f"ERR{self.delimiters.field}{self.delimiters.component.join(place_and_condition)}"

    def echo(self, field: int) -> str:
        """An undecoded field of the message's header."""
        header = self.envelope.header
        return header[field] if field < len(header) else ""

    def write(self, text: str) -> str:
        """`text` as a leaf; what these delimiters cannot carry becomes a space."""
        text = _UNCARRIED.sub(" ", text)
        if not self.delimiters.escape:
            return "".join(" " if letter in self.delimiters else letter for letter in text)
        return escape(text, self.delimiters, self.envelope.charset)


def timestamp(at: datetime) -> str:
    """An aware datetime as DTM with milliseconds and offset: 20261120081530.123+0000."""
    return f"{at:%Y%m%d%H%M%S}.{at.microsecond // 1000:03d}{at:%z}"


def version_number(version: str) -> tuple[int, ...]:
    """`2.5.1` as (2, 5, 1); what is no version counts as 2.5.1."""
    parts = version.strip().split(".")
    if not all(part.isascii() and part.isdigit() and len(part) < 5 for part in parts):
        return (2, 5, 1)
    return tuple(map(int, parts))
