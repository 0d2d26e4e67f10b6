"""HL7 v2 messages: bytes to Document and back, MLLP framing, envelope check, ACK, batches, time stamps."""

from chartwire.formats.hl7v2.ack import AckCode, build_ack
from chartwire.formats.hl7v2.batch import Batch, Member, build_batch_ack, split
from chartwire.formats.hl7v2.document import NULL, Document, Finding, Repetition, Segment
from chartwire.formats.hl7v2.encode import encode, escape, message
from chartwire.formats.hl7v2.envelope import Envelope, Fault, PatientId, read_envelope
from chartwire.formats.hl7v2.escapes import Delimiters
from chartwire.formats.hl7v2.framing import Deframer, Frame, Junk, Oversize, Truncated, frame
from chartwire.formats.hl7v2.parser import parse, parse_text
from chartwire.formats.hl7v2.paths import Path, compile_path
from chartwire.formats.hl7v2.times import Converted, Timestamp, to_fhir_date, to_fhir_datetime, to_fhir_time, to_instant

__all__ = [
    "NULL",
    "AckCode",
    "Batch",
    "Converted",
    "Deframer",
    "Delimiters",
    "Document",
    "Envelope",
    "Fault",
    "Finding",
    "Frame",
    "Junk",
    "Member",
    "Oversize",
    "Path",
    "PatientId",
    "Repetition",
    "Segment",
    "Timestamp",
    "Truncated",
    "build_ack",
    "build_batch_ack",
    "compile_path",
    "encode",
    "escape",
    "frame",
    "message",
    "parse",
    "parse_text",
    "read_envelope",
    "split",
    "to_fhir_date",
    "to_fhir_datetime",
    "to_fhir_time",
    "to_instant",
]
