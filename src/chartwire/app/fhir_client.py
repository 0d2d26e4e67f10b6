"""One kept connection to a FHIR server, for `chartwire fhir load`, through the guarded door."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

import httptools

from chartwire.core.errors import TransientError
from chartwire.core.limits import BUNDLE_BYTES_MAX
from chartwire.trust.addresses import OPERATOR
from chartwire.trust.outbound import Outbound
from chartwire.trust.target import parse_url, request_head

_READ_BYTES = 262_144


@dataclass(slots=True)
class Reply:
    """An answer as it builds up; names of headers are lower-case."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    whole: bool = False


class _Reading:
    """llhttp's callbacks for one answer; one that says 1xx leaves no trace."""

    def __init__(self) -> None:
        self.reply = Reply()
        self.parser = httptools.HttpResponseParser(self)

    def on_header(self, name: bytes, value: bytes) -> None:
        self.reply.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, data: bytes) -> None:
        self.reply.body += data

    def on_message_complete(self) -> None:
        status = self.parser.get_status_code()
        if status < 200:
            self.reply = Reply()
        else:
            self.reply.status, self.reply.whole = status, True


class FhirClient:
    """POSTs to the FHIR base `url`, one after the other. The operator named the host: any will do."""

    def __init__(self, outbound: Outbound, url: str, headers: Mapping[str, str], timeout_s: float) -> None:
        self._outbound, self._target, self._headers, self._timeout_s = outbound, parse_url(url), headers, timeout_s
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Send one Bundle, give its answer.

        Raises TransientError: nothing listens, or no whole answer came (`no_answer`: it may have been carried, so it is
        sent again under the same Idempotency-Key only).
        """
        head = request_head(self._target, {**self._headers, **headers}, len(body))
        try:
            async with asyncio.timeout(self._timeout_s):
                reader, writer = await self._stream()
                writer.write(head)
                writer.write(body)
                await writer.drain()
                return await self._answer(reader)
        except (TimeoutError, OSError, httptools.HttpParserError):
            await self.close()
            raise TransientError("no whole answer came", code="no_answer") from None
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """End the connection; the next request makes another."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def _stream(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is None:
            target = self._target
            self._streams = await self._outbound.open_stream(target.host, target.port, target.tls, OPERATOR)
        return self._streams

    async def _answer(self, reader: asyncio.StreamReader) -> Reply:
        reading = _Reading()
        while not reading.reply.whole:
            data = await reader.read(_READ_BYTES)
            if not data or len(reading.reply.body) > BUNDLE_BYTES_MAX:
                raise ConnectionError
            reading.parser.feed_data(data)
        if not reading.parser.should_keep_alive():
            await self.close()
        return reading.reply
