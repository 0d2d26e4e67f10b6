"""Which sources of one listener could not be told apart."""

from itertools import product
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chartwire.channels.patterns import intersect, matches, rival, weigh
from chartwire.core.source import Source
from chartwire.formats.hl7v2.envelope import read_envelope

ORG_A, ORG_B = UUID(int=0xA), UUID(int=0xB)


def source(number: int, *sending: tuple[str, str], org: UUID = ORG_A, peers: tuple[str, ...] = ()) -> Source:
    return Source(org, UUID(int=number), f"source {number}", "NORTH", sending=sending, peers=peers)


@pytest.mark.parametrize(
    ("mine", "theirs", "rivals"),
    [
        ((), (), True),
        ((), (("MSH-4", "NORTH"),), False),
        ((("MSH-4", "NORTH"),), (("MSH-4", "NORTH"),), True),
        ((("MSH-4", "NORTH"),), (("MSH-4", "SOUTH"),), False),
        ((("MSH-4", "NORTH"),), (("MSH-4", "NO*"),), False),
        ((("MSH-4", "NO*"),), (("MSH-4", "*TH"),), True),
        ((("MSH-3", "LAB"),), (("MSH-4", "NOR"),), True),
        ((("MSH-3", "LAB"),), (("MSH-4", "NORTH"), ("MSH-3", "LAB")), False),
        ((("MSH-4", "A"), ("MSH-4", "B")), (("MSH-4", "B"), ("MSH-4", "C")), True),
    ],
)
def test_two_sources_of_an_organisation_are_rivals_where_some_sender_matches_both_equally_well(
    mine: tuple[tuple[str, str], ...], theirs: tuple[tuple[str, str], ...], rivals: bool
) -> None:
    one, other = source(1, *mine), source(2, *theirs)
    assert (rival(one, [one, other]) == other) is rivals
    assert (rival(other, [one, other]) == one) is rivals


@pytest.mark.parametrize(
    ("mine", "theirs", "rivals"),
    [((), (("MSH-4", "N"),), True), ((("MSH-4", "NO*"),), (("MSH-4", "NORTH"),), True),
     ((("MSH-4", "NORTH"),), (("MSH-4", "SOUTH"),), False)],
)  # fmt: skip
def test_another_organisation_s_source_is_a_rival_where_any_message_matches_both(
    mine: tuple[tuple[str, str], ...], theirs: tuple[tuple[str, str], ...], rivals: bool
) -> None:
    one, other = source(1, *mine), source(2, *theirs, org=ORG_B)
    assert (rival(one, [other]) == other) is rivals


@pytest.mark.parametrize(
    ("mine", "theirs", "rivals"),
    [(("cn:a",), ("cn:b",), False), (("cn:a",), (), True), (("cn:a",), ("sha256:b",), True), (("cn:a",), ("cn:a",), True),
     (("cn:a",), ("10.0.0.0/8",), True), (("10.0.0.0/8",), (), True), (("10.0.0.0/8",), ("192.0.2.0/24",), False),
     (("cn:a", "10.0.0.0/8"), ("cn:b",), False)],
)  # fmt: skip
def test_another_organisation_s_peers_cannot_be_claimed_by_a_surer_tell(
    mine: tuple[str, ...], theirs: tuple[str, ...], rivals: bool
) -> None:
    one, other = source(1, peers=mine), source(2, org=ORG_B, peers=theirs)
    assert (rival(one, [other]) == other) is rivals
    assert (rival(other, [one]) == one) is rivals


@pytest.mark.parametrize(
    ("mine", "theirs", "rivals"),
    [(("cn:a",), ("cn:b",), False), (("cn:a", "cn:c"), ("cn:c",), True), (("cn:a",), (), False),
     (("10.0.0.0/8",), ("10.1.0.0/16",), True), (("10.0.0.0/8",), ("192.0.2.1",), False), (("10.0.0.0/8",), (), False)],
)  # fmt: skip
def test_sources_whose_peers_differ_are_no_rivals(mine: tuple[str, ...], theirs: tuple[str, ...], rivals: bool) -> None:
    assert (rival(source(1, peers=mine), [source(2, peers=theirs)]) is not None) is rivals


TEXTS = ["".join(letters) for length in range(7) for letters in product("ab", repeat=length)]
PATTERNS = st.text("ab*?", max_size=3)


@given(PATTERNS, PATTERNS)
def test_patterns_intersect_where_some_text_matches_both(one: str, other: str) -> None:
    """A text as long as both patterns together is long enough to tell."""
    assert intersect(one, other) is any(matches(one, text) and matches(other, text) for text in TEXTS)


def test_hostile_patterns_are_matched_and_compared_in_reasonable_time() -> None:
    """Linear in the value, and in the places of two patterns: a backtracking matcher would not end."""
    stars, other = "*a" * 50, "a*" * 49 + "ab"
    assert not matches(stars, "a" * 10_000 + "b")
    assert not intersect(stars, other + "b")
    assert intersect(stars, "a*" * 50)


SENDING = st.lists(
    st.tuples(st.sampled_from(["MSH-3", "MSH-4"]), st.text("AB*?", min_size=1, max_size=3)), max_size=3
).map(tuple)


@given(SENDING, SENDING, st.text("AB", max_size=3), st.text("AB", max_size=3))
def test_sources_that_are_no_rivals_never_match_one_message_equally_well(
    mine: tuple[tuple[str, str], ...], theirs: tuple[tuple[str, str], ...], application: str, facility: str
) -> None:
    one, other = source(1, *mine), source(2, *theirs)
    data = f"MSH|^~\\&|{application}|{facility}|H|C|20261120||ADT^A01|1|P|2.5\r".encode()
    weights = [weigh(each, read_envelope(data)) for each in (one, other)]
    if rival(one, [other]) is None and None not in weights:
        assert weights[0] != weights[1]


def test_letters_that_mean_something_to_regular_expressions_stand_for_themselves() -> None:
    assert matches("a.[b]*", "a.[b]cd")
    assert not matches("a.[b]*", "axbcd")
