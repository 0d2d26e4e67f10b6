"""One HTTP/1.1 connection as a client, one exchange at a time, every size bounded (RFC 9112; parsing by llhttp)."""

import asyncio
from dataclasses import dataclass, field
from typing import cast

import httptools

from chartwire.core.limits import OUTBOUND_ANSWER_BYTES_MAX, OUTBOUND_ANSWER_HEAD_BYTES_MAX, WEBHOOK_RESPONSE_BYTES_MAX
from chartwire.trust.outcomes import OutcomeUnknownError


@dataclass(slots=True)
class RawAnswer:
    """An answer as it builds up: `body` holds at most WEBHOOK_RESPONSE_BYTES_MAX bytes."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    truncated: bool = False


class Connection(asyncio.Protocol):
    """A kept connection. `exchange` writes one request and gives its final answer; 1xx answers are passed over.

    The answer is over at its last byte, or once its body exceeds the excerpt or chunk framing and trailers the bound:
    then the socket is cut, so a gigabyte costs no more than 20 kB. Anything the peer sends unasked ends the
    connection, lest it be read as the next answer.
    """

    def __init__(self) -> None:
        self.idle_since_s = 0.0
        self.answered_bytes = 0
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[RawAnswer] | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._answer = RawAnswer()
        self._head_complete = False
        self._keep = True

    @property
    def is_usable(self) -> bool:
        """Whether another request may go out on it."""
        return self._keep and self._waiter is None and self._transport is not None and not self._transport.is_closing()

    @property
    def status(self) -> int | None:
        """The status of the present answer, where its head has arrived."""
        return self._answer.status or None

    async def exchange(self, request: bytes) -> RawAnswer:
        """Write `request` and wait for the final answer.

        Raises OutcomeUnknownError when none comes whole. However it fails, cancelled included, the connection is cut:
        a late answer must not be read as the answer to the next request.
        """
        assert self._transport is not None, "connected"
        assert self._waiter is None, "one exchange at a time"
        self._answer, self._head_complete, self.answered_bytes = RawAnswer(), False, 0
        self._parser = httptools.HttpResponseParser(self)
        self._waiter = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            return await self._waiter
        except BaseException:
            self.abort()
            raise
        finally:
            self._waiter = self._parser = None

    def abort(self) -> None:
        """Drop the connection at once, unsent bytes included."""
        self._keep = False
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio callback."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's transports are none by inheritance

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio callback: an answer framed by the end of the connection is whole now, any other is not."""
        self._keep = False
        headers = self._answer.headers
        framed = "content-length" in headers or "transfer-encoding" in headers
        if exc is None and self._head_complete and not framed:
            self._finish()
        else:
            self._fail("the connection ended before the whole answer came", "closed")

    def data_received(self, data: bytes) -> None:
        """asyncio callback."""
        if self._parser is None or self._waiter is None or self._waiter.done():
            self.abort()
            return
        self.answered_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._break("the answer is not HTTP/1.1", "malformed")
        if not self._head_complete and self.answered_bytes > OUTBOUND_ANSWER_HEAD_BYTES_MAX:
            self._break("the head of the answer is too long", "head_too_long")
        if self._head_complete and self.answered_bytes > OUTBOUND_ANSWER_BYTES_MAX:
            self._cut()

    def on_message_begin(self) -> None:
        """llhttp callback: a second message behind the final answer was not asked for."""
        if self._head_complete:
            self._keep = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """llhttp callback; trailers, which come after the head, are passed over."""
        if not self._head_complete:
            self._answer.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """llhttp callback; an interim answer (1xx) leaves no trace."""
        assert self._parser is not None
        status = self._parser.get_status_code()
        if status >= 200:
            self._answer.status, self._head_complete = status, True
        else:
            self._answer.headers.clear()

    def on_body(self, data: bytes) -> None:
        """llhttp callback."""
        body = self._answer.body
        room = WEBHOOK_RESPONSE_BYTES_MAX - len(body)
        body += data[:room]
        if len(data) > room:
            self._cut()

    def on_message_complete(self) -> None:
        """llhttp callback."""
        assert self._parser is not None
        if self._head_complete:
            self._keep = self._keep and self._parser.should_keep_alive()
            self._finish()

    def _finish(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(self._answer)
            self._answer = RawAnswer()  # what still comes in this read belongs to no request

    def _cut(self) -> None:
        self._answer.truncated = True
        self._finish()
        self.abort()

    def _fail(self, message: str, code: str) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(OutcomeUnknownError(message, code=code, status=self.status))

    def _break(self, message: str, code: str) -> None:
        self._fail(message, code)
        self.abort()
