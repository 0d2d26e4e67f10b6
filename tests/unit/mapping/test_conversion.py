"""What holds for every conversion: determinism, findings, unread fields, bundles, and any input at all."""

import copy
from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.mapping_messages import PID, PV1, adt, convert, message, one
from tests.mapping_soundness import problems, source

from chartwire.core.errors import MappingError, ParseError
from chartwire.formats.hl7v2 import parse, parse_text
from chartwire.mapping import event_of, load_maps, to_bundle

FULL = message(
    "ADT^A01", "EVN|A01|20260105115900-0500", PID, "PD1||||77^GP^ANNA^^^^^^HOSP", "NK1|1|DOE^JOHN|SPO", PV1,
    "AL1|1|DA|PEN^Penicillin", "DG1|1||I10^Hypertension^I10C|||A", "IN1|1|PPO|7|ACME",
)  # fmt: skip


def test_the_shipped_maps_serve_these_events():
    adt = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 24, 28, 29, 31, 34, 37, 40, 60)
    assert load_maps().events == (
        *(f"ADT^A{number:02}" for number in adt),
        *(f"MDM^T{number:02}" for number in range(1, 12)),
        "ORU^R01",
        *(f"SIU^S{number}" for number in (12, 13, 14, 15, 16, 17, 26)),
    )
    assert load_maps().supports("ADT^A01") and not load_maps().supports("VXU^V04")


def test_an_event_without_a_map_is_refused_with_its_field():
    with pytest.raises(MappingError) as refused:
        convert(message("VXU^V04", PID))
    assert (refused.value.code, refused.value.field) == ("event_unsupported", "MSH-9")


def test_the_same_bytes_give_the_same_bundle():
    one_, other = (orjson.dumps(to_bundle(convert(FULL))) for _ in range(2))
    assert one_ == other


def test_no_conversion_changes_another():
    first = convert(FULL)
    before = copy.deepcopy([mapped.body for mapped in first.resources])
    convert(FULL.replace(b"JANE", b"MARY"))
    assert [mapped.body for mapped in first.resources] == before


def test_the_time_of_record_is_evn_2_else_msh_7():
    assert convert(FULL).recorded_at == datetime(2026, 1, 5, 16, 59, tzinfo=UTC)
    assert adt(PID).recorded_at == datetime(2026, 1, 5, 17, tzinfo=UTC)
    assert convert(message("ADT^A01", PID, sent="20260105120000"), timezone=None).recorded_at is None


def test_fields_that_no_rule_read_are_listed_and_set_ids_are_not():
    conversion = adt(
        PID + "||||||||||||||||||||||||||||||||x", "PV1|1|O||||||||||||||||V1|||||||||||||||||||||9", "ZZZ|a||b"
    )
    assert "ZZZ-1" in conversion.unread and "ZZZ-3" in conversion.unread
    assert {"PID-1", "PID-3", "PID-5", "PV1-1", "ZZZ-2", "MSH-10"}.isdisjoint(conversion.unread)
    assert "PV1-39" in conversion.unread


def test_a_finding_names_a_place_and_no_value():
    conversion = adt(PID + "|||||||||||||||||||SECRETCODE", PV1.replace("|O|", "|SECRETCLASS|"))
    assert conversion.findings
    assert "SECRET" not in str(conversion.findings)


def test_every_element_of_a_body_has_a_lineage():
    for mapped in convert(FULL).resources:
        told = {path.partition(".")[0] for path in mapped.lineage}
        assert set(mapped.body) - {"resourceType", "id"} == told
        for path, contributions in mapped.lineage.items():
            element = mapped.body
            for name in path.split("."):
                element = element[name]
            if isinstance(element, list):
                assert sum(count for _, count in contributions) == len(element)


def test_references_in_a_bundle_resolve_and_a_transaction_puts_each_resource():
    bundle = to_bundle(convert(FULL), kind="transaction")
    assert bundle["type"] == "transaction"
    assert {entry["request"]["method"] for entry in bundle["entry"]} == {"PUT"}
    assert problems(convert(FULL)) == []


def test_the_map_version_changes_with_the_maps():
    assert convert(FULL).map_version == load_maps().version
    assert len(load_maps().version) == 16


def test_segments_in_odd_order_find_their_group():
    shuffled = adt("AL1|1|DA|PEN", PV1, PID, "PD1||||77^GP^ANNA")
    assert problems(shuffled) == []
    assert one(shuffled, "AllergyIntolerance").body["patient"] == one(shuffled, "Encounter").body["subject"]


def test_unnamed_delimiters_split_nothing():
    data = b"MSH|^\rPID|||5~6&7^^^HOSP^MR||DOE~X^JANE\r".replace(b"MSH|^", b"MSH|^|E|HOSP|||20260105||ADT^A01|1|P|2.3")
    assert one(convert(data), "Patient").body["name"] == [{"family": "DOE~X", "given": ["JANE"]}]


def test_repetitions_beyond_the_bound_are_left_out_with_a_finding():
    conversion = adt(PID.replace("DOE^JANE^Q", "~".join(f"N{number}" for number in range(1_005))))
    assert len(one(conversion, "Patient").body["name"]) == 1_000
    assert ("too_many_repetitions", "PID-5") in {(finding.code, finding.location) for finding in conversion.findings}


def test_several_patients_in_one_result_leave_a_finding():
    lines = ("OBR|1||F1|X^x^L|||20260105", "OBX|1|NM|A^a^L||1||||||F")
    data = message("ORU^R01", PID, *lines, PID.replace("12345", "222"), *lines)
    conversion = convert(data)
    assert "several_patients" in {finding.code for finding in conversion.findings}
    assert [mapped.body["subject"]["reference"] for mapped in conversion.resources if mapped.type == "Observation"] == [
        f"Patient/{mapped.id}" for mapped in conversion.resources if mapped.type == "Patient"
    ]


LEAF = st.one_of(
    st.sampled_from(
        ['""', "", " ", "12", "20260105", "202613", "M", "NM", "^", "~", "&", r"\F\ ", r"\X00\ ".strip(), r"\X4A\ ".strip(),
         r"\.br\ ".strip(), "F", "C", "1^2^3", "A~B", '""^""', "a&b", "0", "-5", ">9", "D", "I", "N", "S15", "é", "\u2028"]
    ),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n|"), max_size=12),
)  # fmt: skip
FIELD = st.lists(LEAF, min_size=1, max_size=5).flatmap(
    lambda parts: st.sampled_from("^~&").map(lambda mark: mark.join(parts))
)
NAMES = ["PID", "PD1", "NK1", "PV1", "PV2", "AL1", "DG1", "IN1", "IN2", "MRG", "EVN", "ROL", "SCH", "TQ1", "RGS", "AIS",
         "AIG", "AIL", "AIP", "NTE", "ORC", "OBR", "OBX", "SPM", "ZZZ"]  # fmt: skip
SEGMENT = st.builds(
    lambda name, fields: "|".join([name, *fields]), st.sampled_from(NAMES), st.lists(FIELD, max_size=30)
)


@given(
    st.sampled_from(load_maps().events),
    st.lists(SEGMENT, max_size=12),
    st.booleans(),
    st.sampled_from([None, "Asia/Tokyo"]),
)
def test_any_message_becomes_a_sound_conversion_or_a_mapping_error(event, segments, with_patient, timezone):
    text = message(event, *([PID] if with_patient else []), *segments).decode()
    try:
        document = parse_text(text)
    except ParseError:
        return
    for anonymous in (False, True):
        try:
            conversion = load_maps().convert(document, source(timezone=timezone), anonymous=anonymous)
        except MappingError:
            continue
        assert problems(conversion) == []
        orjson.dumps(to_bundle(conversion))


def test_the_event_of_a_message_is_msh_9():
    assert event_of(parse(FULL)) == "ADT^A01"
