"""What a change is called."""

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
