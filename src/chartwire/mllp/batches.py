"""A batch on a connection: every member a message of its own, one batch ACK when all of them are answered."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Final

from chartwire.core.clock import now
from chartwire.core.ids import uuid7
from chartwire.formats.hl7v2.batch import Batch, build_batch_ack
from chartwire.formats.hl7v2.envelope import Envelope
from chartwire.mllp.contract import ACK_ID_LETTERS, ack_id
from chartwire.mllp.exchange import Exchange, Line

_STEP: Final = 64

Receive = Callable[[bytes, "BatchExchange"], Exchange | None]


class BatchExchange:
    """Stands in its connection's queue as one exchange. Members are taken _STEP a turn, so that others get theirs.

    Within FHS or BHS: one frame, a batch ACK with the ACKs of the members in their order; where no member is
    answered, none. Without: one frame a member. MSH-10 and MSH-7 of the wrapping BHS come from the first ACK, so that
    the answer to a resent batch is the same, byte for byte.
    """

    __slots__ = ("_batch", "_envelope", "_members", "_missing", "_receive", "_rest", "arrived", "body_bytes", "closes",
                 "door", "ready", "replies")  # fmt: skip

    def __init__(
        self, door: Line, envelope: Envelope, batch: Batch, receive: Receive, arrived: float, body_bytes: int
    ) -> None:
        self.door = door
        self.arrived = arrived
        self.body_bytes = body_bytes
        self.ready = False
        self.closes = False
        self.replies: Sequence[bytes] = ()
        self._envelope = envelope
        self._batch = batch
        self._receive = receive
        self._rest: Iterator[bytes] = iter(batch)
        self._members: list[Exchange] = []
        self._missing = len(batch)

    def start(self) -> None:
        """Take the next members, and come again while there are more."""
        for _ in range(_STEP):
            body = next(self._rest, None)
            if body is None:
                return
            member = self._receive(body, self)
            if member is None:
                self.member_ready()
            else:
                self._members.append(member)
        asyncio.get_running_loop().call_soon(self._go_on)

    def member_ready(self) -> None:
        """One member is answered; the last one makes the batch ready."""
        self._missing -= 1
        if self._missing:
            return
        self.closes = any(member.closes for member in self._members)
        if not self.closes:
            acks = [ack for member in self._members for ack in member.replies]
            self.replies = [self._wrapped(acks)] if acks and self._batch.enveloped else acks
        self.ready = True

    def _go_on(self) -> None:
        self.start()
        self.door.release()

    def _wrapped(self, acks: Sequence[bytes]) -> bytes:
        control_id, at = _id_and_time(acks[0])
        return build_batch_ack(self._envelope, acks, control_id=control_id, at=at)


def _id_and_time(ack: bytes) -> tuple[str, datetime]:
    """MSH-10, marked as a batch's, and MSH-7 of an ACK that `build_ack` wrote; fresh ones where it is not readable."""
    fields = ack.decode("ascii", "replace").split("\r", 1)[0].split(chr(ack[3]))
    try:
        at = datetime.strptime(fields[6], "%Y%m%d%H%M%S.%f%z")
        control_id = fields[9]
    except (IndexError, ValueError):
        at, control_id = now(), ack_id(uuid7())
    return f"B{control_id}"[:ACK_ID_LETTERS], at
