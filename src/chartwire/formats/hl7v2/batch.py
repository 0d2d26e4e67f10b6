"""Streams of several messages: FHS/BHS batches, files of messages in a row, files of MLLP frames."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from chartwire.core.errors import ParseError
from chartwire.core.limits import BATCH_MEMBERS_MAX
from chartwire.formats.hl7v2.ack import AckWriter
from chartwire.formats.hl7v2.charsets import ECHO, WIDE, decode
from chartwire.formats.hl7v2.document import Finding
from chartwire.formats.hl7v2.envelope import Envelope

_BOUNDARY: Final = re.compile(
    rb"(?:\A|[\r\n\x0b\x1c])(?:\xef\xbb\xbf)?[ \t\x00]*(?=((?:MSH|FHS|BHS)[^\w\s]|(?:BTS|FTS)(?!\w)))"
)
_COUNT: Final = re.compile(rb"[BF]TS\W(\d{1,9})(?!\w)")
_AROUND: Final = b"\x0b\x1c\r\n \t\x00"
_BLANKS_AND_LINE_END: Final = re.compile(rb"[ \t]*(?:\r\n|\r|\n)?")
_LINE_END: Final = re.compile(rb"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Member:
    """One message of a batch: its byte range in `Batch.data`, end exclusive, framing bytes and blank lines left out."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Batch:
    """What a stream holds, in order. `data` is the stream, as UTF-8 where it came as UTF-16 or UTF-32.

    `header` is the first FHS or BHS line, b'' where there is none. Findings: `junk_before_first`, `batch_count`
    (BTS-1 or FTS-1 names another number), `trailer_missing`, `trailer_alone`.
    """

    data: bytes
    header: bytes
    members: tuple[Member, ...]
    findings: tuple[Finding, ...] = field(default=())

    @property
    def enveloped(self) -> bool:
        """Whether FHS or BHS stand around the messages."""
        return bool(self.header)

    def __len__(self) -> int:
        return len(self.members)

    def __iter__(self) -> Iterator[bytes]:
        return (self.data[member.start : member.end] for member in self.members)


def split(data: bytes) -> Batch:
    """The messages of a stream: every MSH at a line start begins one, FHS, BHS, BTS and FTS stand between them.

    A stream without any of these is one member, so that reading it gives the reason. Raises ParseError
    `too_many_members` above BATCH_MEMBERS_MAX.
    """
    decoded = decode(data[:4096])
    if decoded.codec in WIDE:
        data = decode(data).text.encode("utf-8", ECHO)
    walk = _Walk(data)
    marks = [(found.end(), data[found.end() : found.end() + 3]) for found in _BOUNDARY.finditer(data)]
    ends = [start for start, _ in (*marks[1:], (len(data), b""))][: len(marks)]
    walk.before(marks[0][0] if marks else 0)
    for (start, name), end in zip(marks, ends, strict=True):
        walk.step(name, start, end)
    walk.finish()
    if not marks:
        walk.members.append(Member(0, len(data)))
    return Batch(data, walk.header, tuple(walk.members), tuple(walk.findings))


class _Walk:
    """Goes through the header segments of a stream and checks the counts on the way."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.header = b""
        self.members: list[Member] = []
        self.findings: list[Finding] = []
        self._open: dict[bytes, int] = {}
        self._seen = {b"BHS": 0, b"FHS": 0, b"BTS": 0, b"FTS": 0}

    def before(self, first: int) -> None:
        if self.data[:first].strip(_AROUND + b"\xef\xbb\xbf"):
            self._find("junk_before_first", "", "bytes before the first header segment")

    def step(self, name: bytes, start: int, end: int) -> None:
        if name == b"MSH":
            if len(self.members) >= BATCH_MEMBERS_MAX:
                raise ParseError(
                    f"more than {BATCH_MEMBERS_MAX} messages", code="too_many_members", position=start, location="MSH"
                )
            self.members.append(Member(start, self._end(start, end)))
        elif name in (b"FHS", b"BHS"):
            self._opened(name, start, end)
        else:
            self._closed(name, start, end)

    def finish(self) -> None:
        for name in self._open:
            self._missing(name)

    def _opened(self, name: bytes, start: int, end: int) -> None:
        if name in self._open:
            self._missing(name)
        self._seen[name] += 1
        self._open[name] = len(self.members) if name == b"BHS" else self._seen[b"BHS"]
        self.header = self.header or _LINE_END.split(self.data[start:end], maxsplit=1)[0]

    def _closed(self, name: bytes, start: int, end: int) -> None:
        self._seen[name] += 1
        opener = name[:1] + b"HS"
        location = f"{name.decode()}[{self._seen[name]}]"
        begun = self._open.pop(opener, None)
        if begun is None:
            self._find("trailer_alone", location, f"{name.decode()} without {opener.decode()}")
            return
        stated = _COUNT.match(self.data, start, end)
        counted = (len(self.members) if name == b"BTS" else self._seen[b"BHS"]) - begun
        if stated and int(stated[1]) != counted:
            self._find("batch_count", f"{location}-1", f"{name.decode()}-1 is not the number found, {counted}")

    def _missing(self, name: bytes) -> None:
        self._find("trailer_missing", f"{name.decode()}[{self._seen[name]}]", f"{name.decode()} without its trailer")

    def _end(self, start: int, end: int) -> int:
        """Where the message ends: after the line end of its last segment."""
        last = start + len(self.data[start:end].rstrip(_AROUND))
        found = _BLANKS_AND_LINE_END.match(self.data, last, end)
        return found.end() if found else last

    def _find(self, code: str, location: str, message: str) -> None:
        self.findings.append(Finding(code, location, message, "warning"))


def build_batch_ack(envelope: Envelope, acks: Sequence[bytes], *, control_id: str, at: datetime) -> bytes:
    """One batch that answers a batch: BHS (swapped, BHS-12 the batch's own BHS-11), one ACK a member in order, BTS-1.

    `envelope` is that of the whole stream (`is_batch`), `acks` come from `build_ack`; `at` is aware. The result is
    unframed, in the envelope's delimiters and charset (UTF-8 for a stream that `split` made UTF-8).
    """
    codec = "utf-8" if envelope.charset in WIDE else envelope.charset
    header = AckWriter(envelope).bhs(control_id, at).encode(codec, ECHO)
    trailer = f"BTS{envelope.delimiters.field}{len(acks)}".encode(codec, ECHO)
    return b"".join((header, b"\r", *acks, trailer, b"\r"))
