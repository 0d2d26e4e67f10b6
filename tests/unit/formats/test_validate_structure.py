"""The order of segments: one clear report a fault, whatever the structure, in linear time."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chartwire.formats.hl7v2.validate.dictionary import version_of
from chartwire.formats.hl7v2.validate.structure import Structure, read_grammar

V251 = version_of("2.5.1")
STRUCTURES = {
    name: Structure(name, V251.structure(name))
    for name in ("ADT_A01", "ORU_R01", "ORM_O01", "SIU_S12", "ADT_A39", "RSP_K11")
}


def told(structure, segments):
    return [(one.kind, one.place, *one.names) for one in STRUCTURES[structure].check(segments.split())]


@pytest.mark.parametrize(
    ("structure", "segments"),
    [
        ("ADT_A01", "MSH EVN PID PV1"),
        ("ADT_A01", "MSH SFT SFT EVN PID PD1 NK1 NK1 PV1 PV2 OBX AL1 AL1 DG1 PR1 ROL PR1 GT1 IN1 IN2 IN1 ACC"),
        ("ORU_R01", "MSH PID NTE PV1 ORC OBR NTE OBX NTE OBX SPM OBX OBR OBX PID OBR"),
        ("ORM_O01", "MSH PID PV1 ORC OBR OBX ORC RXO ORC"),
        ("SIU_S12", "MSH SCH PID PV1 RGS AIS NTE AIG AIL AIP RGS AIL"),
        ("ADT_A39", "MSH EVN PID MRG PID PD1 MRG PV1"),
    ],
)
def test_what_a_structure_allows_is_sound(structure, segments):
    assert told(structure, segments) == []


@pytest.mark.parametrize(
    ("structure", "segments", "expected"),
    [
        ("ADT_A01", "MSH EVN PID", [("missing_at_end", 2, "PV1")]),
        ("ADT_A01", "MSH PID PV1", [("missing", 1, "EVN")]),
        ("ADT_A01", "MSH", [("missing_at_end", 0, "EVN", "PID", "PV1")]),
        ("ADT_A01", "MSH EVN PID PID PV1", [("repeats", 3, "PID")]),
        ("ADT_A01", "MSH EVN PID PV1 NTE", [("unexpected", 4, "NTE")]),
        ("ORU_R01", "MSH PID ORC OBX", [("missing", 3, "OBR")]),
        ("SIU_S12", "MSH SCH RGS AIP AIG", [("order", 4, "AIG")]),
        ("RSP_K11", "MSH MSA QAK ERR QPD PID ORC RXA", [("order", 3, "ERR")]),
        ("ORM_O01", "MSH ORC DG1 RXO", [("missing", 2, "OBR or RQD or RQ1 or RXO or ODS or ODT"), ("order", 3, "RXO")]),
    ],
)
def test_each_fault_is_told_once_with_the_segment_it_shows_at(structure, segments, expected):
    assert told(structure, segments) == expected


def test_a_segment_that_stands_elsewhere_is_out_of_order_and_not_missing_as_well():
    assert told("ADT_A01", "MSH PID EVN PV1") == [("order", 2, "EVN")]


def test_many_of_one_fault_are_one_report_that_counts_them():
    (one,) = STRUCTURES["ADT_A01"].check(["MSH", "EVN", "PID", "PV1", *["NTE"] * 500])
    assert (one.kind, one.place, one.times) == ("unexpected", 4, 500)


def test_local_segments_may_stand_anywhere():
    assert told("ADT_A01", "MSH ZAA EVN ZAA PID PV1 ZBB") == []


@st.composite
def sound_orders(draw, name):
    """Segments in an order that the structure allows, drawn from its tree."""

    def words(node):
        times = draw(st.integers(int(node.required), 3 if node.repeats else 1))
        found = []
        for _ in range(times):
            if not node.children:
                found.append(node.name)
            elif node.choice:
                found += words(draw(st.sampled_from(node.children)))
            else:
                for child in node.children:
                    found += words(child)
        return found

    return words(read_grammar(V251.structure(name)))


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_every_order_that_a_structure_can_make_is_sound(data):
    name = data.draw(st.sampled_from(sorted(STRUCTURES)))
    order = data.draw(sound_orders(name))
    assert STRUCTURES[name].check(order) == []


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_leaving_out_a_required_segment_or_moving_one_is_always_told(data):
    name = data.draw(st.sampled_from(["ADT_A01", "ADT_A39"]))
    order = data.draw(sound_orders(name))
    required = data.draw(st.sampled_from(["EVN", "PID", *(["PV1"] if name == "ADT_A01" else ["MRG"])]))
    assert STRUCTURES[name].check([segment for segment in order if segment != required])


@given(st.lists(st.sampled_from(sorted(STRUCTURES["ORU_R01"].segments | {"ZZZ", "XXX"})), max_size=60))
@settings(max_examples=60, deadline=None)
def test_any_order_at_all_has_a_bounded_number_of_reports(names):
    reports = STRUCTURES["ORU_R01"].check(["MSH", *names])
    assert len(reports) <= 3 * len(set(names)) + 3
    assert all(0 <= one.place <= len(names) for one in reports)


def test_hostile_repetition_is_read_without_going_back():
    """Each order of this pattern can be read in several ways: trying them one after the other would never end."""
    pattern = ["ORC", "OBR", "NTE", "OBX", "NTE", "OBX", "SPM", "OBX", "NTE", "PID", "OBX"]
    assert [one.times for one in STRUCTURES["ORU_R01"].check(["MSH", *pattern * 5000])] == [5000, 5000]
