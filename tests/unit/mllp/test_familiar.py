"""The short way of a message whose head is known, held against the whole light check."""

from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chartwire.channels.routing import order_key
from chartwire.core.clock import now
from chartwire.core.source import IdentifierRule, Source
from chartwire.formats.hl7v2.envelope import read_envelope
from chartwire.mllp import contract
from chartwire.mllp.contract import Plan, Verdict
from chartwire.mllp.familiar import Familiar, Kinds, learn, recognise

SOURCE = Source(UUID(int=1), UUID(int=2), "feed", "NORTH", identifiers=(IdentifierRule("", "MR"),))
MAPPED = frozenset({"ADT^A08"})
HEAD = b"MSH|^~\\&|LAB|NORTH|HUB|EAST|20261120||ADT^A08^ADT_A01|%s|P|2.5.1||||||UNICODE UTF-8\r"
BODY = b"EVN|A08|20261120\rPID|1||4711^^^NORTH^MR~99^^^USSSA^SS||Everywoman^Eve\rPV1|1|I|W3^312\r"

WHOLE_WAY_ONLY = (
    BODY + b"PID|2||4712^^^NORTH^MR\r",
    BODY + b"MSH|^~\\&|LAB\r",
    BODY + b"MSA|AA|1\r",
    BODY + b"MRG|12^^^NORTH^MR\r",
    BODY + b"no segment\r",
    BODY.replace(b"EVN|", b"EVN"),
    BODY.replace(b"\r", b"\r\n"),
    BODY.replace(b"Eve", "Zoë".encode()),
    BODY.replace(b"Eve", b"E\x00"),
)


def learned(head: bytes = HEAD) -> Kinds:
    kinds: Kinds = {}
    walk(kinds, head % b"FIRST" + BODY)
    return kinds


def walk(kinds: Kinds, data: bytes, source: Source = SOURCE) -> None:
    envelope = read_envelope(data)
    verdict = contract.judge(envelope, source, MAPPED)
    learn(kinds, data, envelope, source, verdict, contract.plan(envelope, source, verdict))


def the_whole_way(data: bytes) -> tuple[object, ...]:
    envelope = read_envelope(data)
    verdict = contract.judge(envelope, SOURCE, MAPPED)
    plan = contract.plan(envelope, SOURCE, verdict)
    ack = contract.answer(envelope, plan.code, UUID(int=5 << 80), AT, verdict.fault)
    event = contract.event_of(envelope)
    lanes = order_key(envelope, SOURCE, event)
    return (verdict, plan, envelope.is_ack, envelope.is_batch, event, envelope.charset, envelope.control_id,
            envelope.body_hash, lanes, ack)  # fmt: skip


def the_short_way(found: Familiar) -> tuple[object, ...]:
    kind = found.kind
    ack = contract.accept(kind.acceptance, contract.ack_id(UUID(int=5 << 80)), AT, found.control_id)
    return (Verdict(kind.state, "AA"), kind.plan, False, False, kind.event, kind.charset, found.control_id,
            found.body_hash, found.lanes, ack)  # fmt: skip


AT = now()


@pytest.mark.parametrize("body", [BODY, BODY.rstrip(b"\r"), b"EVN|A08\rZZ1|x\r\r", b"EVN|A08\rPID|1\r", b"", BODY + b" \r",
                                  b'PID|1||""^^^NORTH^MR\r', b"PID|1||4711^^^NORTH&1.2&ISO^MR \r",
                                  b"PID|1||\\T\\4711^^^NORTH^MR\r", b"PID|1||1^^^NORTH^MR  "])  # fmt: skip
def test_the_second_message_of_a_kind_is_read_the_short_way_with_the_same_outcome(body: bytes) -> None:
    data = HEAD.replace(b"|20261120|", b"|20261121093000+0100|") % b"NEXT.1" + body
    found = recognise(learned(), data)
    assert found is not None
    assert the_short_way(found) == the_whole_way(data)


@pytest.mark.parametrize("body", WHOLE_WAY_ONLY)
def test_a_known_head_over_an_unusual_body_goes_the_whole_way(body: bytes) -> None:
    assert recognise(learned(), HEAD % b"NEXT" + body) is None


@pytest.mark.parametrize("control_id", [b"", b" ", b"A^1", b"A 1", b'""', b"\\F\\", b"9" * 200])
def test_an_unusual_control_id_goes_the_whole_way(control_id: bytes) -> None:
    assert recognise(learned(), HEAD % control_id + BODY) is None


@pytest.mark.parametrize("changed", [(b"LAB", b"LAB2"), (b"A08", b"A01"), (b"|P|", b"|T|"), (b"2.5.1", b"2.3"),
                                     (b"UNICODE UTF-8", b"ASCII"), (b"|^~", b"|^~~"), (b"|", b"#")])  # fmt: skip
def test_another_head_is_another_kind(changed: tuple[bytes, bytes]) -> None:
    assert recognise(learned(), HEAD.replace(*changed) % b"NEXT" + BODY) is None


@pytest.mark.parametrize("source", [
    Source(UUID(int=1), UUID(int=2), "strict", "NORTH", strict_control_ids=True),
    Source(UUID(int=1), UUID(int=2), "waits", "NORTH", ack_mode="after-processing"),
    Source(UUID(int=1), UUID(int=2), "silent", "NORTH", ack_mode="none"),
])  # fmt: skip
def test_nothing_is_learned_where_more_than_one_acceptance_has_a_say(source: Source) -> None:
    kinds: Kinds = {}
    walk(kinds, HEAD % b"FIRST" + BODY, source)
    assert not kinds


@pytest.mark.parametrize(
    "head", [HEAD.replace(b"A08", b"A40"), HEAD.replace(b"2.5.1", b"9"), HEAD.replace(b"^~", b"*~")]
)
def test_merges_refused_messages_and_other_delimiters_are_not_learned(head: bytes) -> None:
    kinds: Kinds = {}
    walk(kinds, head % b"FIRST" + BODY)
    assert not kinds


def test_the_kinds_of_a_connection_are_bounded() -> None:
    kinds: Kinds = {}
    for number in range(200):
        walk(kinds, HEAD.replace(b"LAB", b"LAB%d" % number) % b"FIRST" + BODY)
    assert 0 < len(kinds) <= 64


_PIECES = st.sampled_from(
    [b"\r", b"|", b"^", b"~", b"&", b"\\", b" ", b"\n", b"PID|", b"MRG|", b"MSA|", b"MSH|", b"1", b'""', b"\x00", b"\xe4",
     b"MR", b"NORTH", b"Zz", b"\t", b"\x1c"]
)  # fmt: skip


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 220), _PIECES), min_size=1, max_size=4))
def test_wherever_the_short_way_is_taken_it_ends_as_the_whole_way_does(edits: list[tuple[int, bytes]]) -> None:
    data = HEAD % b"NEXT" + BODY
    for place, piece in edits:
        data = data[:place] + piece + data[place:]
    found = recognise(learned(), data)
    if found is not None:
        assert the_short_way(found) == the_whole_way(data)
        assert found.kind.plan == Plan("AA")
