"""HL7 v2 messages: bytes to Document and back, MLLP framing, envelope check, ACK, batches, time stamps."""

from chartwire.formats.hl7v2.document import NULL, Document, Finding, Repetition, Segment
from chartwire.formats.hl7v2.escapes import Delimiters
from chartwire.formats.hl7v2.parser import parse, parse_text
from chartwire.formats.hl7v2.paths import Path, compile_path

__all__ = [
    "NULL", "Delimiters", "Document", "Finding", "Path", "Repetition", "Segment", "compile_path", "parse", "parse_text",
]  # fmt: skip
