"""A stop-and-wait MLLP sender for `chartwire hl7 send`, through the guarded door."""

import asyncio
import ssl
from pathlib import Path

from chartwire.core.errors import TransientError
from chartwire.core.limits import MLLP_MESSAGE_BYTES_MAX
from chartwire.formats.hl7v2 import Deframer, Frame, frame
from chartwire.trust.addresses import OPERATOR
from chartwire.trust.outbound import Outbound, default_tls

_READ_BYTES = 65_536


class MllpClient:
    """One connection to `host`:`port`, opened at the first message. The operator named the host: any will do."""

    def __init__(self, host: str, port: int, tls: ssl.SSLContext | None, timeout_s: float) -> None:
        self._host, self._port, self._tls, self._timeout_s = host, port, tls, timeout_s
        self._outbound = Outbound(tls=tls)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._deframer = Deframer(MLLP_MESSAGE_BYTES_MAX)

    async def exchange(self, data: bytes) -> bytes:
        """Send one message, give its answer. Raises TransientError: nothing listens, no answer in time, closed."""
        try:
            async with asyncio.timeout(self._timeout_s):
                if self._streams is None:
                    self._streams = await self._outbound.open_stream(
                        self._host, self._port, self._tls or False, OPERATOR
                    )
                reader, writer = self._streams
                writer.write(frame(data))
                await writer.drain()
                return await self._answer(reader)
        except TimeoutError:
            reason = f"no answer within {self._timeout_s:g} s: the message may have arrived, sending it again is safe"
            raise TransientError(reason, code="no_answer") from None
        except OSError:
            raise TransientError("the connection broke before the answer", code="no_answer") from None

    async def close(self) -> None:
        """End the connection."""
        if self._streams is not None:
            self._streams[1].close()
        await self._outbound.close()

    async def _answer(self, reader: asyncio.StreamReader) -> bytes:
        while data := await reader.read(_READ_BYTES):
            for event in self._deframer.feed(data):
                if isinstance(event, Frame):
                    return event.body
        raise TransientError("the receiver closed the connection without an answer", code="no_answer")


def client_tls(ca: Path | None, cert: Path | None, key: Path | None) -> ssl.SSLContext:
    """TLS for a client: the system's authorities or `ca`, and a client certificate where given. Raises OSError."""
    context = default_tls()
    if ca is not None:
        context.load_verify_locations(ca)
    if cert is not None:
        context.load_cert_chain(cert, key)
    return context
