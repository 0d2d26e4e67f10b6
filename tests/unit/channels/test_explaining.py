"""The route of a message, told rule by rule."""

from uuid import UUID

from chartwire.channels.explaining import Route, explain
from chartwire.channels.routing import Peer, Refusal, route
from chartwire.core.source import Source
from chartwire.formats.hl7v2.envelope import read_envelope

ORG = UUID(int=0xA)


def source(number: int, **fields: object) -> Source:
    return Source(ORG, UUID(int=number), f"feed {number}", "NORTH", **fields)


def told(candidates: list[Source], *, pid: str = "4711^^^NORTH^MR", peer: str = "192.0.2.7") -> Route:
    data = f"MSH|^~\\&|LAB|NORTH|HUB|CLINIC|20261120||ADT^A01|1|P|2.5\rPID|1||{pid}\r".encode()
    envelope = read_envelope(data)
    explained = explain("plain", candidates, candidates, Peer(peer), envelope, data)
    assert explained.outcome == route([one for one in candidates if one.sending], candidates, envelope)
    return explained


def test_each_rule_is_told_with_the_reason_that_it_holds_or_not() -> None:
    taken = source(1, sending=(("MSH-4", "NO*"), ("MSH-4", "SOUTH")))
    other = source(2, sending=(("MSH-3", "RIS"), ("MSH-4", "NORTH")))
    steps = [str(step) for step in told([taken, other]).steps]
    assert "feed 1: MSH-4: yes, wants NO* or SOUTH, is NORTH" in steps
    assert "feed 2: MSH-3: no, wants RIS, is LAB" in steps
    assert "feed 1: chosen: yes, alone names this sender" in steps


def test_the_lane_is_told_by_the_place_that_gave_its_key_and_never_by_a_value() -> None:
    explained = told([source(1, sending=(("MSH-4", "*"),))], pid="9^^^SOUTH^MR~4711^^^NORTH^MR")
    assert explained.lanes is not None
    assert str(explained.steps[-1]) == (
        f"feed 1: order by patient: lane {explained.lanes.lane}, by PID-3(2), rule NORTH:MR"
    )
    assert "4711" not in " ".join(map(str, explained.steps))


def test_a_peer_that_a_surer_source_takes_away_is_told_so() -> None:
    near, opened = source(1, peers=("192.0.2.0/24",), sending=(("MSH-4", "*"),)), source(2)
    steps = [str(step) for step in told([near, opened]).steps]
    assert "feed 2: peer: no, anyone may be it; another source knows this peer more surely" in steps


def test_a_refusal_says_why() -> None:
    explained = told([source(1, sending=(("MSH-4", "SOUTH"),))])
    assert isinstance(explained.outcome, Refusal)
    assert str(explained.steps[-1]) == "refused: no, no source of this peer takes this sender (unknown_sender)"
