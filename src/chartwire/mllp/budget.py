"""The bytes that all connections of a listener hold together, and who waits while they are too many."""

from typing import Protocol

from chartwire.core.telemetry import Gauge

HELD = Gauge("chartwire_mllp_held_bytes", "Bytes of messages read and not yet answered")


class Holder(Protocol):
    """A connection, as the budget sees it."""

    def over_budget(self, yes: bool) -> None:
        """Stop reading, or read on."""


class Budget:
    """Above `limit_bytes` every connection that takes more is stopped, and let on in order when bytes come free.

    When everything held is unfinished messages, nothing would come free by itself: then one connection may finish its
    message all the same. So the limit is exceeded by at most one message.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.held_bytes = 0
        self._limit_bytes = limit_bytes
        self._busy: set[Holder] = set()
        self._waiting: dict[Holder, None] = {}
        self._favoured: Holder | None = None

    def change(self, holder: Holder, by_bytes: int, *, busy: bool) -> None:
        """A connection holds more or fewer bytes; `busy` while some of them are on their way to the store."""
        self.held_bytes += by_bytes
        if busy:
            self._busy.add(holder)
        else:
            self._busy.discard(holder)
        if by_bytes < 0:
            if holder is self._favoured:
                self._favoured = None
            self._let_on()
        elif self.held_bytes > self._limit_bytes and holder is not self._favoured and holder not in self._waiting:
            self._waiting[holder] = None
            holder.over_budget(True)
            self._let_on()

    def forget(self, holder: Holder, held_bytes: int) -> None:
        """A connection is gone, with what it held."""
        self._waiting.pop(holder, None)
        self.change(holder, -held_bytes, busy=False)

    def report(self) -> None:
        """Write the gauge."""
        HELD.set(self.held_bytes)

    def _let_on(self) -> None:
        while self._waiting and self.held_bytes <= self._limit_bytes:
            self._next().over_budget(False)
        if self._waiting and not self._busy and self._favoured is None:
            self._favoured = self._next()
            self._favoured.over_budget(False)

    def _next(self) -> Holder:
        holder = next(iter(self._waiting))
        del self._waiting[holder]
        return holder
