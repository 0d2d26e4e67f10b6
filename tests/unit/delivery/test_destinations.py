"""Which events an endpoint asks for."""

import pytest

from chartwire.delivery.destinations import matches


@pytest.mark.parametrize(
    ("patterns", "event_type", "wanted"),
    [
        (["*"], "patient.merged", True),
        (["patient.merged"], "patient.merged", True),
        (["appointment.*"], "appointment.rescheduled", True),
        (["appointment.*", "patient.merged"], "patient.merged", True),
        (["appointment.*"], "patient.merged", False),
        (["patient.merge"], "patient.merged", False),
        ([], "patient.merged", False),
    ],
)
def test_an_endpoint_takes_events_by_name_family_or_all(patterns: list[str], event_type: str, wanted: bool) -> None:
    assert matches(patterns, event_type) is wanted
