"""MLLP framing: the same frames come out however the bytes are cut, and nothing grows without bound."""

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chartwire.formats.hl7v2 import Deframer, Frame, Junk, Oversize, Truncated, frame

A = b"MSH|^~\\&|A\rPID|1\r"
B = b"MSH|^~\\&|B\rPID|2\r"


def feed_all(chunks: list[bytes], limit: int = 10_000) -> list[object]:
    deframer = Deframer(limit)
    return [event for chunk in chunks for event in deframer.feed(chunk)]


def merge_junk(events: list[object]) -> list[object]:
    merged: list[object] = []
    for event in events:
        if isinstance(event, Junk) and merged and isinstance(merged[-1], Junk):
            merged[-1] = Junk(merged[-1].count + event.count)
        else:
            merged.append(event)
    return merged


def test_frames_in_one_write_come_out_in_order():
    assert feed_all([frame(A) + frame(B) + frame(A)]) == [Frame(A), Frame(B), Frame(A)]


def test_a_frame_is_reported_at_its_end_block_without_waiting_for_the_carriage_return():
    deframer = Deframer(1000)
    assert deframer.feed(b"\x0b" + A) == []
    assert deframer.in_frame and deframer.buffered_bytes == len(A)
    assert deframer.feed(b"\x1c") == [Frame(A)]
    assert not deframer.in_frame
    assert deframer.feed(b"\r") == []
    assert deframer.feed(frame(B)) == [Frame(B)]


def test_line_ends_between_frames_are_no_junk():
    assert feed_all([frame(A) + b"\n\r\n" + frame(B)]) == [Frame(A), Frame(B)]


def test_junk_before_a_start_block_is_counted_and_the_stream_resynchronises():
    events = feed_all([b"GET / HTTP/1.1\r\n\r\n" + frame(A), b"??", frame(B)])
    assert events == [Junk(14), Frame(A), Junk(2), Frame(B)]


def test_a_start_block_before_a_header_inside_a_frame_cuts_the_unfinished_frame_off():
    assert feed_all([b"\x0b" + A + frame(B)]) == [Truncated(A), Frame(B)]
    assert feed_all([b"\x0b" + A + b"\x0bM", b"SH|rest\x1c\r"]) == [Truncated(A), Frame(b"MSH|rest")]


def test_a_vertical_tab_in_the_text_of_a_message_belongs_to_it():
    body = b"MSH|^~\\&|A\rNTE|1||first\x0bsecond\x0b\r"
    assert feed_all([frame(body)]) == [Frame(body)]


def test_an_oversize_frame_is_reported_once_with_its_head_and_then_dropped():
    deframer = Deframer(100)
    assert deframer.feed(b"\x0b" + A) == []
    events = deframer.feed(b"x" * 200)
    assert events == [Oversize(A + b"x" * 200)]
    for _ in range(50):
        assert deframer.feed(b"y" * 1000) == []
        assert deframer.buffered_bytes <= 3
    assert deframer.feed(b"\x1c\r" + frame(B)) == [Frame(B)]


def test_an_oversize_frame_that_comes_whole_is_refused_too_and_a_frame_at_the_limit_passes():
    assert feed_all([frame(b"M" * 101)], limit=100) == [Oversize(b"M" * 101)]
    assert feed_all([frame(b"M" * 100)], limit=100) == [Frame(b"M" * 100)]
    assert len(feed_all([frame(b"M" * 9000)], limit=100)[0].head) == 4096


def test_after_an_oversize_frame_without_end_block_a_new_header_is_found():
    assert feed_all([b"\x0b" + b"x" * 300, b"\x0bMS", b"H|1\x1c\r"], limit=100) == [
        Oversize(b"x" * 300),
        Frame(b"MSH|1"),
    ]


def test_the_end_of_the_stream_reports_what_was_cut_off():
    deframer = Deframer(1000)
    deframer.feed(frame(A) + b"\x0b" + B)
    assert deframer.close() == Truncated(B)
    assert deframer.close() is None
    assert deframer.feed(frame(A)) == [Frame(A)]


def test_an_empty_frame_is_a_frame():
    assert feed_all([b"\x0b\x1c\r"]) == [Frame(b"")]


PIECES = st.sampled_from(
    [frame(A), frame(B), b"\x0b" + A, A, b"\x1c", b"\x0b", b"\r", b"\x0bMS", b"H|", b"x", b"\x0b" + b"z" * 120]
)


@given(st.lists(PIECES, max_size=12).map(b"".join), st.lists(st.integers(0, 400), max_size=12))
def test_how_a_stream_is_cut_into_pieces_changes_nothing(stream, cuts):
    points = sorted({0, len(stream), *(min(cut, len(stream)) for cut in cuts)})
    pieces = [stream[start:end] for start, end in pairwise(points)]
    whole, cut, trickled = (
        merge_junk(feed_all(chunks, limit=100)) for chunks in ([stream], pieces, [bytes([byte]) for byte in stream])
    )

    def comparable(events: list[object]) -> list[object]:
        return [Oversize(b"") if isinstance(event, Oversize) else event for event in events]

    assert comparable(whole) == comparable(cut) == comparable(trickled)


@pytest.mark.parametrize("ending", [b"\x0b", b"x", b"\x0bM"])
def test_bytes_that_trickle_one_by_one_cost_linear_time(ending):
    def seconds(count: int) -> float:
        deframer = Deframer(10_000_000)
        deframer.feed(b"\x0b")
        begin = time.process_time()
        for _ in range(count):
            deframer.feed(ending)
        return time.process_time() - begin

    small = min(seconds(20_000) for _ in range(3))
    large = min(seconds(80_000) for _ in range(3))
    assert large < small * 4 * 3 + 0.05
