"""Which addresses an outbound socket may reach: a table of our own, because `ipaddress.is_global` is not a guard.

`is_global` says yes to multicast, 6to4 relays, NAT64, v4-compatible and site-local addresses on the Pythons that we
support, and `is_private` says no to carrier-grade NAT and to NAT64 of the metadata service. So IPv4 is a list of what
is refused, IPv6 a list of what is let in less its exceptions, and every transition form that carries an IPv4 address
is judged by what it carries, or refused. Sources: IANA special-purpose address registries, RFC 6890, RFC 6052.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_REFUSED_V4 = {
    IPv4Network("0.0.0.0/8"): "this_network",
    IPv4Network("10.0.0.0/8"): "private",
    IPv4Network("100.64.0.0/10"): "carrier_grade_nat",
    IPv4Network("127.0.0.0/8"): "loopback",
    IPv4Network("168.63.129.16/32"): "cloud_host_agent",
    IPv4Network("169.254.0.0/16"): "link_local",
    IPv4Network("172.16.0.0/12"): "private",
    IPv4Network("192.0.0.0/24"): "protocol_assignment",
    IPv4Network("192.0.2.0/24"): "documentation",
    IPv4Network("192.88.99.0/24"): "relay_6to4",
    IPv4Network("192.168.0.0/16"): "private",
    IPv4Network("198.18.0.0/15"): "benchmarking",
    IPv4Network("198.51.100.0/24"): "documentation",
    IPv4Network("203.0.113.0/24"): "documentation",
    IPv4Network("224.0.0.0/4"): "multicast",
    IPv4Network("240.0.0.0/4"): "reserved",
}
_GLOBAL_V6 = IPv6Network("2000::/3")
_REFUSED_IN_GLOBAL_V6 = {
    IPv6Network("2001::/23"): "protocol_assignment",
    IPv6Network("2001:db8::/32"): "documentation",
    IPv6Network("2002::/16"): "relay_6to4",
    IPv6Network("3fff::/20"): "documentation",
}
_NAT64 = IPv6Network("64:ff9b::/96")
_V4_BITS = 0xFFFF_FFFF
LOOPBACK = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
EVERYWHERE = (IPv4Network("0.0.0.0/0"), IPv6Network("::/0"))


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an address or endpoint is not to be reached. `code` is for programs; neither field names the address."""

    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class OutboundPolicy:
    """Where one organisation's traffic may go.

    Public addresses are reached only over TLS and on `public_ports`. `allowed` are networks that the operator of the
    installation opened by name (a receiver on the premises, loopback in a sandbox): there any port will do, and plain
    text too.
    """

    allowed: tuple[Network, ...] = ()
    public_ports: frozenset[int] = field(default=frozenset({443, 8443}))


PUBLIC = OutboundPolicy()
SANDBOX = OutboundPolicy(allowed=LOOPBACK)
OPERATOR = OutboundPolicy(allowed=EVERYWHERE)


def on_premises(networks: Iterable[str]) -> OutboundPolicy:
    """The public policy plus an allow-list such as `["10.20.0.0/16"]`. Raises ValueError for what is no network."""
    return OutboundPolicy(allowed=tuple(ip_network(text) for text in networks))


def verdict(address: Address | str, policy: OutboundPolicy) -> Refusal | None:
    """None when `address` may be reached under `policy`, else why not. Raises ValueError for what is no address.

    A v4-mapped address is judged as the IPv4 address that it is, NAT64 (64:ff9b::/96) by the IPv4 address it carries;
    an address with a zone (`fe80::1%eth0`) names a local link and is refused.
    """
    judged = address if isinstance(address, IPv4Address | IPv6Address) else ip_address(address)
    if isinstance(judged, IPv6Address) and judged.scope_id is not None:
        return Refusal("address_scoped", "the address names a local link")
    plain = _carried(judged)
    if is_allowed(plain, policy):
        return None
    name = _refused_v4(plain) if isinstance(plain, IPv4Address) else _refused_v6(plain)
    return Refusal(f"address_{name}", f"the address lies in a range that is not public ({name})") if name else None


def verdict_on_endpoint(address: Address | str, port: int, tls: bool, policy: OutboundPolicy) -> Refusal | None:
    """`verdict`, and for public addresses the rules of port and scheme as well."""
    judged = address if isinstance(address, IPv4Address | IPv6Address) else ip_address(address)
    refusal = verdict(judged, policy)
    if refusal is not None or is_allowed(_carried(judged), policy):
        return refusal
    if not tls:
        return Refusal("plain_text", "a public address is reached over TLS only")
    if port not in policy.public_ports:
        return Refusal("port", "this port is not open for public addresses")
    return None


def is_allowed(address: Address, policy: OutboundPolicy) -> bool:
    """Whether the operator opened a network that holds this address."""
    return any(address in network for network in policy.allowed)


def _carried(address: Address) -> Address:
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return IPv4Address(int(address) & _V4_BITS) if address in _NAT64 else address


def _refused_v4(address: IPv4Address) -> str | None:
    return next((name for network, name in _REFUSED_V4.items() if address in network), None)


def _refused_v6(address: IPv6Address) -> str | None:
    if address not in _GLOBAL_V6:
        return "not_global_unicast"
    return next((name for network, name in _REFUSED_IN_GLOBAL_V6.items() if address in network), None)
