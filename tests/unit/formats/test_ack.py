"""The answer: swapped, in the sender's own syntax, echoing byte for byte what it must echo."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from chartwire.formats.hl7v2 import Fault, build_ack, parse, read_envelope

AT = datetime(2026, 11, 20, 8, 15, 30, 123456, tzinfo=UTC)
HEADER = b"MSH|^~\\&|LAB^1.2^ISO|H\\T\\S|HUB|CLINIC|2026||ADT^A01^ADT_A01|MSG\\T\\1|T|2.5.1||||||8859/1\r"


def ack(data: bytes, code: str = "AA", **options: object) -> bytes:
    return build_ack(read_envelope(data), code, control_id="ACK1", at=AT, **options)


def test_an_accepting_ack_swaps_the_parties_and_echoes_the_control_id_byte_for_byte():
    assert ack(HEADER) == (
        b"MSH|^~\\&|HUB|CLINIC|LAB^1.2^ISO|H\\T\\S|20261120081530.123+0000||ACK^A01^ACK|ACK1|T|2.5.1||||||8859/1\r"
        b"MSA|AA|MSG\\T\\1\r"
    )


def test_the_time_carries_its_offset():
    local = AT.astimezone(timezone(timedelta(hours=-5)))
    answer = build_ack(read_envelope(HEADER), "AA", control_id="1", at=local)
    assert parse(answer).get("MSH-7") == "20261120031530.123-0500"


def test_a_refusal_names_place_condition_severity_and_text():
    answer = parse(ack(HEADER, "AE", fault=Fault("103", "no such value", "PID[2]-8(1).1")))
    assert answer.get("MSA-1") == "AE"
    assert answer.segments[2].raw(2) == "PID^2^8^1^1"
    assert answer.segments[2].raw(3) == "103^Table value not found^HL70357"
    assert (answer.get("ERR-4"), answer.get("ERR-8"), answer.get("MSA-3")) == ("E", "no such value", "no such value")


def test_the_fault_of_the_envelope_is_told_when_no_other_is_given():
    answer = parse(ack(HEADER.replace(b"MSG\\T\\1", b""), "AE"))
    assert answer.segments[2].raw(2) == "MSH^1^10"
    assert (answer.get("MSA-2"), answer.get("ERR-3")) == (None, "101")


def test_an_acceptance_has_no_err():
    assert [one.name for one in parse(ack(HEADER.replace(b"|T|", b"||"), "AA")).segments] == ["MSH", "MSA"]


@pytest.mark.parametrize(("accept_side", "codes"), [(True, ["CA", "CE", "CR"]), (False, ["AA", "AE", "AR"])])
def test_the_side_of_the_acknowledgement_decides_the_first_letter(accept_side, codes):
    for given in (("AA", "AE", "AR"), ("CA", "CE", "CR")):
        assert [parse(ack(HEADER, code, accept_side=accept_side)).get("MSA-1") for code in given] == codes


@pytest.mark.parametrize("version", ["2.1", "2.3", "2.3.1", "2.4"])
def test_before_version_2_5_the_error_has_its_old_form(version):
    answer = parse(ack(HEADER.replace(b"2.5.1", version.encode()), "AE", fault=Fault("101", "PID-3 is empty", "PID-3")))
    assert answer.segments[2].raw(1) == "PID^1^3^101&Required field missing&HL70357"
    assert answer.get("MSH-12") == version


@pytest.mark.parametrize(("version", "text"), [("2.6", "why"), ("2.7", None), ("2.8.2", None)])
def test_msa_3_is_written_only_before_version_2_7(version, text):
    assert parse(ack(HEADER.replace(b"2.5.1", version.encode()), "AE", text="why")).get("MSA-3") == text


def test_text_is_escaped_for_the_delimiters_of_the_message():
    answer = ack(b"MSH#@$!%#A#B#C#D#2026##ADT@A08@X#77#P#2.3\r", "AE", text="a#b@c!d\r\ne")
    assert answer.startswith(b"MSH#@$!%#C#D#A#B#")
    assert b"ACK@A08@ACK#ACK1#P#2.3\r" in answer
    assert parse(answer).get("MSA-3") == "a#b@c!d  e"


def test_delimiters_that_the_message_does_not_name_are_not_used_and_text_stays_in_one_field():
    answer = ack(b"MSH|^|A|B|C|D|2026||ADT^A08|77|P|2.5\r", "AE", text="a|b^c")
    assert answer.startswith(b"MSH|^|C|D|A|B|")
    assert parse(answer).segments[1].raw(3) == "a b c"


@pytest.mark.parametrize("garbage", [b"", b"GET / HTTP/1.1", b"MSH", b"MSH|", b"\x00" * 50, b"\xff\xfe\x00"])
def test_garbage_gets_a_well_formed_refusal_that_invents_nothing(garbage):
    answer = parse(ack(garbage, "AE"))
    assert (answer.get("MSH-9"), answer.get("MSH-12"), answer.get("MSA-1")) == ("ACK", "2.5.1", "AE")
    assert (answer.get("MSA-2"), answer.get("MSH-3"), answer.get("MSH-5")) == (None, None, None)
    assert answer.get("ERR-3") in {"100", "102"}


def test_names_come_back_in_the_bytes_in_which_they_came():
    for raw in ("Bär".encode("cp1252"), "Bär".encode(), b"B\x81r"):
        answer = ack(HEADER.replace(b"HUB", raw).replace(b"8859/1", b""))
        assert answer.split(b"|")[2] == raw


def test_wide_text_is_answered_in_wide_text():
    answer = ack(HEADER.decode().encode("utf-16-le"))
    assert parse(answer).charset == "utf-16-le"
    assert parse(answer).get("MSA-2") == "MSG&1"
