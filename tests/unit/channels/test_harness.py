"""The harness tells what would become of a message by the code that would do it."""

from dataclasses import replace

import pytest
from tests.integration.feed import hl7, pid

from chartwire.channels.harness import Harness, desk_source
from chartwire.core.errors import ValidationError
from chartwire.mapping import load_maps
from chartwire.mllp.verdicts import preview

GOOD = hl7("ADT^A01", "EVN||20260301120000", pid("100", "Doe^J"), "PV1|1|I|||||||||||||||||V1^^^HOSP^VN")


def tried(*messages, source=None, **options):
    return [*Harness(load_maps(), preview).run(b"".join(messages), source or desk_source(), **options)]


def rules_of(trial):
    return [issue.rule for issue in trial.issues]


def test_a_good_message_is_received_and_becomes_a_bundle():
    (trial,) = tried(GOOD)
    assert (trial.issues, trial.ack.code, trial.ack.state, trial.map) == ([], "AA", "received", "ADT^A01")
    assert {entry["resource"]["resourceType"] for entry in trial.bundle["entry"]} >= {"Patient", "Encounter"}
    assert trial.refused is None


def test_what_no_rule_read_is_named_and_counted():
    (trial,) = tried(GOOD + b"ZPV|1|2\r")
    assert trial.unread == ["ZPV-1", "ZPV-2"]
    assert 0 < trial.coverage < 1
    (plain,) = tried(GOOD)
    assert plain.coverage == 1


def test_the_answer_follows_the_settings_of_the_source():
    test_message = GOOD.replace(b"|P|2.5.1", b"|T|2.5.1")
    assert tried(test_message)[0].ack.code == "AA"
    live = replace(desk_source(), live=True)
    refused = tried(test_message, source=live)[0].ack
    assert (refused.code, refused.condition, refused.location) == ("AR", "202", "MSH-11")
    assert "MSA|AR|" in refused.message
    assert tried(GOOD, source=replace(live, ack_mode="none"))[0].ack.code is None
    assert tried(GOOD, source=replace(live, accepts=("ORU",)))[0].ack.state == "filtered"


def test_what_a_source_is_strict_about_refuses_here_as_it_does_at_the_door():
    source = replace(desk_source(), strictness=(("segment_missing_at_end", "refuse"),))
    (trial,) = tried(hl7("ADT^A01", "EVN||20260301120000", pid()), source=source)
    assert (trial.ack.code, trial.ack.state, trial.ack.condition) == ("AE", "dead", "100")
    assert rules_of(trial) == ["segment_missing_at_end"]


def test_a_message_that_cannot_be_read_is_one_issue_and_the_others_go_on():
    first, second = tried(GOOD, b"MSH|^~\\&|A|B|||||ADT^A01|7|P|2.5.1\rpid|1\r")
    assert first.issues == []
    assert rules_of(second) == ["unreadable"]
    assert (second.ack.code, second.bundle, second.refused["code"]) == ("AE", None, "bad_segment_id")


def test_an_event_without_map_and_an_unidentified_patient_are_told():
    (unmapped,) = tried(hl7("DFT^P03", "EVN||20260301120000", pid()))
    assert (unmapped.map, unmapped.bundle, unmapped.refused["code"]) == ("", None, "event_unsupported")
    nobody = hl7("ADT^A01", "EVN||20260301120000", "PID|1||||Doe^J", "PV1|1|I")
    assert tried(nobody)[0].refused["code"] == "patient_identifier_missing"
    assert tried(nobody, anonymous=True)[0].bundle is not None


def test_a_control_id_that_came_before_in_the_run_is_told():
    again = hl7("ADT^A01", "EVN||20260301120000", pid("2"), "PV1|1|I", control_id="SAME")
    first, second = tried(again, again)
    assert rules_of(first) == []
    assert rules_of(second) == ["control_id_repeats"]


def test_an_answer_is_never_answered():
    (trial,) = tried(hl7("ACK^A01", "MSA|AA|1"))
    assert (trial.ack.state, trial.ack.code) == ("ignored", None)


def test_a_text_that_is_no_message_is_unreadable_and_a_zone_that_is_none_is_refused():
    assert rules_of(tried(b"hello")[0]) == ["unreadable"]
    with pytest.raises(ValidationError):
        desk_source(timezone="Mars/Olympus")
