"""Element merge: laws that hold for every order of messages, checked against a slow reference."""

import random
from itertools import permutations
from typing import Any
from uuid import uuid4

from hypothesis import given
from hypothesis import strategies as st

from chartwire.mapping.conversion import Mapped
from chartwire.record.lineage import Lineage, Stamp, judge
from chartwire.record.merge import merge

SOURCES = ("adt", "billing")


def told(body: dict[str, Any], fields: dict[str, Any] | None = None, clears: dict[str, str] | None = None) -> Mapped:
    lineage = {path: tuple(parts) for path, parts in (fields or {}).items()}
    return Mapped("Patient", "MR|H|1", uuid4(), {"resourceType": "Patient", **body}, lineage, clears or {})


def stamp(source: str = "adt", recorded: str | None = "2026-01-01T10", rank: int = 10, message: str = "m1") -> Stamp:
    return Stamp(source, message, recorded, rank)


def test_authority_goes_before_time_and_time_before_arrival() -> None:
    assert judge(stamp(rank=20, recorded="2026-01-01"), stamp("billing", "2026-06-01")) == 1
    assert judge(stamp(recorded="2026-01-02"), stamp("billing", "2026-01-03")) == -1
    assert judge(stamp(), stamp()) == 1


def test_only_two_sources_of_equal_rank_and_time_tie() -> None:
    assert judge(stamp(), stamp("billing")) == 0
    assert judge(stamp(recorded=None), stamp("billing")) == 0
    assert judge(stamp(recorded=None), stamp()) == 1


def test_values_of_one_choice_replace_each_other() -> None:
    first = merge({}, Lineage(), _observed({"valueQuantity": {"value": 7}}), stamp())
    second = merge(first.body, first.lineage, _observed({"valueString": "haemolysed"}), stamp(recorded="2026-01-02"))
    assert second.body["valueString"] == "haemolysed"
    assert "valueQuantity" not in second.body
    third = merge(
        second.body, second.lineage, _observed({"dataAbsentReason": {"text": "unknown"}}), stamp(recorded="3")
    )
    assert "valueString" not in third.body


def _observed(value: dict[str, Any]) -> Mapped:
    return Mapped("Observation", "k", uuid4(), {"resourceType": "Observation", "status": "final", **value})


def test_an_object_whose_children_come_from_different_fields_merges_child_by_child() -> None:
    def visit(period: dict[str, str]) -> Mapped:
        return Mapped("Encounter", "k", uuid4(), {"resourceType": "Encounter", "period": period})

    first = merge({}, Lineage(), visit({"start": "2026-01-01"}), stamp())
    second = merge(first.body, first.lineage, visit({"end": "2026-01-05"}), stamp(recorded="2026-01-05"))
    assert second.body["period"] == {"start": "2026-01-01", "end": "2026-01-05"}


def test_items_of_another_source_stay_and_equal_items_stand_once() -> None:
    first = merge({}, Lineage(), told({"telecom": ["a", "b"]}, {"telecom": [("PID-13", 2)]}), stamp())
    other = stamp("billing", "2026-01-02")
    second = merge(first.body, first.lineage, told({"telecom": ["b", "c"]}, {"telecom": [("PID-13", 2)]}), other)
    assert second.body["telecom"] == ["b", "c", "a"]
    third = merge(
        second.body,
        second.lineage,
        told({"telecom": ["d"]}, {"telecom": [("PID-13", 1)]}),
        stamp(recorded="2026-01-03"),
    )
    assert third.body["telecom"] == ["d", "b", "c"]


def test_a_barred_element_is_left_alone() -> None:
    first = merge({}, Lineage(), told({"gender": "female"}), stamp())
    second = merge(first.body, first.lineage, told({"gender": "male"}), stamp(recorded="2026-02-01"), barred=["gender"])
    assert second.changed == []
    assert second.body["gender"] == "female"


def test_a_preceding_extension_member_goes_with_its_element() -> None:
    first = merge({}, Lineage(), told({"birthDate": "1980-01-02", "_birthDate": {"extension": [1]}}), stamp())
    second = merge(first.body, first.lineage, told({"birthDate": "1980-01-03"}), stamp(recorded="2026-01-02"))
    assert second.body == {"birthDate": "1980-01-03"}


def test_lineage_survives_its_text_form() -> None:
    merged = merge(
        {},
        Lineage(),
        told({"gender": "male", "telecom": ["a"]}, {"telecom": [("PID-13", 1)]}, {"birthDate": "PID-7"}),
        stamp(),
    )
    assert Lineage.read(merged.lineage.write()).parts == merged.lineage.parts


# A slow reference: keep every word ever said, and pick by the rules at the end. ---------------------------------------

words = st.fixed_dictionaries(
    {
        "gender": st.sampled_from([None, "", "female", "male", "other"]),
        "telecom": st.sampled_from([None, "", "a", "b", "ab"]),
        "minute": st.integers(0, 5),
    }
)


def _say(word: dict[str, Any], number: int) -> tuple[Mapped, Stamp]:
    body: dict[str, Any] = {}
    clears: dict[str, str] = {}
    fields: dict[str, Any] = {}
    for path, source_field in (("gender", "PID-8"), ("telecom", "PID-13")):
        value = word[path]
        if value == "":
            clears[path] = source_field
        elif value is not None:
            body[path] = list(value) if path == "telecom" else value
            fields[path] = [(source_field, len(value) if path == "telecom" else 1)]
    return told(body, fields, clears), stamp(recorded=f"2026-01-01T10:0{word['minute']}", message=f"m{number}")


def _reference(said: list[dict[str, Any]], path: str) -> Any:
    """The word of the latest minute; within one minute the one that arrived last."""
    spoken = [(word["minute"], number, word[path]) for number, word in enumerate(said) if word[path] is not None]
    return max(spoken)[2] if spoken else None


@given(st.lists(words, min_size=1, max_size=7))
def test_one_source_ends_at_its_latest_word_in_every_order_of_arrival(said: list[dict[str, Any]]) -> None:
    body: dict[str, Any] = {}
    lineage = Lineage()
    for number, word in enumerate(said):
        mapped, word_stamp = _say(word, number)
        merged = merge(body, lineage, mapped, word_stamp)
        body, lineage = merged.body, Lineage.read(merged.lineage.write())
    assert body.get("gender") == (_reference(said, "gender") or None)
    assert body.get("telecom", []) == list(_reference(said, "telecom") or "")


def test_distinct_times_make_the_order_of_arrival_immaterial() -> None:
    said = [
        {"gender": "female", "telecom": "ab", "minute": 1},
        {"gender": "", "telecom": None, "minute": 2},
        {"gender": "male", "telecom": "b", "minute": 3},
        {"gender": None, "telecom": "", "minute": 4},
    ]
    random.Random(7).shuffle(said)
    ends = set()
    for order in permutations(said):
        body: dict[str, Any] = {}
        lineage = Lineage()
        for number, word in enumerate(order):
            merged = merge(body, lineage, *_say(word, number))
            body, lineage = merged.body, merged.lineage
        ends.add(str(sorted(body.items())))
    assert ends == {"[('gender', 'male')]"}


def test_a_list_that_several_fields_cleared_loses_the_items_of_each() -> None:
    home, work = {"value": "1"}, {"value": "2"}
    first = merge({}, Lineage(), told({"telecom": [home, work]}, {"telecom": [("PID-13", 1), ("PID-14", 1)]}), stamp())
    later = stamp(recorded="2026-01-02")
    assert "telecom" not in merge(first.body, first.lineage, told({}, {}, {"telecom": "PID-13 PID-14"}), later).body
    assert merge(first.body, first.lineage, told({}, {}, {"telecom": "PID-13"}), later).body["telecom"] == [work]
