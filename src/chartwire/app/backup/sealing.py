"""Sealed streams: AES-256-GCM in frames, written and read in bounded memory, in the order of STREAM (Rogaway 2015).

    magic "CWB1" | ephemeral public key (32) | frames
    frame = length of its plain bytes (4, big-endian; the highest bit marks the last frame) | ciphertext and tag

Each stream has a key of its own (keys.py), so its nonces are a counter. The counter, the last-frame mark and the
purpose (which file of which backup) are authenticated: frames cannot be altered, dropped, swapped or moved to another
file, and a stream that ends without its last frame is known to be cut.
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO, Protocol

from cryptography.exceptions import InvalidTag

from chartwire.app.backup.keys import RecoveryKey, ServerKey
from chartwire.core.errors import ValidationError

MAGIC = b"CWB1"
FRAME_BYTES_MAX = 1 << 20
HEAD_BYTES = len(MAGIC) + 32
_TAG_BYTES = 16
_LAST = 1 << 31


class Sink(Protocol):
    """What takes bytes."""

    def write(self, data: bytes, /) -> object:
        """Take all of `data`."""


class SealedWriter:
    """Writes one sealed stream to `file`; `finish` ends it. `written` counts sealed bytes."""

    def __init__(self, file: Sink, key: ServerKey, purpose: str) -> None:
        ephemeral, self._cipher = key.new_stream()
        self._file, self._purpose, self._count = file, purpose.encode(), 0
        file.write(MAGIC + ephemeral)
        self.written = HEAD_BYTES

    def write(self, data: bytes) -> None:
        """Seal `data` in as many frames as it needs."""
        for start in range(0, len(data), FRAME_BYTES_MAX):
            self._frame(data[start : start + FRAME_BYTES_MAX], 0)

    def finish(self) -> None:
        """Write the last frame, which is empty."""
        self._frame(b"", _LAST)

    def _frame(self, data: bytes, last: int) -> None:
        head = struct.pack("!I", len(data) | last)
        sealed = self._cipher.encrypt(_nonce(self._count), data, self._purpose + head)
        self._count += 1
        self.written += len(head) + len(sealed)
        self._file.write(head + sealed)


def frames(file: BinaryIO, key: RecoveryKey, purpose: str) -> Iterator[bytes]:
    """The plain bytes of a stream, frame by frame. Raises ValidationError: `backup_cut` when it ends before its last
    frame (what came before it is good), `backup_tampered` for anything that does not open."""
    head = file.read(HEAD_BYTES)
    if len(head) < HEAD_BYTES:
        raise ValidationError(f"{purpose}: the file ends early", code="backup_cut")
    if not head.startswith(MAGIC):
        raise ValidationError(f"{purpose}: not a sealed stream of Chartwire", code="backup_tampered")
    try:
        cipher = key.stream(head[len(MAGIC) :])
    except ValueError:
        raise _tampered(purpose, 0) from None
    count = 0
    while True:
        told = file.read(4)
        length = struct.unpack("!I", told)[0] & ~_LAST if len(told) == 4 else 0
        if length > FRAME_BYTES_MAX:
            raise _tampered(purpose, count)
        sealed = file.read(length + _TAG_BYTES)
        if len(told) < 4 or len(sealed) < length + _TAG_BYTES:
            raise ValidationError(f"{purpose}: the file ends early", code="backup_cut")
        try:
            yield cipher.decrypt(_nonce(count), sealed, purpose.encode() + told)
        except InvalidTag:
            raise _tampered(purpose, count) from None
        if told[0] & 0x80:
            return
        count += 1


def plain_bytes_held(file: BinaryIO) -> int:
    """How many plain bytes the whole frames of a stream hold, by their heads alone: no key is needed, none proved."""
    end = file.seek(0, 2)
    at, total = file.seek(HEAD_BYTES), 0
    while len(told := file.read(4)) == 4:
        length = struct.unpack("!I", told)[0] & ~_LAST
        at += 4 + length + _TAG_BYTES
        if length > FRAME_BYTES_MAX or at > end:
            break
        total += length
        file.seek(at)
    return total


class SealedReader:
    """`frames` as a file to read from, for tarfile."""

    def __init__(self, file: BinaryIO, key: RecoveryKey, purpose: str) -> None:
        self._frames = frames(file, key, purpose)
        self._left = b""

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; none at the end of the stream."""
        while len(self._left) < size and (more := next(self._frames, None)) is not None:
            self._left += more
        given, self._left = self._left[:size], self._left[size:]
        return given


def _nonce(count: int) -> bytes:
    return count.to_bytes(12, "big")


def _tampered(purpose: str, frame: int) -> ValidationError:
    return ValidationError(
        f"{purpose}: frame {frame} does not open: the file was altered, or the recovery key is another's",
        code="backup_tampered",
    )
