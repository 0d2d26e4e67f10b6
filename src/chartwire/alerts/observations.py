"""What a probe sees, and what a channel sends: the words that all parts of the room share."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple, Protocol
from uuid import UUID

from chartwire.store.pool import Connection

Severity = Literal["info", "warning", "critical"]
NoticeKind = Literal["start", "escalation", "reminder", "acknowledged", "recovery", "test"]


@dataclass(frozen=True, slots=True)
class Observation:
    """One thing as a probe found it. `key` says which (`source:adt`, `endpoint:ep_..`, `volume`), stable over time;
    `value` is the measured figure in the rule's unit; `text` says it in words, without patient data. Whether it is well
    is decided by the rule's bound, where the probe does not say so itself (`bad`)."""

    key: str
    value: float
    text: str
    bad: bool | None = None
    severity: Severity | None = None
    """Where the probe knows better than the rule how bad it is."""


class Seen(NamedTuple):
    """What a probe found. A thing that burns and is not among `things` is there no more, if its key begins with
    `covers`: what stands on other machines is not this one's to see."""

    things: Sequence[Observation] = ()
    covers: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """What a probe looks with: a transaction of the organisation, and the time (aware)."""

    tx: Connection
    org: UUID
    at: datetime


Probe = Callable[[Look], Awaitable[Seen | None]]
"""Looks at all things of a kind. None: it cannot tell from here or now. Raises ChartwireError, which means the same."""


@dataclass(frozen=True, slots=True)
class Notice:
    """What a channel is to tell. `dedup_key` is the same for all notices of a bout, `id` for all tries of a notice."""

    id: UUID
    kind: NoticeKind
    dedup_key: str
    organisation: str
    rule: str
    key: str
    severity: Severity
    summary: str
    since: datetime
    at: datetime
    link: str
    note: str | None = None
    guide: str = ""
    """Where the page stands that says what to do about such a thing."""


@dataclass(frozen=True, slots=True)
class Sent:
    """How a try ended. `retry` says whether another may help; `error` is a code, never what the other side wrote."""

    ok: bool
    retry: bool = False
    error: str | None = None


class Channel(Protocol):
    """One way to tell people. Settings and secrets were given when it was made; it opens sockets through
    trust/outbound.py only."""

    async def send(self, notice: Notice) -> Sent:
        """Tell once. Raises nothing: what goes wrong is in the answer."""
        ...


ChannelSettings = dict[str, Any]
