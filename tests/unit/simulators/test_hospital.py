"""The simulated hospital: repeatable, consistent, and sound HL7 v2."""

from collections import Counter
from datetime import datetime
from itertools import islice
from zoneinfo import ZoneInfo

from tests.mapping_soundness import source

from chartwire.formats.hl7v2 import Document, parse, read_envelope
from chartwire.mapping import load_maps
from simulators.hospital import Hospital, Mix, Outgoing
from simulators.segments import Profile

START = datetime(2026, 11, 20, 7, tzinfo=ZoneInfo("America/Los_Angeles"))
EVENTS = {
    "ADT^A01", "ADT^A02", "ADT^A03", "ADT^A04", "ADT^A05", "ADT^A08", "ADT^A31", "ADT^A40", "MDM^T02", "ORU^R01",
    "SIU^S12", "SIU^S13", "SIU^S14", "SIU^S15", "SIU^S26",
}  # fmt: skip


def day(seed: int = 7, count: int = 1500, mix: Mix | None = None) -> list[Outgoing]:
    return list(islice(Hospital(Profile(), seed=seed, start=START, mix=mix).messages(), count))


def documents(messages: list[Outgoing]) -> list[Document]:
    return [parse(message.data) for message in messages]


def test_the_same_seed_gives_the_same_bytes_and_another_seed_other_people() -> None:
    assert [one.data for one in day(count=200)] == [one.data for one in day(count=200)]
    people = [{one.order_key for one in day(seed, 200)} for seed in (7, 8)]
    assert not people[0] & people[1]


def test_every_message_parses_without_a_finding_and_passes_the_check_before_the_ack() -> None:
    for outgoing, document in zip(messages := day(), documents(messages), strict=True):
        assert not document.findings
        assert read_envelope(outgoing.data).fault is None
        assert document.get("MSH-10") == outgoing.control_id


def test_a_day_has_every_event_in_the_shares_of_the_mix() -> None:
    events = Counter(one.event for one in day())
    assert EVENTS <= set(events) <= EVENTS | {"ADT^A11", "ADT^A12", "ADT^A13"}
    families = Counter(one.event[:3] for one in day())
    assert abs(families["ADT"] / 1500 - 0.60) < 0.05
    assert abs(families["SIU"] / 1500 - 0.25) < 0.04


def test_control_ids_are_unique_and_time_never_goes_back() -> None:
    messages = day()
    assert len({one.control_id for one in messages}) == len(messages)
    assert [one.at for one in messages] == sorted(one.at for one in messages)


def test_a_merged_number_was_registered_before_and_is_not_used_after() -> None:
    seen: set[str] = set()
    ended: set[str] = set()
    for document in documents(day()):
        number = document.get("PID-3.1")
        assert number is not None
        assert number not in ended
        if document.get("MSH-9.2") == "A40":
            loser = document.get("MRG-1.1")
            assert loser in seen
            assert loser != number
            ended.add(loser)
        seen.add(number)
    assert ended


def test_all_messages_of_one_person_carry_one_order_key_also_through_a_merge() -> None:
    keys: dict[str, str] = {}
    for outgoing, document in zip(messages := day(), documents(messages), strict=True):
        for path in ("PID-3.1", "MRG-1.1"):
            number = document.get(path)
            if number:
                assert keys.setdefault(number, outgoing.order_key) == outgoing.order_key


def test_a_visit_number_stays_with_one_patient_number() -> None:
    owner: dict[str, str | None] = {}
    for document in documents(day()):
        visit = document.get("PV1-19.1")
        if visit and document.get("MSH-9.2") != "A40":
            assert owner.setdefault(visit, document.get("PID-3.1")) == document.get("PID-3.1")


def test_a_report_only_moves_forward_and_a_correction_names_a_result_sent_before() -> None:
    stages: dict[str, str] = {}
    results: dict[str, set[tuple[str | None, str | None]]] = {}
    corrected = 0
    for document in documents(day(mix=Mix(0.2, 0.0, 0.8))):
        if document.get("MSH-9.1") != "ORU":
            continue
        filler, stage = document.get("OBR-3.1") or "", document.get("OBR-25") or ""
        assert "PFC".index(stage) >= "PFC".index(stages.get(filler, "P"))
        stages[filler] = stage
        sent = {(obx.value(3), obx.value(4)) for obx in document.all("OBX")}
        if stage == "C":
            corrected += 1
            assert sent <= results[filler]
        results.setdefault(filler, set()).update(sent)
    assert corrected


def test_only_known_appointments_are_changed_and_ended_ones_never_again() -> None:
    booked: set[str | None] = set()
    ended: set[str | None] = set()
    for document in documents(day(mix=Mix(0.2, 0.8, 0.0))):
        if document.get("MSH-9.1") != "SIU":
            continue
        filler, trigger = document.get("SCH-2.1"), document.get("MSH-9.2")
        assert filler not in ended
        assert (filler in booked) == (trigger != "S12")
        booked.add(filler)
        if trigger in {"S15", "S26"}:
            ended.add(filler)
    assert ended


def test_reports_have_as_many_results_as_asked_for_and_else_1_to_30() -> None:
    fixed = [len(one.all("OBX")) for one in documents(day(mix=Mix(0, 0, 1, results=5))) if one.get("OBR-25") == "F"]
    assert set(fixed) <= {5, 8}  # a culture's text takes four OBX
    free = {len(one.all("OBX")) for one in documents(day(mix=Mix(0, 0, 1)))}
    assert min(free) == 1
    assert max(free) >= 30


def test_the_day_has_what_makes_feeds_awkward() -> None:
    everything = documents(day())
    assert {one.charset for one in everything} >= {"utf-8", "latin-1"} or len({one.charset for one in everything}) >= 2
    assert {obx.value(2) for one in everything for obx in one.all("OBX")} == {"NM", "SN", "ST", "TX", "CWE", "ED"}
    assert any(one.first("ZPV") for one in everything)
    assert any("'" in (one.get("PID-5.1") or "") for one in everything)
    assert any(len(one.all("PID")[0].repetitions(3)) > 1 for one in everything)


def test_a_stay_is_moved_ended_and_corrected_only_as_it_stands() -> None:
    """No transfer or discharge before an admission or after a discharge; what is taken back was the last event."""
    last: dict[str, str] = {}
    taken_back = 0
    for document in documents(day(count=4_000)):
        visit, event = document.get("PV1-19.1"), document.get("MSH-9.2")
        if visit is None or event in {None, "A08", "A40"} or document.get("MSH-9.1") != "ADT":
            continue
        before = last.get(visit)
        if event in {"A02", "A03"}:
            assert before not in {None, "A03", "A05", "A11"}
        elif event in {"A11", "A12", "A13"}:
            assert before == {"A11": "A01", "A12": "A02", "A13": "A03"}[event]
            taken_back += 1
        last[visit] = event
    assert taken_back


def test_letters_are_pdf_that_the_maps_read_without_a_finding() -> None:
    letters = [one for one in day() if one.event == "MDM^T02"]
    conversion = load_maps().convert(parse(letters[0].data), source(authority="PORTALDER"))
    assert [content.media_type for content in conversion.contents] == ["application/pdf"]
    assert conversion.findings == []
