"""Whose word counts for a client's address."""

import pytest

from chartwire.api.clients import Clients

BEHIND_TWO = Clients(["10.0.0.0/8", "2001:db8:1::/48"])


def scope(peer, *lines):
    headers = [tuple(part.strip().encode() for part in line.split(":", 1)) for line in lines]
    return {"client": (peer, 4711) if peer else None, "headers": headers}


CASES = [
    # a stranger may write what it likes
    ("198.51.100.7", ["x-forwarded-for: 203.0.113.9"], "198.51.100.7"),
    # one proxy, two proxies, two lines
    ("10.0.0.2", ["x-forwarded-for: 203.0.113.9"], "203.0.113.9"),
    ("10.0.0.2", ["x-forwarded-for: 203.0.113.9, 10.1.1.1"], "203.0.113.9"),
    ("10.0.0.2", ["x-forwarded-for: 203.0.113.9", "x-forwarded-for: 10.1.1.1"], "203.0.113.9"),
    # what the client itself wrote stands left of what the proxy saw, and does not count
    ("10.0.0.2", ["x-forwarded-for: 192.0.2.66, 203.0.113.9"], "203.0.113.9"),
    # a proxy that names none, or one that does not know
    ("10.0.0.2", [], "10.0.0.2"),
    ("10.0.0.2", ["x-forwarded-for: unknown, 10.1.1.1"], "10.1.1.1"),
    ("10.0.0.2", ["x-forwarded-for: 203.0.113.9, <script>"], "10.0.0.2"),
    # ports, brackets, IPv4 in IPv6
    ("10.0.0.2", ["x-forwarded-for: 203.0.113.9:51000"], "203.0.113.9"),
    ("2001:db8:1::5", ["x-forwarded-for: [2001:db8:9::1]:443"], "2001:db8:9::1"),
    ("::ffff:10.0.0.2", ["x-forwarded-for: 203.0.113.9"], "203.0.113.9"),
    ("::ffff:198.51.100.7", ["x-forwarded-for: 203.0.113.9"], "198.51.100.7"),
    ("", ["x-forwarded-for: 203.0.113.9"], ""),
]


@pytest.mark.parametrize(("peer", "lines", "client"), CASES)
def test_the_first_address_from_the_right_that_is_no_trusted_proxy_is_the_client(peer, lines, client):
    assert BEHIND_TWO.address(scope(peer, *lines)) == client


def test_without_trusted_proxies_the_peer_is_the_client_whatever_headers_say():
    assert Clients().address(scope("10.0.0.2", "x-forwarded-for: 203.0.113.9")) == "10.0.0.2"


def test_only_a_trusted_proxy_can_say_that_a_client_spoke_plain_http():
    told = "x-forwarded-proto: http"
    assert BEHIND_TWO.came_in_the_clear(scope("10.0.0.2", told))
    assert not BEHIND_TWO.came_in_the_clear(scope("10.0.0.2", "x-forwarded-proto: https"))
    assert not BEHIND_TWO.came_in_the_clear(scope("10.0.0.2"))
    assert not BEHIND_TWO.came_in_the_clear(scope("198.51.100.7", told))


def test_a_long_list_costs_no_more_than_its_nearest_hops():
    lines = "x-forwarded-for: " + ", ".join(["203.0.113.9", *["10.1.1.1"] * 5000])
    assert BEHIND_TWO.address(scope("10.0.0.2", lines)) == "10.1.1.1"
