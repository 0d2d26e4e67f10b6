"""What a kind of channel offers: its settings, its secrets, and how one is made of them. One class a kind."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import msgspec

from chartwire.alerts.observations import Channel
from chartwire.trust.addresses import OutboundPolicy
from chartwire.trust.outbound import Outbound

Fault = tuple[str, str, str]
"""JSON pointer into the channel as it is written, code, rule in words."""


@dataclass(frozen=True, slots=True)
class Way:
    """The door that a channel opens its sockets through, and where its organisation may reach."""

    door: Outbound
    policy: OutboundPolicy


class NoSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of a kind that has secrets only."""


class ChannelKind(Protocol):
    """Settings come as the kind's own struct, secrets by their names."""

    settings: ClassVar[type[msgspec.Struct]]
    """What may be shown; bounds, patterns and meanings stand in its annotations."""

    secrets: ClassVar[Mapping[str, str]]
    """Names of the secrets, and what each is."""

    needs: ClassVar[frozenset[str]]
    """Secrets without which it cannot be."""

    bound: ClassVar[frozenset[str]]
    """Settings that say whom the secrets are told: where one changes, the secrets are given again."""

    about: ClassVar[str]
    """What it reaches, in a sentence."""

    spec: ClassVar[str]
    """Where what it sends is specified."""

    def faults(self, settings: Any, secrets: Mapping[str, str]) -> Iterator[Fault]:
        """What is wrong beyond single settings."""

    def made(self) -> dict[str, str]:
        """Secrets that are made here where a person gives none; told once."""

    async def judge(self, way: Way, settings: Any, secrets: Mapping[str, str]) -> None:
        """Whether it leads to where the organisation may reach. Raises RefusedError, ConnectFailedError (the name does
        not resolve)."""

    def channel(self, way: Way, settings: Any, secrets: Mapping[str, str]) -> Channel:
        """The channel itself."""


class Plain:
    """What most kinds have in common: nothing to judge beyond single settings, nothing made, no secret that travels to
    where a setting says."""

    settings: ClassVar[type[msgspec.Struct]] = NoSettings
    bound: ClassVar[frozenset[str]] = frozenset()

    def faults(self, settings: Any, secrets: Mapping[str, str]) -> Iterator[Fault]:
        """None."""
        del settings, secrets
        yield from ()

    def made(self) -> dict[str, str]:
        """None."""
        return {}
