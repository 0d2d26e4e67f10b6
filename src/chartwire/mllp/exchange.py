"""One message of a connection, or one batch, from its arrival until its answer may leave."""

from collections.abc import Callable, Sequence
from typing import Final, Protocol
from uuid import UUID

from chartwire.channels.intake import Answer, Door
from chartwire.core.clock import monotonic, now
from chartwire.core.errors import ChartwireError
from chartwire.core.ids import uuid7
from chartwire.core.source import Source
from chartwire.core.telemetry import Counter
from chartwire.formats.hl7v2.ack import AckCode
from chartwire.formats.hl7v2.envelope import Envelope, read_envelope
from chartwire.mllp import contract
from chartwire.mllp.contract import Plan
from chartwire.mllp.fates import Fate, Fates, LedgerKey, Watch

ACKS: Final = Counter("chartwire_mllp_acks_total", "Answers by code; `resend` is an earlier one again", ("code",))
_UNABLE_CODES: Final[dict[str, AckCode]] = {"AR": "AR", "CE": "CE"}


class Line(Door, Protocol):
    """What an exchange needs of its connection."""

    def follow(self, ack: bytes) -> None:
        """Send one more unframed ACK, after all answers that are due before it."""


class Parent(Protocol):
    """A batch, as its members see it."""

    def member_ready(self) -> None:
        """One member is answered."""


class Exchange:
    """The ticket that the intake tells. Once `ready`, `replies` are the unframed ACKs to send, one frame each.

    `closes` ends the connection after them. A member of a batch tells its batch instead of its connection. `read` is
    the envelope, or the message to read it from in the rare case that it is needed again.
    """

    __slots__ = ("_read", "arrived", "body_bytes", "closes", "door", "fates", "parent", "plan", "ready", "replies",
                 "source")  # fmt: skip

    def __init__(
        self, door: Line, fates: Fates, read: Envelope | bytes, source: Source | None, plan: Plan, arrived: float,
        body_bytes: int, parent: Parent | None = None,
    ) -> None:  # fmt: skip
        self.door: Line = door
        self.fates = fates
        self._read = read
        self.source = source
        self.plan = plan
        self.arrived = arrived
        self.body_bytes = body_bytes
        self.parent = parent
        self.ready = False
        self.closes = False
        self.replies: Sequence[bytes] = ()

    @property
    def envelope(self) -> Envelope:
        """The envelope of the message."""
        if isinstance(self._read, bytes):
            self._read = read_envelope(self._read, charset=self.source.charset if self.source else None)
        return self._read

    def settled(self, answer: Answer) -> None:
        """The message is durable: answer now, or when its processing has ended."""
        outcome, ack, message_id = answer
        code, send, _, application = self.plan
        if send and not ack:
            self._wait(message_id)
            return
        ACKS.add(1, "resend" if outcome == "resend" else code if send else "none")
        if application and not (outcome == "reused" and self.source is not None and self.source.strict_control_ids):
            self._follow(message_id)
        self.replies = (ack,) if send else ()
        self.ready = True
        if self.parent is not None:
            self.parent.member_ready()

    def unable(self, error: ChartwireError) -> None:
        """Nothing is promised: by the source's setting AR or CE with 207, else the connection closes without answer."""
        code = _UNABLE_CODES.get(self.source.unable_answers) if self.source else None
        if code is None or error.error_class != "transient" or not self.plan.send:
            self.give_up()
            return
        self.finish((contract.answer(self.envelope, code, uuid7(), now(), contract.UNABLE),))

    def give_up(self) -> None:
        """Close without an answer: the sender will send again."""
        self.closes = True
        self.finish(())

    def finish(self, replies: Sequence[bytes]) -> None:
        """The answer stands. The connection sends it at its next release."""
        self.replies = replies
        self.ready = True
        if self.parent is not None:
            self.parent.member_ready()

    def _wait(self, message_id: UUID) -> None:
        """Answer when processing has ended; at the deadline close, since neither AA nor AE would be true."""

        def told(ack: bytes | None) -> None:
            if ack is None:
                self.give_up()
            else:
                self.finish((ack,))
            self.door.release()

        self._watch(message_id, told, own=False)

    def _follow(self, message_id: UUID) -> None:
        """Send the application ACK of enhanced mode when processing has ended and MSH-16 wants it."""

        def told(ack: bytes | None) -> None:
            if ack:
                self.door.follow(ack)

        self._watch(message_id, told, own=True)

    def _watch(self, message_id: UUID, told: Callable[[bytes | None], None], *, own: bool) -> None:
        source, envelope = self.source, self.envelope
        if source is None:
            told(None)
            return

        def build(fate: Fate) -> bytes:
            code, fault = contract.application_outcome(
                fate.state, fate.error_code, fate.error_location, fate.error_text
            )
            if own and not contract.application_ack_wanted(envelope, code):
                return b""
            final = contract.overridden(code, fault, source)
            ACKS.add(1, final)
            return contract.answer(envelope, final, message_id, fate.settled_at, fault, own=own)

        key = None if own else LedgerKey(source.id, envelope.control_id, envelope.body_hash)
        deadline = monotonic() + source.ack_deadline_s
        self.fates.watch(Watch(source.org, message_id, deadline, build, told, key))
