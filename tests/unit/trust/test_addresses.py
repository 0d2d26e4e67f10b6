"""The address table, one line a range, and the two library predicates it must be stricter than."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chartwire.trust.addresses import OPERATOR, PUBLIC, SANDBOX, on_premises, verdict, verdict_on_endpoint

REFUSED = {
    "0.0.0.0": "this_network",
    "10.1.2.3": "private",
    "100.64.0.1": "carrier_grade_nat",
    "100.100.100.200": "carrier_grade_nat",
    "127.0.0.1": "loopback",
    "127.255.255.254": "loopback",
    "168.63.129.16": "cloud_host_agent",
    "169.254.169.254": "link_local",
    "172.16.0.1": "private",
    "172.31.255.255": "private",
    "192.0.0.8": "protocol_assignment",
    "192.0.2.1": "documentation",
    "192.88.99.1": "relay_6to4",
    "192.168.0.1": "private",
    "198.18.0.1": "benchmarking",
    "198.19.255.255": "benchmarking",
    "198.51.100.1": "documentation",
    "203.0.113.1": "documentation",
    "224.0.0.1": "multicast",
    "239.255.255.255": "multicast",
    "240.0.0.1": "reserved",
    "255.255.255.255": "reserved",
    "::": "not_global_unicast",
    "::1": "not_global_unicast",
    "::127.0.0.1": "not_global_unicast",
    "::ffff:127.0.0.1": "loopback",
    "::ffff:169.254.169.254": "link_local",
    "::ffff:0:7f00:1": "not_global_unicast",
    "::5efe:7f00:1": "not_global_unicast",
    "64:ff9b::7f00:1": "loopback",
    "64:ff9b::a9fe:a9fe": "link_local",
    "64:ff9b:1::7f00:1": "not_global_unicast",
    "100::1": "not_global_unicast",
    "2001::1": "protocol_assignment",
    "2001:20::1": "protocol_assignment",
    "2001:db8::1": "documentation",
    "2002:7f00:1::1": "relay_6to4",
    "3fff::1": "documentation",
    "5f00::1": "not_global_unicast",
    "fc00::1": "not_global_unicast",
    "fd00:ec2::254": "not_global_unicast",
    "fe80::1": "not_global_unicast",
    "fec0::1": "not_global_unicast",
    "ff02::1": "not_global_unicast",
    "ff0e::1": "not_global_unicast",
}
REACHED = [
    "1.1.1.1",
    "8.8.8.8",
    "93.184.215.14",
    "100.63.255.255",
    "100.128.0.0",
    "172.32.0.1",
    "192.0.1.1",
    "198.20.0.1",
    "223.255.255.255",
    "2606:4700:4700::1111",
    "2a00:1450:4001:830::200e",
    "2001:200::1",
    "2003::1",
    "3fff:1000::1",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
]


@pytest.mark.parametrize(("address", "range_name"), REFUSED.items())
def test_a_range_that_is_not_public_is_refused_by_name(address: str, range_name: str) -> None:
    refusal = verdict(address, PUBLIC)
    assert refusal is not None and refusal.code == f"address_{range_name}"


@pytest.mark.parametrize("address", REACHED)
def test_a_public_address_and_the_neighbours_of_refused_ranges_are_reached(address: str) -> None:
    assert verdict(address, PUBLIC) is None


def test_an_address_with_a_zone_is_refused_even_for_the_operator() -> None:
    refusal = verdict("fe80::1%eth0", OPERATOR)
    assert refusal is not None and refusal.code == "address_scoped"


@settings(max_examples=200)
@given(st.ip_addresses())
def test_nothing_is_reached_that_the_library_calls_private_or_multicast(address: IPv4Address | IPv6Address) -> None:
    if verdict(address, PUBLIC) is None:
        assert not (address.is_private or address.is_multicast or address.is_loopback or address.is_link_local)


@settings(max_examples=100)
@given(st.ip_addresses(v=4))
def test_a_mapped_or_nat64_address_takes_the_verdict_of_the_address_it_carries(address: IPv4Address) -> None:
    expected = verdict(address, PUBLIC)
    assert verdict(f"::ffff:{address}", PUBLIC) == expected
    assert verdict(IPv6Address(int(IPv6Address("64:ff9b::")) | int(address)), PUBLIC) == expected


def test_a_sandbox_reaches_loopback_in_both_families_and_no_other_private_range() -> None:
    assert [verdict(each, SANDBOX) for each in ("127.0.0.1", "::1", "::ffff:127.0.0.1", "8.8.8.8")] == [None] * 4
    assert all(verdict(each, SANDBOX) for each in ("10.0.0.1", "169.254.169.254", "0.0.0.0", "fd00::1"))


def test_an_allow_list_opens_its_network_only_and_there_any_port_and_plain_text() -> None:
    policy = on_premises(["10.20.0.0/16", "fd12::/32"])
    assert verdict_on_endpoint("10.20.1.1", 8080, False, policy) is None
    assert verdict_on_endpoint("fd12::5", 2575, False, policy) is None
    assert verdict("10.21.0.1", policy) is not None


def test_a_public_address_is_reached_over_tls_and_listed_ports_only() -> None:
    codes = {
        (port, tls): getattr(verdict_on_endpoint("8.8.8.8", port, tls, SANDBOX), "code", None)
        for port in (443, 8443, 22)
        for tls in (True, False)
    }
    assert codes == {
        (443, True): None, (8443, True): None, (22, True): "port",
        (443, False): "plain_text", (8443, False): "plain_text", (22, False): "plain_text",
    }  # fmt: skip


def test_a_refusal_says_nothing_of_the_address_so_that_it_cannot_map_the_inner_network() -> None:
    refusal = verdict("10.99.88.77", PUBLIC)
    assert refusal is not None and "10.99" not in refusal.reason + refusal.code


def test_what_is_no_address_or_network_is_an_error_and_not_a_permission() -> None:
    with pytest.raises(ValueError, match="example"):
        verdict("example.org", PUBLIC)
    with pytest.raises(ValueError, match="network"):
        on_premises(["clinic network"])
