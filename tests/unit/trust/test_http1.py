"""One exchange read from bytes: whole or unknown, bounded, and the same however the network cuts it."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chartwire.core.limits import WEBHOOK_RESPONSE_BYTES_MAX
from chartwire.trust.http1 import Connection
from chartwire.trust.outcomes import OutcomeUnknownError

PIECES = st.sampled_from([
    b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.0 503 No\r\n", b"Content-Length: 3\r\n",
    b"Content-Length: 30000\r\n", b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n", b"\r\n", b"abc", b"3\r\nabc\r\n",
    b"0\r\n\r\n", b"x" * 25_000, b"Retry-After: 5\r\n", b"\x00", b"garbage",
])  # fmt: skip


class Wire(asyncio.Transport):
    """The socket's side: says the end to the protocol once, as a loop does."""

    def __init__(self) -> None:
        super().__init__()
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert data == b"request"

    def abort(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


async def read(segments: list[bytes]) -> tuple[object, ...]:
    connection, wire = Connection(), Wire()
    connection.connection_made(wire)
    exchange = asyncio.ensure_future(connection.exchange(b"request"))
    await asyncio.sleep(0)
    for segment in segments:
        if not wire.closed and not exchange.done():
            connection.data_received(segment)
    connection.connection_lost(None)
    try:
        answer = await asyncio.wait_for(exchange, 1)
    except OutcomeUnknownError as unknown:
        return (unknown.code,)
    assert len(answer.body) <= WEBHOOK_RESPONSE_BYTES_MAX and 200 <= answer.status <= 999
    return answer.status, answer.headers, bytes(answer.body), answer.truncated


@settings(max_examples=150)
@given(st.lists(PIECES, max_size=8), st.data())
def test_an_answer_reads_the_same_however_the_network_cuts_it(pieces: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(pieces)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    segments = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert asyncio.run(read([each for each in segments if each])) == asyncio.run(read([whole] if whole else []))


@pytest.mark.parametrize(
    "size", [WEBHOOK_RESPONSE_BYTES_MAX - 1, WEBHOOK_RESPONSE_BYTES_MAX, WEBHOOK_RESPONSE_BYTES_MAX + 1]
)
def test_a_body_is_cut_exactly_beyond_the_excerpt(size: int) -> None:
    status, _, body, truncated = asyncio.run(
        read([f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode(), b"x" * size])
    )
    assert (status, len(body), truncated) == (
        200, min(size, WEBHOOK_RESPONSE_BYTES_MAX), size > WEBHOOK_RESPONSE_BYTES_MAX,
    )  # fmt: skip
