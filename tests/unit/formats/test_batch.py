"""Streams of several messages: each member by itself, counts checked, one answer with one ACK a member."""

from datetime import UTC, datetime

import pytest

from chartwire.core.errors import ParseError
from chartwire.core.limits import BATCH_MEMBERS_MAX
from chartwire.formats.hl7v2 import build_ack, build_batch_ack, frame, parse, read_envelope, split

AT = datetime(2026, 11, 20, tzinfo=UTC)


def one(number: int, end: bytes = b"\r") -> bytes:
    return b"MSH|^~\\&|A|B|C|D|2026||ADT^A01|M%d|P|2.5%sPID|1||%d%s" % (number, end, number, end)


FHS = b"FHS|^~\\&|A|B|C|D|2026||file||F1\r"
BHS = b"BHS|^~\\&|A|B|C|D|2026||batch||B1\r"


def test_a_batch_is_split_into_its_members_byte_for_byte():
    batch = split(FHS + BHS + one(1) + one(2) + b"BTS|2\rFTS|1\r")
    assert list(batch) == [one(1), one(2)]
    assert (len(batch), batch.enveloped, batch.header, batch.findings) == (2, True, FHS.rstrip(), ())


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n"])
def test_messages_in_a_row_are_split_whatever_ends_their_lines(end):
    batch = split(end + one(1, end) + end + one(2, end) + one(3, end))
    assert list(batch) == [one(1, end), one(2, end), one(3, end)]
    assert not batch.enveloped


def test_a_file_of_mllp_frames_is_split():
    assert list(split(frame(one(1)) + b"\n" + frame(one(2)) + b"\x0b" + one(3).rstrip() + b"\x1c")) == [
        one(1), one(2), one(3).rstrip(),
    ]  # fmt: skip


def test_a_single_message_is_one_member_and_so_is_what_is_no_message():
    assert list(split(one(1))) == [one(1)]
    assert list(split(b"no message")) == [b"no message"]
    assert list(split(b"")) == [b""]


def test_a_header_id_counts_only_at_the_start_of_a_line_and_with_a_separator():
    message = b"MSH|^~\\&|A|MSH|BTS\rNTE|1||see MSH|x\rMSHX\rMSH text\r"
    assert len(split(message)) == 1


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-be", "utf-8-sig"])
def test_wide_streams_and_streams_with_a_byte_order_mark_are_split(codec):
    members = list(split((FHS + BHS + one(1) + one(2) + b"BTS|2\rFTS|1\r").decode().encode(codec)))
    assert [parse(member).get("MSH-10") for member in members] == ["M1", "M2"]


def test_bytes_before_the_first_header_are_a_finding():
    batch = split(b"Exported by X\r" + one(1))
    assert list(batch) == [one(1)]
    assert [finding.code for finding in batch.findings] == ["junk_before_first"]


@pytest.mark.parametrize(
    ("stream", "findings"),
    [
        (BHS + one(1) + b"BTS|2\r", [("batch_count", "BTS[1]-1")]),
        (BHS + one(1) + b"BTS\r", []),
        (FHS + BHS + one(1) + b"BTS|1\rFTS|2\r", [("batch_count", "FTS[1]-1")]),
        (FHS + BHS + one(1) + b"BTS|1\r" + BHS + one(2) + one(3) + b"BTS|2\rFTS|2\r", []),
        (FHS + BHS + one(1) + b"FTS|1\r", [("trailer_missing", "BHS[1]")]),
        (BHS + one(1), [("trailer_missing", "BHS[1]")]),
        (BHS + one(1) + BHS + one(2) + b"BTS|1\r", [("trailer_missing", "BHS[1]")]),
        (one(1) + b"BTS|1\r", [("trailer_alone", "BTS[1]")]),
        (BHS + b"BTS|0\r", []),
    ],
)
def test_counts_and_trailers_are_checked(stream, findings):
    assert [(one.code, one.location) for one in split(stream).findings] == findings


def test_an_empty_batch_has_no_members():
    assert list(split(BHS + b"BTS|0\r")) == []


def test_more_members_than_the_bound_are_refused():
    with pytest.raises(ParseError) as refusal:
        split(b"MSH|^~\\&|\r" * (BATCH_MEMBERS_MAX + 1))
    assert refusal.value.code == "too_many_members"


def answer(stream: bytes) -> bytes:
    acks = [build_ack(read_envelope(member), "AA", control_id=f"A{n}", at=AT) for n, member in enumerate(split(stream))]
    return build_batch_ack(read_envelope(stream), acks, control_id="R1", at=AT)


def test_a_batch_is_answered_by_one_batch_with_an_ack_for_each_member():
    reply = answer(FHS + BHS + one(1) + one(2) + b"BTS|2\rFTS|1\r")
    assert reply.startswith(b"BHS|^~\\&|C|D|A|B|20261120000000.000+0000||||R1|B1\r")
    assert reply.endswith(b"\rBTS|2\r")
    assert [parse(member).get("MSA-2") for member in split(reply)] == ["M1", "M2"]
    assert split(reply).findings == ()


def test_messages_in_a_row_are_answered_without_an_invented_reference():
    reply = answer(one(1) + one(2))
    assert reply.startswith(b"BHS|^~\\&|C|D|A|B|20261120000000.000+0000||||R1\r")
    assert [parse(member).get("MSA-2") for member in split(reply)] == ["M1", "M2"]


def test_the_answer_to_a_wide_batch_can_be_read_as_a_whole():
    reply = answer((BHS + one(1) + b"BTS|1\r").decode().encode("utf-16"))
    assert [parse(member).get("MSA-2") for member in split(reply)] == ["M1"]
