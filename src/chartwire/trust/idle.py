"""Kept connections by peer, last used first, bounded in number and age."""

import asyncio
from typing import NamedTuple

from chartwire.core.clock import monotonic
from chartwire.core.limits import OUTBOUND_IDLE_CONNECTIONS_MAX, OUTBOUND_IDLE_PER_PEER_MAX, OUTBOUND_IDLE_S
from chartwire.trust.addresses import Address
from chartwire.trust.http1 import Connection


class Peer(NamedTuple):
    """Where a connection leads. Host and address both count: a verdict on one name is none on another."""

    tls: bool
    host: str
    port: int
    address: Address


class IdleConnections:
    """Connections waiting for their next request; what is over the bounds or older than OUTBOUND_IDLE_S is dropped."""

    def __init__(self) -> None:
        self._by_peer: dict[Peer, list[Connection]] = {}
        self._count = 0
        self._sweep: asyncio.TimerHandle | None = None

    def take(self, peer: Peer) -> Connection | None:
        """The usable connection to `peer` that was used last, or None."""
        kept = self._by_peer.get(peer)
        while kept:
            connection = kept.pop()
            self._count -= 1
            if connection.is_usable and monotonic() - connection.idle_since_s < OUTBOUND_IDLE_S:
                return connection
            connection.abort()
        return None

    def put(self, peer: Peer, connection: Connection) -> None:
        """Keep a connection for later; drop it when it cannot carry another request or enough are kept."""
        kept = self._by_peer.setdefault(peer, [])
        full = self._count >= OUTBOUND_IDLE_CONNECTIONS_MAX or len(kept) >= OUTBOUND_IDLE_PER_PEER_MAX
        if full or not connection.is_usable:
            connection.abort()
            return
        connection.idle_since_s = monotonic()
        kept.append(connection)
        self._count += 1
        if self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(OUTBOUND_IDLE_S, self._drop_old)

    def close(self) -> None:
        """Drop all."""
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        self._keep_younger_than(0.0)

    def _drop_old(self) -> None:
        self._sweep = None
        self._keep_younger_than(OUTBOUND_IDLE_S)
        if self._count:
            self._sweep = asyncio.get_running_loop().call_later(OUTBOUND_IDLE_S, self._drop_old)

    def _keep_younger_than(self, age_s: float) -> None:
        now_s = monotonic()
        for peer, connections in list(self._by_peer.items()):
            young = [each for each in connections if each.is_usable and now_s - each.idle_since_s < age_s]
            for each in set(connections) - set(young):
                each.abort()
            self._count -= len(connections) - len(young)
            if young:
                self._by_peer[peer] = young
            else:
                del self._by_peer[peer]
