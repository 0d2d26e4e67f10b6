"""Whose message is this, whose patient: domain-rules.md sections 3 and 9."""

from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chartwire.channels.routing import Peer, Refusal, admitted, check_sending, order_key, order_value, route, strongest
from chartwire.core.errors import MappingError, ValidationError
from chartwire.core.ids import order_key_digest
from chartwire.core.source import IdentifierRule, Source
from chartwire.formats.hl7v2 import parse
from chartwire.formats.hl7v2.envelope import Envelope, read_envelope
from chartwire.mapping import load_maps

ORG_A, ORG_B = UUID(int=0xA), UUID(int=0xB)
ANYONE = Peer("192.0.2.7")


def source(number: int, org: UUID = ORG_A, **fields: object) -> Source:
    return Source(org, UUID(int=number), f"source {number}", "NORTH", **fields)


def raw(
    *, msh: str = "LAB|NORTH|HUB|CLINIC", pid: str = "4711^^^NORTH^MR", more: str = "", event: str = "ADT^A01"
) -> bytes:
    return f"MSH|^~\\&|{msh}|20261120||{event}|1|P|2.5\rPID|1||{pid}\r{more}".encode()


def message(**parts: str) -> Envelope:
    return read_envelope(raw(**parts))


def test_a_source_without_peers_takes_anyone_of_its_listener() -> None:
    assert admitted([source(1)], ANYONE) == (source(1),)


@pytest.mark.parametrize(
    ("entry", "peer", "known"),
    [
        ("192.0.2.0/24", ANYONE, True),
        ("198.51.100.0/24", ANYONE, False),
        ("192.0.2.7", ANYONE, True),
        ("192.0.2.0/24", Peer("::ffff:192.0.2.7"), True),
        ("2001:db8::/32", Peer("2001:db8::1"), True),
        ("2001:db8::/32", ANYONE, False),
        ("cn:lab.north", Peer("192.0.2.7", frozenset({"cn:lab.north"})), True),
        ("cn:lab.north", Peer("192.0.2.7", frozenset({"cn:lab.south"})), False),
        ("cn:lab.north", ANYONE, False),
        ("192.0.2.0/24", Peer(""), False),
    ],
)
def test_peers_are_known_by_network_or_certificate(entry: str, peer: Peer, known: bool) -> None:
    assert bool(admitted([source(1, peers=(entry,))], peer)) is known


def test_a_source_that_lists_both_wants_both() -> None:
    both = source(1, peers=("192.0.2.0/24", "cn:lab"))
    assert not admitted([both], Peer("198.51.100.1", frozenset({"cn:lab"})))
    assert admitted([both], Peer("192.0.2.1", frozenset({"cn:lab"})))


def test_the_surest_tell_wins() -> None:
    known, near, opened = source(1, peers=("cn:lab",)), source(2, peers=("192.0.2.0/24",)), source(3)
    shown = Peer("192.0.2.7", frozenset({"cn:lab"}))
    assert admitted([opened, near, known], shown) == (known,)
    assert admitted([opened, near, known], ANYONE) == (near,)
    assert admitted([opened, near, known], Peer("203.0.113.1")) == (opened,)


@pytest.mark.parametrize(
    ("sending", "matches"),
    [
        ((("MSH-3", "LAB"),), True),
        ((("MSH-3", "L*"), ("MSH-4", "N?RTH")), True),
        ((("MSH-3", "LAB"), ("MSH-4", "SOUTH")), False),
        ((("MSH-3", "RIS"), ("MSH-3", "LAB")), True),
        ((("MSH-4.2", "1.2.3"),), False),
        ((("MSH-6", "clinic"),), False),
    ],
)
def test_the_header_chooses_by_patterns(sending: tuple[tuple[str, str], ...], matches: bool) -> None:
    outcome = route([source(1, sending=sending)], [], message())
    assert isinstance(outcome, Source) is matches


def test_hd_parts_and_the_facility_of_the_visit_can_choose() -> None:
    envelope = message(msh="LAB|NORTH&1.2.3&ISO|HUB|CLINIC".replace("&", "^"), more="PV1|1|I|W^2^1^SOUTHWING\r")
    assert route([source(1, sending=(("MSH-4.2", "1.2.*"),))], [], envelope) == source(
        1, sending=(("MSH-4.2", "1.2.*"),)
    )
    assert isinstance(route([source(2, sending=(("PV1-3.4", "SOUTH*"),))], [], envelope), Source)


def test_a_pattern_goes_before_a_source_that_takes_anyone() -> None:
    named, rest = source(1, sending=(("MSH-3", "LAB"),)), source(2)
    assert route([rest, named], [], message()) == named
    assert route([rest, named], [], message(msh="RIS|NORTH||")) == rest


def test_two_sources_that_both_match_are_refused_not_guessed() -> None:
    outcome = route([source(1), source(2)], [], message())
    assert isinstance(outcome, Refusal)
    assert (outcome.code, outcome.source) == ("ambiguous_sender", source(1))


def test_sources_of_two_organisations_keep_a_refused_message_in_neither() -> None:
    outcome = route([source(1), source(2, ORG_B)], [], message())
    assert isinstance(outcome, Refusal)
    assert outcome.source is None


def test_a_peer_of_one_organisation_that_names_another_is_refused() -> None:
    own, foreign = source(1), source(2, ORG_B, sending=(("MSH-4", "NORTH"),))
    outcome = route([own], [own, foreign], message())
    assert isinstance(outcome, Refusal)
    assert (outcome.code, outcome.source) == ("names_another_organisation", own)


@pytest.mark.parametrize("sending", [(("MSH-3", "LAB"),), (("MSH-4", "N*"),), (("MSH-4", "NORTH"), ("MSH-3", "RIS"))])
def test_a_name_counts_as_another_organisation_s_only_with_its_facility_spelled_out(
    sending: tuple[tuple[str, str], ...],
) -> None:
    own = source(1)
    assert route([own], [own, source(2, ORG_B, sending=sending)], message()) == own


def test_a_retired_source_bars_nobody() -> None:
    own, gone = source(1), source(2, ORG_B, sending=(("MSH-4", "NORTH"),), retired=True)
    assert route([own], [own, gone], message()) == own


def test_what_an_organisation_wrote_itself_bars_nobody() -> None:
    own, foreign = source(1), source(2, ORG_B, sending=(("MSH-4", "NORTH"),), vouched=False)
    assert route([own], [own, foreign], message()) == own


def test_a_peer_may_name_what_its_own_source_names_too() -> None:
    own, foreign = source(1, sending=(("MSH-4", "NORTH"),)), source(2, ORG_B, sending=(("MSH-4", "NORTH"),))
    assert route([own], [own, foreign], message()) == own


def test_within_an_organisation_the_more_specific_pattern_wins() -> None:
    wide, near, exact = (source(n, sending=(("MSH-4", text),)) for n, text in ((1, "*"), (2, "NO*"), (3, "NORTH")))
    assert route([wide, near, exact], [], message()) == exact
    assert route([wide, near], [], message()) == near
    both = source(4, sending=(("MSH-3", "*"), ("MSH-4", "*")))
    assert route([exact, both], [], message()) == both


def test_no_pattern_decides_between_organisations() -> None:
    wide, exact = source(1, sending=(("MSH-4", "NO*"),)), source(2, ORG_B, sending=(("MSH-4", "NORTH"),))
    outcome = route([wide, exact], [], message())
    assert isinstance(outcome, Refusal)
    assert (outcome.code, outcome.source) == ("ambiguous_sender", None)


@pytest.mark.parametrize("fields", [{"sending": (("MSH-9", "X"),)}, {"peers": ("north.example",)}])
def test_settings_that_routing_does_not_know_are_refused_when_written(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        check_sending(source(1, **fields))


def lane(value: str, authority: str = "NORTH", kind: str = "MR") -> UUID:
    return order_key_digest(str(ORG_A), kind, authority, value)


@pytest.mark.parametrize(
    ("pid", "expected"),
    [
        ("4711^^^NORTH^MR", lane("4711")),
        ("4711^^^^MR", lane("4711")),
        ("4711^^^NORTH", lane("4711")),
        ("9^^^NORTH^PI~4711^^^NORTH^MR", lane("4711")),
        ("9^^^NORTH^PI~4711^^^SOUTH^MR", lane("9", kind="PI")),
        ("77^^^NORTH^AN~4711^^^NORTH^MR", lane("4711")),
        ("000000^^^NORTH^MR~4711^^^NORTH^MR", lane("4711")),
        ("12^^^NORTH^MR~4711^^^NORTH^MR", lane("12")),
    ],
)
def test_the_lane_is_that_of_the_strongest_identifier(pid: str, expected: UUID) -> None:
    assert order_key(message(pid=pid), source(1), "ADT^A01").lane == expected


@pytest.mark.parametrize("pid", ["", "4711^^^SOUTH^MR", "999-99-9999^^^NORTH^MR", "UNKNOWN^^^NORTH^MR", "1^^^NORTH^VN"])
def test_without_an_identifier_the_lane_is_the_source_s(pid: str) -> None:
    lanes = order_key(message(pid=pid), source(1), "ADT^A01")
    assert lanes.lane == order_key_digest(str(ORG_A), str(UUID(int=1)))


def test_a_merge_queues_in_the_lanes_of_both_patients() -> None:
    envelope = message(event="ADT^A40", more="MRG|0815^^^NORTH^MR\r")
    lanes = order_key(envelope, source(1), "ADT^A40")
    assert (lanes.lane, lanes.partners) == (lane("4711"), (lane("0815"),))
    assert order_key(envelope, source(1), "ADT^A08").partners == ()


def test_a_merge_of_several_groups_queues_in_all_their_lanes() -> None:
    more = "MRG|2^^^NORTH^MR\rPID|1||3^^^NORTH^MR\rMRG|4^^^NORTH^MR\r"
    lanes = order_key(message(event="ADT^A40", pid="1^^^NORTH^MR", more=more), source(1), "ADT^A40")
    assert (lanes.lane, lanes.partners) == (lane("1"), (lane("2"), lane("3"), lane("4")))


def test_organisations_never_share_a_lane() -> None:
    own = order_key(message(), source(1), "ADT^A01").lane
    assert order_key(message(), source(1, ORG_B), "ADT^A01").lane != own


VISIT = "PV1|1|I" + "|" * 17 + "V1\r"


@pytest.mark.parametrize(
    ("rule", "more", "same", "other"),
    [
        ("visit", VISIT, VISIT, VISIT.replace("V1\r", "V2\r")),
        ("ORC-3", "ORC|NW||F1^LAB\r", "ORC|SC||F1\r", "ORC|NW||F2^LAB\r"),
        ("source", VISIT, "", None),
    ],
)
def test_the_order_key_of_the_source_decides_what_shares_a_lane(
    rule: str, more: str, same: str, other: str | None
) -> None:
    own = source(1, order_key=rule)

    def lanes(pid: str, segments: str) -> UUID:
        data = raw(pid=pid, more=segments)
        return order_key(read_envelope(data), own, "ADT^A01", data).lane

    assert lanes("4711^^^NORTH^MR", more) == lanes("815^^^NORTH^MR", same)
    if other is not None:
        assert lanes("4711^^^NORTH^MR", more) != lanes("4711^^^NORTH^MR", other)
        assert lanes("4711^^^NORTH^MR", "") == order_key_digest(str(ORG_A), str(UUID(int=1)))


def test_a_merge_of_a_feed_in_strict_order_also_bars_the_lanes_of_its_patients() -> None:
    data = raw(event="ADT^A40", more="MRG|0815^^^NORTH^MR\r")
    lanes = order_key(read_envelope(data), source(1, order_key="source"), "ADT^A40", data)
    assert lanes.lane == order_key_digest(str(ORG_A), str(UUID(int=1)))
    assert lanes.partners == (lane("4711"), lane("0815"))


VALUES = st.sampled_from(
    ["1", "4711", "0", "000000", "999-99-9999", "UNKNOWN", '""', " 7 ", "a\\T\\b", "x\\E\\y", "n/a", ""]
)
AUTHORITIES = st.sampled_from(["", "NORTH", "SOUTH", "NORTH&1.2&ISO", "&1.2&ISO"])
TYPES = st.sampled_from(["", "MR", "PI", "AN", "VN", "SS", '""'])
IDENTIFIERS = st.lists(st.builds(lambda v, a, t: f"{v}^^^{a}^{t}", VALUES, AUTHORITIES, TYPES), max_size=4).map(
    "~".join
)
RULES = st.lists(
    st.builds(IdentifierRule, st.sampled_from(["", "*", "NORTH", "SOUTH", "1.2"]), st.sampled_from(["MR", "PI", "SS", "AN", "*"])),
    min_size=1, max_size=3,
).map(tuple)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(IDENTIFIERS, RULES)
def test_lanes_and_maps_always_agree_about_the_strongest_identifier(
    pid: str, rules: tuple[IdentifierRule, ...]
) -> None:
    own = source(1, identifiers=rules)
    data = raw(pid=pid)
    try:
        keys = load_maps().convert(parse(data), own).patient_keys
    except MappingError as error:
        if error.code != "patient_identifier_missing":
            raise
        keys = ()
    expected = (keys[0].type, keys[0].authority, keys[0].value) if keys else None
    assert strongest(read_envelope(data).patient_ids, own) == expected


NUMBERS = st.sampled_from(["", '""', "V1", "V2^^^NORTH", " V3 ", "A\\T\\B"])


@settings(max_examples=100, deadline=None)
@given(NUMBERS, NUMBERS, NUMBERS)
def test_a_feed_in_order_of_visits_agrees_with_the_maps_about_the_visit(
    visit: str, alternate: str, account: str
) -> None:
    pid = f"4711^^^NORTH^MR{'|' * 15}{account}"
    data = raw(pid=pid, more=f"PV1|1|I{'|' * 17}{visit}{'|' * 31}{alternate}\r")
    own = source(1, order_key="visit")
    keys = [one.key for one in load_maps().convert(parse(data), own).resources if one.type == "Encounter"]
    assert order_value(read_envelope(data), own, data) == (keys[0].rpartition("|")[2] if keys else "")
