"""The one guarded door for every outbound socket (OWASP API7, ASVS 1.3.6).

A name is resolved once and all its addresses are judged: one bad address refuses the call, so a mixed or changing DNS
answer gains nothing. The socket goes to a judged address, TLS is checked against the name. No redirects, no proxies
from the environment, no decompression; every byte count and every wait is bounded.

An HTTP client of our own, because the door must know three things that libraries hide: whether a byte was sent (safe
to repeat or not), which address a kept connection leads to (it is judged again for every caller, under that caller's
policy), and where an answer stops being worth reading.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from ipaddress import ip_address

from chartwire.core.clock import monotonic
from chartwire.core.limits import (
    OUTBOUND_ADDRESSES_TRIED_MAX,
    OUTBOUND_CONNECT_TIMEOUT_S,
    OUTBOUND_CONNECTIONS_MAX,
)
from chartwire.trust.addresses import Address, OutboundPolicy, verdict_on_endpoint
from chartwire.trust.http1 import Connection, RawAnswer
from chartwire.trust.idle import IdleConnections, Peer
from chartwire.trust.outcomes import Answer, ConnectFailedError, OutcomeUnknownError, RefusedError
from chartwire.trust.resolver import Lookup, Resolver
from chartwire.trust.target import Target, parse_url, request_head

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def _always() -> bool:
    return True


class Outbound:
    """Opens every socket that leaves the installation. One per process; `close` it at the end.

    `armed` tells whether it may open any: a restored or copied installation says no until `chartwire arm`. `tls` is the
    context for servers' certificates (default: the system's authorities, TLS 1.2 or newer); `lookup` replaces the
    system resolver.
    """

    def __init__(
        self,
        *,
        armed: Callable[[], bool] = _always,
        tls: ssl.SSLContext | None = None,
        lookup: Lookup | None = None,
    ) -> None:
        self._armed = armed
        self._tls = tls or default_tls()
        self._resolver = Resolver(lookup)
        self._idle = IdleConnections()
        self._sockets = asyncio.Semaphore(OUTBOUND_CONNECTIONS_MAX)

    @property
    def armed(self) -> bool:
        """Whether a connection would be opened now."""
        return self._armed()

    async def post(
        self, url: str, body: bytes, headers: Mapping[str, str], *, timeout_s: float, policy: OutboundPolicy
    ) -> Answer:
        """POST `body` and read the answer, all within `timeout_s` seconds.

        Raises RefusedError (our rules; permanent), ConnectFailedError (nothing was sent: safe to repeat) or
        OutcomeUnknownError (sent, no whole answer: repeat under the same id only). Any status is an Answer, redirects
        included.
        """
        self._refuse_disarmed()
        started_s = monotonic()
        target = parse_url(url)
        request = request_head(target, headers, len(body)) + body
        connection: Connection | None = None
        try:
            async with asyncio.timeout(timeout_s), self._sockets:
                peer, connection = await self._connection(target, policy)
                raw = await connection.exchange(request)
        except TimeoutError:
            raise _late(connection) from None
        self._idle.put(peer, connection)
        return _answer(raw, (monotonic() - started_s) * 1000)

    async def check(self, url: str, policy: OutboundPolicy, *, timeout_s: float = OUTBOUND_CONNECT_TIMEOUT_S) -> None:
        """Judge a URL without connecting, for when a person writes it down.

        Raises RefusedError, or ConnectFailedError when the name does not resolve. No permission for later: `post`
        judges anew.
        """
        target = parse_url(url)
        await self.check_peer(target.host, target.port, target.tls, policy, timeout_s=timeout_s)

    async def check_peer(
        self,
        host: str,
        port: int,
        tls: bool,
        policy: OutboundPolicy,
        *,
        timeout_s: float = OUTBOUND_CONNECT_TIMEOUT_S,
    ) -> None:
        """As `check`, for what has a host and a port and no URL."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._judged(host, port, tls, policy)
        except TimeoutError:
            raise ConnectFailedError("the host name was not resolved in time", code="connect_timeout") from None

    async def open_stream(
        self,
        host: str,
        port: int,
        tls: ssl.SSLContext | bool,
        policy: OutboundPolicy,
        *,
        timeout_s: float = OUTBOUND_CONNECT_TIMEOUT_S,
    ) -> Stream:
        """A judged byte stream for other protocols (MLLP). `tls` may be a context that carries a client certificate.

        Raises RefusedError or ConnectFailedError. The stream is the caller's to close and to bound.
        """
        self._refuse_disarmed()
        context = self._tls if tls is True else tls or None
        try:
            async with asyncio.timeout(timeout_s):
                addresses = await self._judged(host, port, context is not None, policy)
                return await _first_stream(host, port, addresses, context)
        except TimeoutError:
            raise ConnectFailedError("the connection was not made in time", code="connect_timeout") from None

    async def open_starttls(
        self,
        host: str,
        port: int,
        ask: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
        policy: OutboundPolicy,
        *,
        timeout_s: float,
    ) -> Stream:
        """A judged stream that begins in plain text and is under TLS when it is handed over; judged as one of TLS.

        `ask` speaks in the clear until the peer is ready for the handshake, so nothing secret. Raises what
        `open_stream` and `ask` raise, and ConnectFailedError (`tls_injection`) for a peer that said more in the clear
        than `ask` read: it would count as said under TLS (RFC 3207 section 5).
        """
        self._refuse_disarmed()
        writer: asyncio.StreamWriter | None = None
        try:
            async with asyncio.timeout(timeout_s):
                addresses = await self._judged(host, port, True, policy)
                reader, writer = await _first_stream(host, port, addresses, None)
                await ask(reader, writer)
                if _holds_bytes(reader):
                    raise ConnectFailedError("the peer spoke out of turn before TLS", code="tls_injection")
                await _upgrade(writer, self._tls, host)
                return reader, writer
        except TimeoutError:
            _abort(writer)
            raise ConnectFailedError("the connection was not made in time", code="connect_timeout") from None
        except BaseException:
            _abort(writer)
            raise

    async def close(self) -> None:
        """Drop the kept connections. Calls in flight end by their own deadlines."""
        self._idle.close()
        self._resolver.close()

    def _refuse_disarmed(self) -> None:
        if not self._armed():
            raise ConnectFailedError("this installation is disarmed: see `chartwire arm`", code="disarmed")

    async def _judged(self, host: str, port: int, tls: bool, policy: OutboundPolicy) -> list[Address]:
        try:
            addresses = await self._resolver.addresses(host)
        except (OSError, UnicodeError):
            raise ConnectFailedError("the host name does not resolve", code="dns") from None
        for address in addresses:
            refusal = verdict_on_endpoint(address, port, tls, policy)
            if refusal is not None:
                raise RefusedError(refusal.reason, code=refusal.code)
        return addresses[:OUTBOUND_ADDRESSES_TRIED_MAX]

    async def _connection(self, target: Target, policy: OutboundPolicy) -> tuple[Peer, Connection]:
        addresses = await self._judged(target.host, target.port, target.tls, policy)
        peers = [Peer(target.tls, target.host, target.port, address) for address in addresses]
        for peer in peers:
            kept = self._idle.take(peer)
            if kept is not None:
                return peer, kept
        failure = ConnectFailedError("the connection was not made", code="connect")
        for peer in peers:
            try:
                return peer, await self._connect(peer)
            except ConnectFailedError as failed:
                failure = failed
        raise failure

    async def _connect(self, peer: Peer) -> Connection:
        loop = asyncio.get_running_loop()
        context = self._tls if peer.tls else None
        try:
            async with asyncio.timeout(OUTBOUND_CONNECT_TIMEOUT_S):
                transport, connection = await loop.create_connection(
                    Connection,
                    str(peer.address),
                    peer.port,
                    ssl=context,
                    server_hostname=peer.host if context else None,
                )
        except (OSError, ssl.CertificateError) as error:
            raise connect_failure(error) from None
        reached = transport.get_extra_info("peername")
        if reached is None or ip_address(reached[0]) != peer.address:
            connection.abort()
            raise ConnectFailedError("the connection ended at once", code="connect")
        return connection


def default_tls() -> ssl.SSLContext:
    """Server certificates checked against the system's authorities and the name; TLS 1.2 at least."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def connect_failure(error: OSError | ssl.CertificateError) -> ConnectFailedError:
    """Class a failure before the first byte, in words that help the receiver's operator."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return ConnectFailedError("the certificate is not trusted or not for this name", code="tls_certificate")
    if isinstance(error, ssl.SSLError):
        return ConnectFailedError("the TLS handshake failed", code="tls")
    if isinstance(error, TimeoutError):
        return ConnectFailedError("the connection was not made in time", code="connect_timeout")
    if isinstance(error, ConnectionRefusedError):
        return ConnectFailedError("nothing listens there", code="connection_refused")
    return ConnectFailedError("the connection was not made", code="connect")


async def _first_stream(host: str, port: int, addresses: list[Address], context: ssl.SSLContext | None) -> Stream:
    failure: OSError | ssl.CertificateError = OSError("no address")
    for address in addresses:
        try:
            name = host if context else None
            return await asyncio.open_connection(str(address), port, ssl=context, server_hostname=name)
        except (OSError, ssl.CertificateError) as error:
            failure = error
    raise connect_failure(failure)


async def _upgrade(writer: asyncio.StreamWriter, context: ssl.SSLContext, host: str) -> None:
    try:
        await writer.start_tls(context, server_hostname=host)
    except (OSError, ssl.CertificateError) as error:
        raise connect_failure(error) from None


def _holds_bytes(reader: asyncio.StreamReader) -> bool:
    """Whether bytes came that nobody has read: a read would end at once."""
    look = reader.read(1)
    try:
        look.send(None)
    except StopIteration:
        return True
    look.close()
    return False


def _abort(writer: asyncio.StreamWriter | None) -> None:
    if writer is not None:
        writer.transport.abort()


def _late(connection: Connection | None) -> ConnectFailedError | OutcomeUnknownError:
    if connection is None:
        return ConnectFailedError("the connection was not made in time", code="connect_timeout")
    return OutcomeUnknownError("no whole answer came in time", code="timeout", status=connection.status)


def _answer(raw: RawAnswer, duration_ms: float) -> Answer:
    return Answer(raw.status, raw.headers, bytes(raw.body), raw.truncated, duration_ms)
