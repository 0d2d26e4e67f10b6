"""A sealed stream gives back what was written to it, or says that it is not what was written."""

import io

import pytest
from hypothesis import given, strategies

from chartwire.app.backup.keys import RecoveryKey, ServerKey
from chartwire.app.backup.sealing import (
    FRAME_BYTES_MAX,
    HEAD_BYTES,
    SealedReader,
    SealedWriter,
    frames,
    plain_bytes_held,
)
from chartwire.core.errors import ValidationError

KEY = RecoveryKey(b"p" * 32, b"a" * 32)
CHUNKS = strategies.lists(strategies.binary(max_size=40), max_size=5)


def sealed(chunks: list[bytes], purpose: str = "base x", *, whole: bool = True) -> bytes:
    file = io.BytesIO()
    writer = SealedWriter(file, KEY.server, purpose)
    for chunk in chunks:
        writer.write(chunk)
    if whole:
        writer.finish()
    assert writer.written == len(file.getvalue())
    return file.getvalue()


def opened(data: bytes, purpose: str = "base x", key: RecoveryKey = KEY) -> bytes:
    return b"".join(frames(io.BytesIO(data), key, purpose))


def refusal(data: bytes, purpose: str = "base x", key: RecoveryKey = KEY) -> str:
    with pytest.raises(ValidationError) as refused:
        opened(data, purpose, key)
    return refused.value.code


@given(CHUNKS)
def test_what_was_written_comes_back_and_its_size_is_known_without_a_key(chunks: list[bytes]) -> None:
    data = sealed(chunks)
    assert opened(data) == b"".join(chunks)
    assert plain_bytes_held(io.BytesIO(data)) == len(b"".join(chunks))


def test_more_than_a_frame_is_written_in_several_and_read_in_any_pieces() -> None:
    long = bytes(range(256)) * (FRAME_BYTES_MAX // 256) + b"and more"
    reader = SealedReader(io.BytesIO(sealed([long])), KEY, "base x")
    pieces = iter(lambda: reader.read(100_000), b"")
    assert b"".join(pieces) == long


@given(CHUNKS, strategies.data())
def test_one_changed_byte_is_found(chunks: list[bytes], data: strategies.DataObject) -> None:
    whole = bytearray(sealed(chunks))
    whole[data.draw(strategies.integers(0, len(whole) - 1))] ^= data.draw(strategies.integers(1, 255))
    assert refusal(bytes(whole)) in ("backup_tampered", "backup_cut")


@given(CHUNKS, strategies.data())
def test_a_cut_stream_is_known_to_be_cut(chunks: list[bytes], data: strategies.DataObject) -> None:
    whole = sealed(chunks)
    assert refusal(whole[: data.draw(strategies.integers(0, len(whole) - 1))]) == "backup_cut"


def test_frames_that_changed_places_are_found() -> None:
    whole = sealed([b"one", b"two"])
    size = 4 + 3 + 16
    first, second = whole[HEAD_BYTES : HEAD_BYTES + size], whole[HEAD_BYTES + size : HEAD_BYTES + 2 * size]
    assert refusal(whole[:HEAD_BYTES] + second + first + whole[HEAD_BYTES + 2 * size :]) == "backup_tampered"


def test_a_stream_put_in_the_place_of_another_is_found() -> None:
    assert refusal(sealed([b"one"], "wal 1 0/1000000"), "wal 1 0/2000000") == "backup_tampered"


def test_who_knows_the_public_key_alone_cannot_forge() -> None:
    forged = io.BytesIO()
    writer = SealedWriter(forged, ServerKey(KEY.server.public, b"?" * 32), "base x")
    writer.finish()
    assert refusal(forged.getvalue()) == "backup_tampered"


def test_nothing_is_sealed_twice_the_same_way() -> None:
    assert sealed([b"one"]) != sealed([b"one"])
