"""The light check before the ACK: who sends what to whom, for which patients, and whether it may be acknowledged."""

import pytest

from chartwire.core.limits import ENVELOPE_IDENTIFIERS_MAX, SEGMENTS_MAX
from chartwire.formats.hl7v2 import PatientId, read_envelope

HEADER = b"MSH|^~\\&|LAB^1.2^ISO|HOSP|HUB|CLINIC|20261120081500+0100||ADT^A01^ADT_A01|MSG1|P^T|2.5.1|||AL|NE\r"


def test_the_header_is_read_with_hd_fields_as_parts():
    envelope = read_envelope(HEADER)
    assert envelope.fault is None
    assert envelope.sending_application == ("LAB", "1.2", "ISO")
    assert (envelope.sending_facility, envelope.receiving_application, envelope.receiving_facility) == (
        ("HOSP",), ("HUB",), ("CLINIC",),
    )  # fmt: skip
    assert (envelope.message_code, envelope.trigger_event, envelope.structure) == ("ADT", "A01", "ADT_A01")
    assert (envelope.control_id, envelope.processing_id, envelope.version) == ("MSG1", "P", "2.5.1")
    assert (envelope.accept_ack_type, envelope.application_ack_type) == ("AL", "NE")
    assert envelope.timestamp == "20261120081500+0100"
    assert not envelope.is_ack and not envelope.is_batch


def test_patients_of_every_group_and_their_prior_ids_are_read_with_all_repetitions():
    envelope = read_envelope(
        HEADER
        + b'EVN|A40\rPID|1||1^^^HOSP&1.9&ISO^MR~2^^^STATE^SS~^^^X^MR~""^^^Y||A\rMRG|9^^^HOSP^MR~8\r'
        + b"PID|2||3\\T\\3||B|||||||||||||ACC7^^^H\rPD1|\rMRG|7\rPV1|1|I|W^1^B^HOSP||||||||||||||||V55^^^HOSP\r"
    )
    assert envelope.patient_ids == (
        PatientId("1", "HOSP", "MR", "1.9", "ISO", 1),
        PatientId("2", "STATE", "SS", "", "", 1),
        PatientId("3&3", "", "", "", "", 2),
    )
    assert envelope.merge_ids == (
        PatientId("9", "HOSP", "MR", group=1), PatientId("8", "", "", group=1), PatientId("7", "", "", group=2),
    )  # fmt: skip
    assert (envelope.account_number, envelope.visit_number) == ("ACC7", "V55")
    assert envelope.visit_location == ("W", "1", "B", "HOSP")


@pytest.mark.parametrize("number", [9, 10, 11, 12])
@pytest.mark.parametrize("empty", [b"", b'""', b"  ", b"^"])
def test_an_empty_required_field_is_a_fault_that_names_it(number, empty):
    fields = HEADER.split(b"|")
    fields[number - 1] = empty
    envelope = read_envelope(b"|".join(fields) + b"PID|1||4711\r")
    assert envelope.fault is not None
    assert (envelope.fault.code, envelope.fault.location, envelope.fault.ack_code) == ("101", f"MSH-{number}", "AE")
    assert [one.value for one in envelope.patient_ids] == ["4711"]


def test_an_empty_control_id_is_echoed_as_nothing():
    assert read_envelope(HEADER.replace(b"MSG1", b"")).control_id == ""


def test_which_fields_are_required_can_be_set():
    assert read_envelope(HEADER.replace(b"|P^T|", b"||"), required=(9, 10, 12)).fault is None


@pytest.mark.parametrize(
    ("data", "code", "location"),
    [
        (b"", "100", "MSH"),
        (b"GET / HTTP/1.1\r\n", "100", "MSH"),
        (b"\x00\xff\xfe\x80", "100", "MSH"),
        (b"PID|1\r" + HEADER, "100", "MSH"),
        (b"MSH", "102", "MSH-1"),
        (b"MSH|", "102", "MSH-2"),
        (b"MSH|^~\\&", "101", "MSH-9"),
        (HEADER + b"PIDX|1\r", "100", ""),
        (HEADER + b"free text\r", "100", ""),
    ],
)
def test_garbage_gives_an_envelope_with_a_fault_and_no_exception(data, code, location):
    fault = read_envelope(data).fault
    assert fault is not None
    assert (fault.code, fault.location, fault.ack_code, fault.severity) == (code, location, "AE", "E")


def test_a_fault_never_shows_what_the_message_said():
    assert "SECRET" not in repr(read_envelope(HEADER + b"SECRETNAME was here\r").fault)


def test_the_body_hash_leaves_out_msh_7_and_nothing_else():
    later = HEADER.replace(b"20261120081500+0100", b"20261120081730+0100")
    other = HEADER.replace(b"LAB", b"LAC")
    assert read_envelope(HEADER).body_hash == read_envelope(later).body_hash
    assert read_envelope(HEADER).body_hash != read_envelope(other).body_hash
    assert read_envelope(HEADER + b"PID|1\r").body_hash != read_envelope(later + b"PID|2\r").body_hash
    assert len(read_envelope(HEADER).body_hash) == 32
    assert read_envelope(b"x|1|2|3|4|5|a|7").body_hash != read_envelope(b"x|1|2|3|4|5|b|7").body_hash


def test_moving_a_separator_into_msh_7_changes_the_hash():
    one = HEADER.replace(b"CLINIC|20261120081500+0100||", b"CLINIC|||X")
    two = HEADER.replace(b"CLINIC|20261120081500+0100||", b"CLINIC||X|")
    assert read_envelope(one).body_hash != read_envelope(two).body_hash


def test_wide_text_has_the_same_hash_rule():
    one, two = (HEADER.replace(b"0815", time).decode().encode("utf-16") for time in (b"0815", b"0917"))
    assert read_envelope(one).body_hash == read_envelope(two).body_hash
    assert read_envelope(one).control_id == "MSG1"


def test_batches_are_recognised_and_not_judged():
    batch = read_envelope(b"FHS|^~\\&|A|B|||||||F1\rBHS|^~\\&|||HUB||2026||||B1\r" + HEADER + b"BTS|1\rFTS|1\r")
    assert batch.is_batch and batch.fault is None
    assert (batch.sending_application, batch.receiving_application, batch.control_id) == (("A",), ("HUB",), "B1")
    in_a_row = read_envelope(HEADER + b"PID|1\r" + HEADER.replace(b"MSG1", b""))
    assert in_a_row.is_batch and in_a_row.fault is None


@pytest.mark.parametrize("event", [b"ACK", b"ACK^A01^ACK", b"MCF"])
def test_acknowledgements_are_recognised_so_that_they_are_never_answered(event):
    assert read_envelope(HEADER.replace(b"ADT^A01^ADT_A01", event)).is_ack
    assert read_envelope(HEADER.replace(b"ADT^A01^ADT_A01", b"RSP^K22") + b"MSA|AA|1\r").is_ack
    assert not read_envelope(HEADER).is_ack


def test_the_charset_of_msh_18_or_of_the_source_is_used_for_identifiers():
    data = HEADER.rstrip() + b"||UNICODE UTF-8\rPID|1||J\xc3\xa4\r"
    assert read_envelope(data).patient_ids[0].value == "Jä"
    assert read_envelope(data, charset="8859/1").patient_ids[0].value == "JÃ¤"


def test_a_flood_of_identifiers_is_refused_not_cut_silently():
    def with_ids(count: int) -> bytes:
        return HEADER + b"PID|1||" + b"~".join([b"a"] * count) + b"\r"

    assert read_envelope(with_ids(ENVELOPE_IDENTIFIERS_MAX)).fault is None
    fault = read_envelope(with_ids(ENVELOPE_IDENTIFIERS_MAX + 1)).fault
    assert fault is not None
    assert (fault.code, fault.location) == ("102", "PID-3")


def test_custom_delimiters_are_followed():
    envelope = read_envelope(b"MSH#@$!%#A#B#C#D#2026##ADT@A08#77#P#2.3\rPID#1##5@@@H%1.2@MR$6\r")
    assert (envelope.trigger_event, envelope.control_id) == ("A08", "77")
    assert [one.authority_universal_id for one in envelope.patient_ids] == ["1.2", ""]


def test_a_flood_of_segments_is_refused_before_they_are_read():
    fault = read_envelope(HEADER + b"NTE\r" * SEGMENTS_MAX + b"bad").fault
    assert fault is not None
    assert (fault.code, fault.text) == ("100", f"more than {SEGMENTS_MAX} segments")
    assert read_envelope(HEADER + b"\r" * SEGMENTS_MAX + b"PID|1||4711\r").patient_ids[0].value == "4711"


def test_no_text_of_an_envelope_holds_nul_or_undecodable_bytes_but_the_header_keeps_them():
    envelope = read_envelope(HEADER.replace(b"MSG1", b"M\x00\x811") + b"PID|1||a\x00b\r")
    assert envelope.control_id == "M\\X0081\\1"
    assert envelope.patient_ids[0].value == "a\\X00\\b"
    assert envelope.header[10] == "M\x00\udc811"
