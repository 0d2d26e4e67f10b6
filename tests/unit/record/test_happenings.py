"""What a change is called."""

from typing import Any

import pytest

from chartwire.record.happenings import event_types

BOOKED = {"status": "booked", "start": "2026-03-01T09:00:00Z"}


@pytest.mark.parametrize(
    ("resource_type", "old", "new", "types"),
    [
        ("Patient", None, {}, ["patient.created"]),
        ("Patient", {}, {"gender": "male"}, ["patient.updated"]),
        ("Appointment", None, BOOKED, ["appointment.booked"]),
        ("Appointment", BOOKED, {**BOOKED, "start": "2026-03-02T09:00:00Z"}, ["appointment.rescheduled"]),
        ("Appointment", BOOKED, {**BOOKED, "status": "cancelled"}, ["appointment.cancelled"]),
        ("Appointment", BOOKED, {**BOOKED, "description": "x"}, ["appointment.updated"]),
        (
            "Appointment",
            {**BOOKED, "status": "cancelled"},
            {"status": "booked", "start": "2026-03-02T09:00:00Z"},
            ["appointment.booked", "appointment.rescheduled"],
        ),
        ("DiagnosticReport", None, {"status": "final"}, ["result.received"]),
        ("DiagnosticReport", {"status": "preliminary"}, {"status": "final"}, ["result.final"]),
        ("Observation", {"status": "final"}, {"status": "entered-in-error"}, ["observation.withdrawn", "result.withdrawn"]),
    ],
)  # fmt: skip
def test_a_change_has_its_name(
    resource_type: str, old: dict[str, str] | None, new: dict[str, str], types: list[str]
) -> None:
    assert event_types(resource_type, old, new) == types


HERE = {"status": "in-progress", "location": [{"location": {"reference": "Location/1"}, "status": "active"}]}
THERE = {"status": "in-progress", "location": [{"location": {"reference": "Location/2"}, "status": "active"}]}
ENDED = {"status": "finished"}


@pytest.mark.parametrize(
    ("trigger", "old", "new", "types"),
    [
        ("ADT^A01", None, HERE, ["encounter.created", "encounter.admitted"]),
        ("ADT^A02", HERE, THERE, ["encounter.transferred"]),
        ("ADT^A03", HERE, ENDED, ["encounter.discharged"]),
        ("ADT^A12", THERE, HERE, ["encounter.transfer_cancelled"]),
        ("ADT^A13", ENDED, HERE, ["encounter.discharge_cancelled"]),
        ("ADT^A11", HERE, {"status": "cancelled"}, ["encounter.cancelled"]),
        ("ADT^A13", HERE, {**HERE, "length": {}}, ["encounter.updated"]),
    ],
)
def test_a_cancellation_has_its_own_word_only_where_it_brought_something_back(
    trigger: str, old: dict[str, Any] | None, new: dict[str, Any], types: list[str]
) -> None:
    assert event_types("Encounter", old, new, trigger) == types


def test_a_patient_who_becomes_inactive_is_told_once() -> None:
    assert event_types("Patient", {"active": True}, {"active": False}) == ["patient.deactivated"]
    assert event_types("Patient", {"active": False}, {"active": False, "gender": "male"}) == ["patient.updated"]
