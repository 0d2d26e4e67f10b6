"""Every HL7 v2 message of ../shared/corpora parses or is refused for a named reason, and is written back unchanged."""

import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from chartwire.core.errors import ParseError
from chartwire.formats.hl7v2 import build_ack, encode, parse, read_envelope, split

CORPORA = Path(__file__).resolve().parents[3] / "shared" / "corpora"
SUFFIXES = {".hl7", ".er7", ".hl7v2", ".ndhl7", ".prev"}

# Files whose whole content is refused, and why: nothing else may be.
REFUSED = {
    "cdc-trusted-intermediary/examples/Test/Message/empty.hl7": "empty_message",
    "cdc-trusted-intermediary/examples/Test/Message/msh_present_but_missing_all_fields.hl7": "bad_delimiters",
    "cdc-trusted-intermediary/examples/Test/Message/msh_present_but_missing_msh-2.hl7": "bad_delimiters",
    "cosyte-hl7/hl7v2/malformed/empty-input.hl7": "empty_message",
    "cosyte-hl7/hl7v2/vendor-quirks/segment-case.hl7": "bad_segment_id",
    "fhirtogether/literals/README_L252.hl7": "bad_segment_id",
    "fhirtogether/literals/README_L53.hl7": "bad_segment_id",
    "hl7apy/literals/test_parser_L215.hl7": "bad_delimiters",
    "hl7apy/literals/test_parser_L218.hl7": "bad_delimiters",
    "rethinkhealth-hl7v2/hl7v2/invalid-segment-header-length.hl7": "bad_segment_id",
}

pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif(not CORPORA.is_dir(), reason="../shared/corpora is absent"),
]


def is_hl7v2(path: Path) -> bool:
    if path.suffix.lower() in SUFFIXES:
        return True
    return path.suffix == ".txt" and path.is_file() and b"MSH|" in path.read_bytes()[:3000]


def messages() -> list[tuple[str, int, bytes]]:
    files = sorted(path for path in CORPORA.rglob("*") if is_hl7v2(path))
    return [
        (path.relative_to(CORPORA).as_posix(), number, member)
        for path in files
        for number, member in enumerate(split(path.read_bytes()), 1)
    ]


@pytest.fixture(scope="module")
def corpus() -> list[tuple[str, int, bytes]]:
    found = messages()
    assert len(found) > 900
    return found


def test_every_message_parses_or_is_refused_for_a_named_reason(corpus):
    refused = {}
    for name, number, data in corpus:
        try:
            parse(data)
        except ParseError as refusal:
            refused[name] = refusal.code
            print(f"refused {name} message {number}: {refusal.code} at {refusal.location}, byte {refusal.position}")
    print(f"{len(corpus)} messages, {len(refused)} refused")
    assert refused == REFUSED


def readable(corpus: list[tuple[str, int, bytes]]) -> list[tuple[str, bytes]]:
    return [(name, data) for name, _, data in corpus if name not in REFUSED]


def test_every_message_is_written_back_as_it_came_but_for_its_line_ends(corpus):
    for name, data in readable(corpus):
        document = parse(data)
        body = data.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\r").replace(b"\n", b"\r")
        lines = [line for line in body.strip(b"\x0b\x1c\r").split(b"\r") if line.strip()]
        assert encode(document).rstrip(b"\r").split(b"\r") == lines, name


def test_the_light_check_agrees_with_the_parser_on_every_message(corpus):
    for name, data in readable(corpus):
        envelope, document = read_envelope(data), parse(data)
        assert envelope.fault is None or envelope.fault.code == "101", name
        first_ids = [one.value() for pid in document.all("PID") for one in pid.repetitions(3)]
        assert [one.value for one in envelope.patient_ids] == [
            value for value in first_ids if value not in {None, '""'}
        ], name


def test_nothing_that_the_corpus_says_is_lost_or_turned_into_a_replacement_character(corpus):
    for name, data in readable(corpus):
        for segment in parse(data).segments:
            for number in range(1, segment.field_count + 1):
                values = [
                    one.value(c, sub)
                    for one in segment.repetitions(number)
                    for c in range(1, one.component_count + 1)
                    for sub in range(1, one.raw.count("&") + 2)
                ]
                assert "".join(filter(None, values)) or not segment.raw(number).strip("^~&"), (name, segment, number)
                assert not any("\ufffd" in value for value in values if value) or b"\xef\xbf\xbd" in data, name


def test_values_agree_with_python_hl7_where_it_reads_without_loss(corpus):
    """Plain leaves only: python-hl7 0.4.5 drops unknown escapes, splits hex runs and cannot read short MSH-2."""
    python_hl7 = pytest.importorskip("hl7", reason="python-hl7 of the bench extra is not installed")
    compared = 0
    for name, data in readable(corpus):
        document = parse(data)
        if document.charset not in {"ascii", "utf-8"} or len(document.get("MSH-2") or "") != 4:
            continue
        theirs = python_hl7.parse("\r".join(segment.line for segment in document.segments))
        for ours, other in zip(document.segments[1:], theirs[1:], strict=True):
            for number in range(1, ours.field_count + 1):
                for r, repetition in enumerate(ours.repetitions(number), 1):
                    if "\\" in repetition.raw:
                        continue
                    for c in range(1, repetition.component_count + 1):
                        expected = hl7_leaf(other, number, r, c)
                        assert (repetition.value(c) or "").strip() == expected.strip(), (name, ours, number, r, c)
                        compared += 1
    assert compared > 100_000


def hl7_leaf(segment: Callable[..., Any], field: int, repetition: int, component: int) -> str:
    found = segment(field)(repetition)
    if isinstance(found, str):
        return found
    part = found(component)
    while not isinstance(part, str):
        part = part(1)
    return part


def mutations(data: bytes, chance: random.Random) -> list[bytes]:
    cut = chance.randrange(len(data))
    one, other = chance.sample([b"|", b"^", b"~", b"&", b"\\"], 2)
    lines = data.splitlines(keepends=True)
    text = data.decode("cp1252", "replace")
    return [
        data[:cut],
        data[: cut % 200],
        data.replace(one, b"\x01").replace(other, one).replace(b"\x01", other),
        b"".join([*lines[:-1], lines[-1] * 50]),
        b"\xef\xbb\xbf" + data,
        text.encode("utf-16"),
        text.encode("utf-16-be")[cut:],
        data[:cut] + b"\x00" + data[cut:],
        data.replace(b"\n", chance.choice([b"\r\n", b"\n\r", b"\r\r\n"])),
        data[:cut] + bytes([chance.randrange(128, 256)]) + data[cut:],
        data.replace(b"|", b"", 1),
    ]


def test_broken_copies_of_every_message_are_documents_or_parse_errors_and_can_be_answered(corpus):
    chance = random.Random(20261120)
    outcomes = Counter()
    for name, data in readable(corpus):
        for broken in mutations(data, chance):
            envelope = read_envelope(broken)
            answer = build_ack(envelope, "AE", control_id="1", at=datetime.now(UTC))
            assert parse(answer, charset=envelope.charset).get("MSA-1") == "AE", name
            try:
                document = parse(broken)
            except ParseError as refusal:
                outcomes[refusal.code] += 1
            else:
                outcomes["read"] += 1
                assert not any("\x00" in (one.text or "") for s in document.segments for one in s.repetitions(3)), name
    print(dict(outcomes))
    assert outcomes["read"] > 5000
