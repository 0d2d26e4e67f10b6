"""The validator: every rule has a message that breaks it, with the place; good messages break none."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chartwire.core.errors import ParseError
from chartwire.formats.hl7v2 import parse
from chartwire.formats.hl7v2.escapes import DEFAULT_DELIMITERS, Delimiters
from chartwire.formats.hl7v2.validate import Validator, rules
from chartwire.formats.hl7v2.validate.dictionary import Part, version_of
from chartwire.formats.hl7v2.validate.fields import FieldCheck, Form
from chartwire.formats.hl7v2.validate.issues import Findings, Place

MSH = "MSH|^~\\&|ADM|HOSP|HUB|CW|20260301120000||{event}|C1|P|{version}"
EVN = "EVN||20260301120000"
PID = "PID|1||100^^^HOSP^MR||Weber^Anna||19800102|F"
PV1 = "PV1|1|I|W3^312^A"
VALIDATOR = Validator()


def message(*segments, event="ADT^A01^ADT_A01", version="2.5.1", msh=None):
    return "\r".join([msh or MSH.format(event=event, version=version), *segments, ""]).encode()


def found(data, validator=VALIDATOR):
    return [(issue.rule, issue.location) for issue in validator.check(parse(data))]


def observation(kind, value, **others):
    return message("PID|1||1^^^H^MR||A^B", "OBR|1|||1^Na^L", f"OBX|1|{kind}|1^Na^L||{value}||||||F",
                   event="ORU^R01^ORU_R01", **others)  # fmt: skip


GOOD = {
    "admission": message(EVN, PID, PV1),
    "with the identifiers of two authorities": message(
        EVN, "PID|1||1^^^A^MR~2^^^B&1.2.3&ISO^SS||Weber^Anna~W^A^^^^^M||1980|F|||1 High St^^Bern^BE^3000^CHE^H", PV1
    ),
    "a discharge of 2.3": message("EVN|A03|20260301120000", "PID|1||1^^^A^MR||W^A", PV1, event="ADT^A03", version="2.3"),
    "a merge": message(EVN, "PID|1||1^^^A^MR||W^A", "MRG|2^^^A^MR", event="ADT^A40^ADT_A39"),
    "results": message("PID|1||1^^^H^MR||A^B", "ORC|RE", "OBR|1||F1|1^Na^L|||202603011200",
                       "OBX|1|NM|1^Na^L||5.4|mmol/L|3-6|N|||F", "OBX|2|ST|2^x^L||free text||||||F",
                       "OBX|3|CWE|3^y^L||A^Alpha^L~B^Beta^L||||||F", "OBX|4|TS|4^z^L||20260301||||||F",
                       event="ORU^R01^ORU_R01"),
    "an appointment of 2.4": message("SCH|1|2||||R^Routine^L|||||^^15^202603011200|||||P^Q||||P^Q|||||Booked",
                                     "PID|1||1^^^A^MR||W^A", "RGS|1", "AIS|1||X^Y^L", "AIP|1||9^Q^R|A^B^L",
                                     event="SIU^S12^SIU_S12", version="2.4"),
    "an answer": message("MSA|AA|C1", event="ACK"),
    "a value that was cleared": message(EVN, 'PID|1||1^^^A^MR||W^A||""|F|||""', PV1),
    "escape sequences": message(EVN, "PID|1||1^^^A^MR||W\\T\\Sons^\\X41\\nna \\.br\\", PV1),
    "a 2.8 message with CWE": message(EVN, "PID|1||1^^^A^MR||W^A||1980|F^Female^HL70001", "PV1||I", version="2.8.2"),
    "no version of its own but 2.7.1": message(EVN, "PID|1||1^^^A^MR||W^A", PV1, version="2.7.1"),
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_nothing_is_wrong_with(name):
    assert found(GOOD[name]) == []


BROKEN = {
    "version_missing": (message(EVN, PID, PV1, version=""), "MSH-12"),
    "version_unknown": (message(EVN, PID, PV1, version="2.5.7"), "MSH-12"),
    "message_type_missing": (message(EVN, PID, PV1, event="ADT"), "MSH-9"),
    "structure_unknown": (message(EVN, PID, PV1, event="ADT^A99"), "MSH-9"),
    "structure_differs": (message(EVN, PID, PV1, event="ADT^A01^ADT_A02"), "MSH-9.3"),
    "control_id_missing": (message(EVN, PID, PV1, msh=MSH.format(event="ADT^A01^ADT_A01", version="2.5.1").replace("C1", "")), "MSH-10"),
    "charset_unknown": (message(EVN, PID, PV1, version="2.5.1||||||KLINGON"), "MSH-18"),
    "charset_undeclared": (message(EVN, "PID|1||1^^^A^MR||Müller^A", PV1), "MSH-18"),
    "charset_differs": (message(EVN, PID, PV1, version="2.5.1||||||UNICODE UTF-16"), "MSH-18"),
    "nul": (message(EVN, "PID|1||1^^^A^MR||W\x00^A", PV1), "PID-5"),
    "undecodable_bytes": (message(EVN, PID, PV1, version="2.5.1||||||UNICODE UTF-8").replace(b"Weber", b"W\xc3\xa4\xff"), "PID-5"),
    "delimiters_repeated": (message(EVN, PID, PV1).replace(b"|^~\\&|", b"|^~\\\\&|"), "MSH-2"),
    "segment_missing": (message(PID, PV1), "PID"),
    "segment_missing_at_end": (message(EVN, PID), "PID"),
    "segment_unexpected": (message(EVN, PID, PV1, "SCH|1|2||||R^R^L||||^^15^202603011200||||||P^Q||||P^Q"), "SCH"),
    "segment_unknown": (message(EVN, PID, PV1, "QQQ|1"), "QQQ"),
    "segment_order": (message(PID, EVN, PV1), "EVN"),
    "segment_repeats": (message(EVN, PID, PV1, PV1), "PV1(2)"),
    "segment_local": (message(EVN, PID, PV1, "ZPV|1"), "ZPV"),
    "segment_empty": (message(EVN, PID, PV1, "PV2|||"), "PV2"),
    "field_required": (message(EVN, PID, "PV1|1"), "PV1-2"),
    "field_repeats": (message(EVN, PID.replace("|F", "|F~M"), PV1), "PID-8"),
    "field_unexpected": (message("EVN||20260301120000||||||x", PID, PV1), "EVN-8"),
    "field_withdrawn": (message("EVN|A01|20260301120000", "PID|1||1^^^A^MR||W^A", PV1, version="2.7"), "EVN-1"),
    "component_required": (message(EVN, "PID|1||1^^^A^MR||W^A", "PV1|1|I|||||||||||||||||^^^A^VN"), "PV1-19.1"),
    "component_unexpected": (message(EVN, PID.replace("|F", "|F^x"), PV1), "PID-8"),
    "component_further": (message(EVN, PID + "||1^2^3^4^5^6^7", PV1), "PID-10"),
    "component_withdrawn": (message(EVN, "PID|1||1^^^A^MR||W^A^^^^MD", PV1, version="2.7"), "PID-5.6"),
    "length_exceeded": (message(EVN, "PID|1||1234567890123456^^^A^MR||W^A", PV1), "PID-3.1"),
    "length_above_conformance": (message(EVN, PID, PV1, version="2.7").replace(b"|C1|", b"|" + b"C" * 200 + b"|"), "MSH-10"),
    "value_not_in_table": (message(EVN, PID + "||||||||||||||||Q", PV1), "PID-24"),
    "value_not_suggested": (message(EVN, PID.replace("|F", "|Q"), PV1), "PID-8"),
    "value_padded": (message(EVN, PID.replace("|F", "|F "), PV1), "PID-8"),
    "escape_unknown": (message(EVN, "PID|1||1^^^A^MR||C:\\temp^A", PV1), "PID-5.1.1"),
    "datatype_NM": (observation("NM", "<5"), "OBX-5"),
    "datatype_SI": (message(EVN, PID.replace("PID|1", "PID|one"), PV1), "PID-1"),
    "datatype_DT": (observation("DT", "2026-03-01"), "OBX-5"),
    "datatype_TM": (observation("TM", "noon"), "OBX-5"),
    "datatype_DTM": (message("EVN||yesterday", PID, PV1), "EVN-2"),
    "date_impossible": (message("EVN||20260231", PID, PV1), "EVN-2"),
    "value_type_missing": (observation("", "5"), "OBX-5"),
    "value_type_unknown": (observation("QQ", "5"), "OBX-2"),
    "identifier_without_authority": (message(EVN, "PID|1||1^^^A^MR~2^^^^MR||W^A", PV1), "PID-3(2).4"),
    "identifier_without_type": (message(EVN, "PID|1||1^^^A||W^A", PV1), "PID-3.5"),
}  # fmt: skip
TOLD_ELSEWHERE = {"unreadable", "control_id_repeats", "answer_negative"}
"""Rules of the harness: tests/unit/channels/test_harness.py."""


@pytest.mark.parametrize("rule", BROKEN)
def test_a_message_breaks(rule):
    data, location = BROKEN[rule]
    assert (rule, location) in found(data)


def test_every_rule_has_a_message_that_breaks_it():
    assert set(rules()) - TOLD_ELSEWHERE == set(BROKEN)


@pytest.mark.parametrize(
    "rule",
    sorted(
        set(BROKEN)
        - {"value_padded", "charset_differs", "charset_unknown", "nul", "undecodable_bytes", "charset_undeclared"}
    ),
)
def test_issues_say_places_and_rules_and_never_a_value_of_the_message(rule):
    for issue in VALIDATOR.check(parse(BROKEN[rule][0])):
        said = issue.text + issue.mend
        assert not any(secret in said for secret in ("Weber", "Anna", "1234567890123456", "temp", "yesterday", "<5"))
        assert issue.mend


def test_places_of_repeated_segments_fields_and_components_are_paths_that_can_be_read():
    data = message("PID|1||1^^^H^MR||A^B", "OBR|1|||1^Na^L", "OBX|1|ST|1^Na^L||a||||||F",
                   "OBX|2|CX|1^Na^L||1^^^A&&ISO^MR~2^^^B&&NOPE^MR||||||F", event="ORU^R01^ORU_R01")  # fmt: skip
    assert ("value_not_in_table", "OBX(2)-5(2).4.3") in found(data)
    assert parse(data).get("OBX(2)-5(2).4.3") == "NOPE"


def test_of_many_issues_that_are_alike_five_are_told_and_the_rest_counted():
    lines = [f"OBX|{n}|NM|1^Na^L||high||||||F" for n in range(1, 41)]
    data = message("PID|1||1^^^H^MR||A^B", "OBR|1|||1^Na^L", *lines, event="ORU^R01^ORU_R01")
    issues = VALIDATOR.check(parse(data))
    assert [issue.location for issue in issues] == ["OBX-5", *(f"OBX({n})-5" for n in range(2, 6))]
    assert issues[-1].text.endswith("(and 35 more like it)")


def test_a_chosen_version_goes_above_the_header():
    data = message("EVN|A01|20260301120000", PID, PV1)
    assert found(data) == []
    assert ("field_withdrawn", "EVN-1") in found(data, Validator(version="2.7"))


def test_an_unknown_version_is_checked_by_the_nearest_lower_one():
    assert version_of("2.5.7").number == "2.5.1"
    assert version_of("2.9").number == "2.8.2"
    assert version_of("1.0").number == "2.1"
    assert version_of("nonsense").number == "2.5.1"


def test_every_delimiter_but_the_usual_ones_is_read_as_well():
    data = message(EVN, PID.replace("|F", "|Q"), PV1).decode().translate(str.maketrans("|^~\\&", "#@*$%")).encode()
    assert found(data) == [("value_not_suggested", "PID-8")]


def test_values_of_types_of_other_versions_are_checked_by_those():
    assert found(observation("CE", "A^Alpha^L", version="2.8")) == []
    assert ("datatype_DTM", "OBX-5") in found(observation("TS", "soon", version="2.8"))


VALUES = st.one_of(
    st.text(alphabet="09AMF", max_size=6),
    st.from_regex(r"(19|20)[0-9]{2}([0-9]{2}){0,5}(\.[0-9]{1,4})?([+-][0-9]{4})?", fullmatch=True),
    st.from_regex(r"[+-]?[0-9]{0,3}\.?[0-9]{0,3}", fullmatch=True),
    st.sampled_from(['""', "", "MR", "HL70001", "ISO", "Y", "N", "2026", "x" * 300, "\\T\\", "\\", "é"]),
)
FIELDS = st.lists(
    st.lists(st.lists(VALUES, min_size=1, max_size=3).map("&".join), min_size=1, max_size=8).map("^".join),
    min_size=1, max_size=3,
).map("~".join)  # fmt: skip


FORMS: dict[tuple[str, Delimiters], Form] = {}


@given(
    st.sampled_from(["2.1", "2.3", "2.5.1", "2.7", "2.8.2"]), st.sampled_from(["PID", "PV1", "OBR", "OBX", "NK1", "SCH", "IN1"]),
    st.integers(0, 50), FIELDS, st.sampled_from([DEFAULT_DELIMITERS, Delimiters("|", "^", "~", "", "")]),
)  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_what_passes_at_once_has_nothing_to_explain(version, segment, number, raw, delimiters):
    parts = version_of(version).segment(segment) or (Part("ST"),)
    check = FieldCheck(
        FORMS.setdefault((version, delimiters), Form(version_of(version), delimiters)), parts[number % len(parts)]
    )
    findings = Findings(version)
    if raw and check.sound(raw):
        check.explain(raw, Place(segment, 1, number % len(parts) + 1), findings)
        assert [(issue.rule, issue.location) for issue in findings.all()] == []


@given(st.binary(max_size=200), st.integers(0, 400))
@settings(max_examples=100, deadline=None)
def test_broken_messages_are_issues_and_never_exceptions(junk, cut):
    data = message(EVN, PID, PV1)
    try:
        document = parse(data[:cut] + junk + data[cut:])
    except ParseError:
        return
    for issue in VALIDATOR.check(document):
        assert issue.rule in rules()
        assert issue.text


def test_a_message_with_faults_everywhere_has_a_bounded_number_of_issues():
    lines = [f"OBX|{n}|NM|1^x||{'~'.join(['high'] * 50)}||||||F" for n in range(500)]
    names = [f"Q{a}{b}|1" for a in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" for b in "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"] * 2
    issues = VALIDATOR.check(parse(message("PID|1", *lines, *names, event="ORU^R01^ORU_R01")))
    assert len(issues) == 1000


def test_a_value_without_its_type_is_one_issue():
    assert found(observation("", "5")) == [("value_type_missing", "OBX-5")]
    assert ("field_required", "OBX-2") not in found(observation("", "5", version="2.3"))
