"""One MLLP connection: bytes in, answers out in the order of arrival, within bounds."""

import asyncio
import hashlib
import socket
import ssl
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol, cast

import structlog

from chartwire.channels.routing import Peer
from chartwire.core.clock import monotonic, now
from chartwire.core.crashpoints import hit
from chartwire.core.telemetry import Counter, Histogram
from chartwire.formats.hl7v2.framing import END, START, Deframer, Event, Frame, Junk, Oversize, Truncated
from chartwire.mllp.budget import Budget
from chartwire.mllp.reception import Correspondent, Reception
from chartwire.mllp.settings import Bounds

_FULL, _UNREAD, _OVER_BUDGET, _ENDING = 1, 2, 4, 8
_KEEPALIVE: Final = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4))
_LINGER_S: Final = 5.0
_LAST_WORD_S: Final = 2.0

ACK_SECONDS = Histogram("chartwire_mllp_ack_seconds", "From the last byte of a message to its answer")
UNFRAMED = Counter("chartwire_mllp_unframed_total", "What stood outside whole frames", ("kind",))
CLOSED = Counter("chartwire_mllp_closed_total", "Connections that this side ended", ("reason",))


_log = structlog.get_logger(__name__)


class Pending(Protocol):
    """What stands in a connection's queue: an exchange, a batch, or an answer of its own."""

    arrived: float
    body_bytes: int
    ready: bool
    closes: bool
    replies: Sequence[bytes]


@dataclass(slots=True)
class _Late:
    """An application ACK: ready from the start, sent when what came before it is."""

    arrived: float
    replies: Sequence[bytes]
    body_bytes: int = 0
    ready: bool = True
    closes: bool = False


class Host(Protocol):
    """The listener that a connection belongs to."""

    reception: Reception
    bounds: Bounds
    budget: Budget

    def opened(self, connection: "Connection") -> bool:
        """Whether there is room for one more connection."""

    def closed(self, connection: "Connection") -> None:
        """The connection is gone."""


class Connection(asyncio.Protocol):
    """Reads while it may, answers in order, one write for all answers that one group commit made ready.

    Reading pauses while too many messages are unanswered, the peer does not read our answers, or all connections
    together hold too many bytes. What was read already waits in `_backlog`.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._deframer = Deframer(host.bounds.message_bytes)
        self._pending: deque[Pending] = deque()
        self._backlog: deque[Event] = deque()
        self._paused = 0
        self._exchanged_bytes = 0
        self._held_bytes = 0
        self._last_read = self._frame_since = monotonic()
        self._unread_since = self._linger_until = 0.0
        self._open = self._ended = self._oversize = False
        self._half_closes = self._half_closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Set up the socket and find out who is there."""
        self._transport = transport = cast("asyncio.Transport", transport)  # uvloop's are no subclass of it
        if not self._host.opened(self):
            CLOSED.add(1, "too_many_connections")
            transport.abort()
            return
        self._open = True
        self._who = Correspondent(self, _peer(self._transport))
        _set_up(transport.get_extra_info("socket"))

    def data_received(self, data: bytes) -> None:
        """Cut frames and take what the bounds allow."""
        self._last_read = monotonic()
        deframer = self._deframer
        if self._ended:
            if self._oversize:
                deframer.feed(data)
                self._close_when_done()
            return
        if not self._backlog and not self._paused:
            whole = deframer.whole(data)
            if whole is not None:
                self._receive(whole, now())
                if len(self._pending) >= self._host.bounds.in_flight_per_connection:
                    self.pause(_FULL)
                self._account()
                return
        was_within = deframer.in_frame
        events = deframer.feed(data)
        if deframer.in_frame and (events or not was_within):
            self._frame_since = self._last_read
        if events:
            self._backlog.extend(events)
            self._take()
            self._apply_pause()
        self._account()

    def eof_received(self) -> bool:
        """The peer sends no more: take and answer what came, then close. (TLS cannot stay half open.)"""
        if self._deframer.close() is not None:
            UNFRAMED.add(1, "truncated")
        self._ended = True
        self._half_closes = self._half_closed = False
        self._close_when_done()
        return self._open and self._transport.get_extra_info("ssl_object") is None

    def connection_lost(self, _error: Exception | None) -> None:
        """Forget everything that was owed here: what is committed stays, and a resend gets its answer."""
        if self._open:
            self._open = False
            self._pending.clear()
            self._backlog.clear()
            self._host.budget.forget(self, self._held_bytes)
            self._host.closed(self)

    def pause_writing(self) -> None:
        """The peer does not read: take nothing more until it does."""
        self._unread_since = monotonic()
        self.pause(_UNREAD)

    def resume_writing(self) -> None:
        """The peer reads again."""
        self._unread_since = 0.0
        self.resume(_UNREAD)

    def release(self) -> None:
        """Send what is ready, in order, in one write; then read on, or end."""
        if not self._open:
            return
        frames: list[bytes] = []
        closes = False
        sent_at = monotonic()
        pending = self._pending
        while pending and pending[0].ready and not closes:
            one = pending.popleft()
            self._exchanged_bytes -= one.body_bytes
            closes = one.closes
            for reply in one.replies:
                frames += (START, reply, END)
            ACK_SECONDS.observe(sent_at - one.arrived)
        if frames and not self._transport.is_closing():
            hit("mllp.before_ack")
            self._transport.write(b"".join(frames))
            hit("mllp.after_ack")
        if closes:
            self._end()
            return
        if self._backlog or self._paused:
            self._take()
            self._apply_pause()
        self._account()
        if self._ended:
            self._close_when_done()

    def follow(self, ack: bytes) -> None:
        """Send one more ACK after all answers that are due before it. On a closed connection it is dropped."""
        self._pending.append(_Late(monotonic(), (ack,)))
        self.release()

    def drain(self) -> None:
        """Take nothing more, answer what was taken, close.

        Where answers are owed, the peer may be sending: closing over its unread bytes would reset the connection and
        could cut the last answer. So our side is closed behind that, and what still comes is dropped until the peer
        has closed too.
        """
        self._half_closes = bool(self._pending) and self._transport.can_write_eof()
        self._ended = True
        self._backlog.clear()
        self.pause(_ENDING)
        self._close_when_done()

    def abort(self) -> None:
        """Close now, whatever is owed."""
        self._transport.abort()

    def sweep(self, now_s: float) -> None:
        """End the connection when a timeout has passed."""
        reason = self._overdue(now_s)
        if reason:
            CLOSED.add(1, reason)
            self._transport.abort()

    def pause(self, why: int) -> None:
        """Stop reading, for one reason more."""
        self._paused |= why
        self._apply_pause()

    def resume(self, why: int) -> None:
        """One reason less; read on where none is left."""
        self._paused &= ~why
        self._last_read = self._frame_since = monotonic()
        self._take()
        self._apply_pause()

    def over_budget(self, yes: bool) -> None:
        """What `budget` tells: wait, or go on."""
        if yes:
            self.pause(_OVER_BUDGET)
        else:
            self.resume(_OVER_BUDGET)

    def _take(self) -> None:
        backlog = self._backlog
        room = self._host.bounds.in_flight_per_connection - len(self._pending)
        at = now() if backlog else None
        while at and backlog and room > 0 and not self._paused & (_UNREAD | _ENDING):
            event = backlog.popleft()
            if isinstance(event, Frame):
                room -= self._receive(event.body, at)
            else:
                self._unusual(event)
        self._paused = self._paused | _FULL if room <= 0 else self._paused & ~_FULL

    def _receive(self, body: bytes, at: datetime) -> int:
        """Take one message; 1 where an answer is due, else 0. A fault of ours ends the connection without an answer."""
        try:
            found = self._host.reception.receive(self._who, body, at, self._last_read)
        except Exception as error:
            _log.error("message_not_taken", error=type(error).__name__, bytes=len(body))
            CLOSED.add(1, "internal")
            self._transport.abort()
            return 0
        if found is None:
            return 0
        self._exchanged_bytes += found.body_bytes
        self._pending.append(found)
        return 1

    def _unusual(self, event: Oversize | Truncated | Junk) -> None:
        if isinstance(event, Oversize):
            limit_bytes = self._host.bounds.message_bytes
            self._pending.append(
                self._host.reception.oversize(self._who, event.head, limit_bytes, now(), self._last_read)
            )
            self._oversize = self._ended = True
            self._backlog.clear()
        UNFRAMED.add(1, type(event).__name__.lower())

    def _account(self) -> None:
        held = self._exchanged_bytes + self._deframer.buffered_bytes
        if self._backlog:
            held += sum(len(event.body) for event in self._backlog if isinstance(event, Frame))
        if held != self._held_bytes:
            change, self._held_bytes = held - self._held_bytes, held
            self._host.budget.change(self, change, busy=bool(self._pending))

    def _end(self) -> None:
        """Close; behind an oversize message only when its rest has been read, so that our answer is not reset away."""
        self._pending.clear()
        self._backlog.clear()
        self._ended = True
        self._linger_until = monotonic() + _LINGER_S
        self._close_when_done()

    def _close_when_done(self) -> None:
        if self._pending or self._backlog or not self._ended:
            return
        if self._half_closes:
            self._half_closes, self._half_closed = False, True
            self._linger_until = monotonic() + _LAST_WORD_S
            self._transport.write_eof()
            self.resume(_ENDING)
        elif not self._half_closed and not (self._oversize and self._deframer.in_frame):
            self._transport.close()

    def _overdue(self, now_s: float) -> str | None:
        bounds = self._host.bounds
        if self._unread_since and now_s - self._unread_since > bounds.write_timeout_s:
            return "peer_does_not_read"
        if self._linger_until and now_s > self._linger_until:
            return "oversize" if self._oversize else "drained"
        if self._paused or self._pending:
            return None
        if self._deframer.in_frame and now_s - self._frame_since > bounds.frame_timeout_s:
            return "frame_timeout"
        return "idle" if now_s - self._last_read > bounds.idle_timeout_s else None

    def _apply_pause(self) -> None:
        if not self._open or self._transport.is_closing():
            return
        if self._paused and self._transport.is_reading():
            self._transport.pause_reading()
        elif not self._paused and not self._transport.is_reading():
            self._transport.resume_reading()


def _set_up(raw: socket.socket | None) -> None:
    """No Nagle (an ACK is small and awaited), and probes that find a peer which vanished without a word."""
    if raw is None or raw.family not in (socket.AF_INET, socket.AF_INET6):
        return
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE:
        if hasattr(socket, name):
            raw.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _peer(transport: asyncio.Transport) -> Peer:
    address = transport.get_extra_info("peername")
    tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
    return Peer(address[0] if isinstance(address, tuple) else "", _certificate_names(tls) if tls else frozenset())


def _certificate_names(tls: ssl.SSLObject) -> frozenset[str]:
    """`cn:`, `san:` and `sha256:` of a client certificate that the handshake has verified."""
    binary, decoded = tls.getpeercert(binary_form=True), tls.getpeercert()
    if not binary or not decoded:
        return frozenset()
    names = {f"sha256:{hashlib.sha256(binary).hexdigest()}"}
    pairs = [pair for part in decoded.get("subject", ()) for pair in part]
    names |= {f"cn:{pair[1]}" for pair in pairs if pair[0] == "commonName"}
    names |= {f"san:{entry[1]}" for entry in decoded.get("subjectAltName", ())}
    return frozenset(names)
