"""MLLP release 1 framing, incremental: VT (0x0B), the message, FS (0x1C), CR (0x0D)."""

import re
from dataclasses import dataclass
from typing import Final

START: Final = b"\x0b"
END: Final = b"\x1c\r"
HEAD_BYTES_MAX: Final = 4096

_BOUNDARY: Final = re.compile(rb"\x1c|\x0b(?=MSH|FHS|BHS)")
_BOUNDARY_LOOKAHEAD: Final = 3
_PADDING: Final = b"\r\n"


@dataclass(frozen=True, slots=True)
class Frame:
    """A whole message, without its framing bytes."""

    body: bytes


@dataclass(frozen=True, slots=True)
class Oversize:
    """A message above the limit. `head` is its beginning (at most 4096 bytes): enough to build the AE from.

    Reported once, as soon as the limit is passed; the rest of that frame is dropped unseen.
    """

    head: bytes


@dataclass(frozen=True, slots=True)
class Truncated:
    """A message whose end block never came: a new start block or the end of the connection cut it off."""

    body: bytes


@dataclass(frozen=True, slots=True)
class Junk:
    """Bytes outside any frame (line ends between frames do not count), dropped."""

    count: int


Event = Frame | Oversize | Truncated | Junk


class Deframer:
    """Cuts a stream of bytes into frames, in linear time however the bytes are split.

    - FS ends a frame at once; a CR (or LF) after it is swallowed, so a peer that leaves out the CR is answered too.
    - VT inside a frame starts a new one only where MSH, FHS or BHS follows; the unfinished frame is then reported as
      Truncated. Any other VT (a soft line break pasted from a word processor) belongs to the message.
    - What stands before a start block is counted as Junk and dropped: the stream finds its way back by itself.
    - Never holds more than `limit_bytes` plus one `feed` of data.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._buffer = bytearray()
        self._scanned = 0
        self._in_frame = False
        self._dropping = False

    @property
    def in_frame(self) -> bool:
        """Whether a start block has come whose end has not: the time for a frame is running."""
        return self._in_frame

    @property
    def buffered_bytes(self) -> int:
        """How many bytes of an unfinished frame are held."""
        return len(self._buffer)

    def whole(self, data: bytes) -> bytes | None:
        """The usual case without a copy through the buffer: the message where `data` is one frame and nothing else and
        nothing came before it, else None and nothing is taken."""
        if self._in_frame or self._buffer or len(data) > self._limit:
            return None
        if not data.startswith(START) or data.find(END[:1]) != len(data) - 2 or not data.endswith(END):
            return None
        return None if data.find(START, 1) > 0 else data[1:-2]

    def feed(self, data: bytes) -> list[Event]:
        """What these bytes complete, in stream order; [] when nothing is complete yet."""
        events: list[Event] = []
        self._buffer += data
        begin = 0
        while begin is not None and begin < len(self._buffer):
            begin, more = self._inside(begin, events) if self._in_frame else self._outside(begin, events)
            if not more:
                break
        del self._buffer[:begin]
        self._scanned = max(self._scanned - begin, 0)
        return events

    def close(self) -> Truncated | None:
        """The stream has ended: the unfinished frame, if there is one."""
        cut = Truncated(bytes(self._buffer)) if self._in_frame and not self._dropping else None
        self._buffer.clear()
        self._scanned, self._in_frame, self._dropping = 0, False, False
        return cut

    def _outside(self, begin: int, events: list[Event]) -> tuple[int, bool]:
        start = self._buffer.find(START, begin)
        end = start if start >= 0 else len(self._buffer)
        count = len(self._buffer[begin:end].translate(None, _PADDING))
        if count:
            events.append(Junk(count))
        if start < 0:
            return end, False
        self._in_frame, self._dropping, self._scanned = True, False, start + 1
        return start + 1, True

    def _inside(self, begin: int, events: list[Event]) -> tuple[int, bool]:
        boundary = _BOUNDARY.search(self._buffer, max(begin, self._scanned))
        end = boundary.start() if boundary else len(self._buffer)
        settled = end if boundary else end - _BOUNDARY_LOOKAHEAD
        if not self._dropping and settled - begin > self._limit:
            self._dropping = True
            events.append(Oversize(bytes(self._buffer[begin : min(begin + HEAD_BYTES_MAX, end)])))
        if boundary is None:
            self._scanned = max(begin, end - _BOUNDARY_LOOKAHEAD)
            return (self._scanned if self._dropping else begin), False
        if not self._dropping:
            body = bytes(self._buffer[begin:end])
            events.append(Frame(body) if boundary[0] == END[:1] else Truncated(body))
        self._in_frame = boundary[0] == START
        self._dropping = False
        self._scanned = end + 1
        return end + 1, True


def frame(body: bytes) -> bytes:
    """`body` between its start and end blocks."""
    return START + body + END
