"""Who is at the other end: the address of a client, behind proxies too.

Anyone may write `X-Forwarded-For` and `X-Forwarded-Proto`, so they count only where the connection comes from a proxy
that the operator named. Such a list is read from its right end, where the nearest proxy wrote: the first address that
is no trusted proxy is the client.
"""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from chartwire.api.http import Scope

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_ADDRESSES_KEPT = 4_096
_HOPS_MAX = 20


class Clients:
    """Reads addresses from connections. `trusted` are networks (`10.0.0.0/8`) or addresses. Raises ValueError."""

    def __init__(self, trusted: Sequence[str] = ()) -> None:
        self._networks: tuple[Network, ...] = tuple(ip_network(one) for one in trusted)
        self._is_trusted = lru_cache(_ADDRESSES_KEPT)(self._lies_in_a_network)

    def address(self, scope: Scope) -> str:
        """The client's address as text, as far as it is known; empty where it is not (a Unix socket)."""
        peer = _peer(scope)
        if not self._networks or not self._is_trusted(peer):
            return peer
        for told in reversed(_told(scope, b"x-forwarded-for")[-_HOPS_MAX:]):
            address = _read(told)
            if address is None:  # whoever wrote this did not know better: what is known is the hop before
                break
            peer = str(address)
            if not self._is_trusted(peer):
                break
        return peer

    def came_in_the_clear(self, scope: Scope) -> bool:
        """Whether a trusted proxy says that the client spoke plain HTTP to it."""
        if not self._networks or not self._is_trusted(_peer(scope)):
            return False
        return _told(scope, b"x-forwarded-proto")[:1] == [b"http"]

    def _lies_in_a_network(self, text: str) -> bool:
        address = _read(text.encode("latin-1"))
        return address is not None and any(address in network for network in self._networks)


def _peer(scope: Scope) -> str:
    peer = scope.get("client")
    if not peer:
        return ""
    host: str = peer[0]
    if "." in host and ":" not in host:  # the usual case, at no cost
        return host
    address = _read(host.encode("latin-1"))
    return host if address is None else str(address)


def _told(scope: Scope, name: bytes) -> list[bytes]:
    """The members of a list header, over all its lines."""
    lines = b",".join(value for key, value in scope["headers"] if key == name)
    return [part.strip() for part in lines.split(b",")] if lines else []


def _read(told: bytes) -> Address | None:
    """One address: bare, with a port, or in brackets; an IPv4 address that came mapped into IPv6 as IPv4."""
    text = told.decode("latin-1")
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
