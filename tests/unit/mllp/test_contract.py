"""The ACK contract as pure code: domain-rules.md section 1, case by case."""

from uuid import UUID

import pytest

from chartwire.core.clock import now
from chartwire.core.ids import to_prefixed, uuid7
from chartwire.core.source import Source
from chartwire.formats.hl7v2.ack import build_ack
from chartwire.formats.hl7v2.envelope import Envelope, read_envelope
from chartwire.mllp import contract
from chartwire.mllp.contract import Plan, application_outcome, judge, plan

MAPPED = frozenset({"ADT^A01", "ADT^A08", "ORU^R01"})


def source(**fields: object) -> Source:
    return Source(UUID(int=1), UUID(int=2), "feed", "NORTH", **fields)


def message(
    event: str = "ADT^A01", *, id_: str = "C1", use: str = "P", version: str = "2.5.1", tail: str = ""
) -> Envelope:
    return read_envelope(
        f"MSH|^~\\&|LAB|NORTH|||20261120||{event}|{id_}|{use}|{version}{tail}\rPID|1||1^^^NORTH^MR\r".encode()
    )


@pytest.mark.parametrize(
    ("envelope", "error", "place"),
    [
        (message("XYZ^A01"), "200", "MSH-9.1"),
        (message("ADT^R01"), "201", "MSH-9.2"),
        (message("ADT"), "201", "MSH-9.2"),
        (message(use="X"), "202", "MSH-11"),
        (message(use="T"), "202", "MSH-11"),
        (message(use="D"), "202", "MSH-11"),
        (message(version="3.0"), "203", "MSH-12"),
    ],
)
def test_what_is_not_for_us_gets_ar(envelope: Envelope, error: str, place: str) -> None:
    verdict = judge(envelope, source(), MAPPED)
    assert (verdict.state, verdict.code) == ("dead", "AR")
    assert verdict.fault is not None
    assert (verdict.fault.code, verdict.fault.location) == (error, place)


@pytest.mark.parametrize(
    ("envelope", "error", "place"),
    [
        (message(id_=""), "101", "MSH-10"),
        (message(""), "101", "MSH-9"),
        (message(version=""), "101", "MSH-12"),
        (message(id_="9" * 200), "102", "MSH-10"),
        (read_envelope(b"MSH|^~\\&|LAB|NORTH|||1||ADT^A01|1|P|2.5\rpid|1\r"), "100", None),
    ],
)
def test_what_is_wrong_with_the_message_gets_ae_and_the_place(
    envelope: Envelope, error: str, place: str | None
) -> None:
    verdict = judge(envelope, source(), MAPPED)
    assert (verdict.state, verdict.code) == ("dead", "AE")
    assert verdict.fault is not None
    assert verdict.fault.code == error
    assert place is None or verdict.fault.location == place


def test_test_messages_enter_an_organisation_that_is_not_live() -> None:
    assert judge(message(use="T"), source(live=False), MAPPED).state == "received"


@pytest.mark.parametrize("event", ["ADT^A17", "DFT^P03", "ZZZ^Z01", "ADT^Z99"])
def test_a_known_or_local_event_without_a_map_is_filtered_with_aa(event: str) -> None:
    verdict = judge(message(event), source(), MAPPED)
    assert (verdict.state, verdict.code, verdict.fault) == ("filtered", "AA", None)


@pytest.mark.parametrize(
    ("accepts", "event", "state"),
    [
        (("ADT",), "ADT^A08", "received"),
        (("ADT^A01",), "ADT^A01", "received"),
        (("ADT^A01",), "ADT^A08", "filtered"),
        (("ADT",), "ORU^R01", "filtered"),
    ],
)
def test_a_source_chooses_by_type_or_by_event(accepts: tuple[str, ...], event: str, state: str) -> None:
    assert judge(message(event), source(accepts=accepts), MAPPED).state == state


@pytest.mark.parametrize(
    ("tail", "good", "expected"),
    [
        ("", True, Plan("AA")),
        ("", False, Plan("AR")),
        ("|||AL|NE", True, Plan("CA")),
        ("|||AL|AL", True, Plan("CA", application=True)),
        ("|||AL|ER", True, Plan("CA", application=True)),
        ("|||AL|NE", False, Plan("CR")),
        ("|||AL|AL", False, Plan("CR")),
        ("|||NE|AL", True, Plan("CA", send=False, application=True)),
        ("|||NE|NE", True, Plan("CA", send=False)),
        ("|||NE|NE", False, Plan("AR", send=False)),
        ("|||NE|AL", False, Plan("AR", send=True)),
        ("|||ER|NE", True, Plan("CA", send=False)),
        ("|||ER|NE", False, Plan("CR")),
        ("|||SU|NE", True, Plan("CA")),
        ("|||SU|SU", False, Plan("AR", send=False)),
        ("||||AL", True, Plan("CA", send=False, application=True)),
    ],
)
def test_enhanced_mode_follows_msh_15_and_msh_16(tail: str, good: bool, expected: Plan) -> None:
    envelope = message(version="2.5.1" if good else "9.9", tail=tail)
    enhanced = source(ack_mode="enhanced")
    assert plan(envelope, enhanced, judge(envelope, enhanced, MAPPED)) == expected


@pytest.mark.parametrize("mode", ["commit", "one-ack"])
@pytest.mark.parametrize("tail", ["|||NE|NE", "|||AL|AL"])
def test_one_answer_modes_ignore_msh_15_and_msh_16(mode: str, tail: str) -> None:
    plain = source(ack_mode=mode)
    envelope = message(tail=tail)
    assert plan(envelope, plain, judge(envelope, plain, MAPPED)) == Plan("AA")


def test_only_what_will_be_processed_waits_for_processing() -> None:
    waiting = source(ack_mode="after-processing")
    for event, wait in (("ADT^A01", True), ("DFT^P03", False), ("XYZ^A01", False)):
        envelope = message(event)
        assert plan(envelope, waiting, judge(envelope, waiting, MAPPED)).wait is wait


@pytest.mark.parametrize(
    ("overrides", "event", "code"),
    [
        ((("AR", "AE"),), "XYZ^A01", "AE"),
        ((("200", "AA"), ("AR", "AE")), "XYZ^A01", "AA"),
        ((("200", "AA"), ("AR", "AE")), "ADT^R01", "AE"),
        ((("AE", "AR"),), "ADT^A01", "AA"),
        ((("AR", "nonsense"),), "XYZ^A01", "AR"),
    ],
)
def test_the_override_table_has_the_last_word(overrides: tuple[tuple[str, str], ...], event: str, code: str) -> None:
    own = source(ack_overrides=overrides)
    envelope = message(event)
    assert plan(envelope, own, judge(envelope, own, MAPPED)).code == code


def test_the_ack_s_control_id_is_the_start_of_the_message_s_id() -> None:
    for _ in range(50):
        message_id = uuid7()
        assert contract.ack_id(message_id) == to_prefixed("msg", message_id)[4:24]


def test_an_application_ack_has_an_id_of_its_own() -> None:
    message_id = uuid7()
    envelope = message()
    at = contract.datetime.fromisoformat("2026-11-20T08:15:00+00:00")
    first = contract.answer(envelope, "CA", message_id, at).split(b"|")[9]
    second = contract.answer(envelope, "AA", message_id, at, own=True).split(b"|")[9]
    assert (len(first), len(second), first == second) == (20, 20, False)


@pytest.mark.parametrize(
    ("state", "error", "code", "number"),
    [
        ("processed", None, "AA", None),
        ("held", None, "AA", None),
        ("filtered", None, "AA", None),
        ("dead", "patient_identifier_missing", "AE", "101"),
        ("dead", "some_rule_of_a_map", "AE", "102"),
        ("dead", "hl7_100", "AE", "100"),
    ],
)
def test_the_end_of_processing_decides_the_late_answer(
    state: str, error: str | None, code: str, number: str | None
) -> None:
    found, fault = application_outcome(state, error, "PID-3", "no identifier")
    assert found == code
    assert (fault.code if fault else None) == number


def test_the_vocabulary_knows_the_events_of_this_hub_s_maps() -> None:
    assert {"ADT^A40", "SIU^S12", "SIU^S26", "ORU^R01", "MDM^T02", "VXU^V04"} <= contract.VOCABULARY.events


@pytest.mark.parametrize("id_", ["C1", "a\\T\\b", "x" * 199, "Ä", "CHARTWIREECHO", "CHARTWIREACKID"])
@pytest.mark.parametrize("sender", ["LAB|NORTH", "LÄB|N^1.2.3^ISO", "CHARTWIREACKID|CHARTWIREECHO", "x" * 2000 + "|"])
@pytest.mark.parametrize("tail", ["", "||||||8859/1", "||||||UNICODE UTF-8"])
def test_a_quick_acceptance_is_byte_for_byte_what_the_builder_writes(id_: str, sender: str, tail: str) -> None:
    text = f"MSH|^~\\&|{sender}|HUB|CLINIC|20261120||ADT^A01^ADT_A01|{id_}|P|2.5.1{tail}\r"
    envelope = read_envelope(text.encode("iso8859-1" if "8859" in tail else "utf-8"))
    for code in ("AA", "CA"):
        for _ in range(2):
            message_id, at = uuid7(), now()
            built = build_ack(envelope, code, control_id=contract.ack_id(message_id), at=at, accept_side=code == "CA")
            assert contract.answer(envelope, code, message_id, at) == built
