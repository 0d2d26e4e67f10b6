"""Which events an endpoint wants, as conditions that can be told."""

from uuid import UUID

import pytest

from chartwire.core.errors import ValidationError
from chartwire.core.fhir_ids import store_id
from chartwire.core.ids import to_prefixed
from chartwire.delivery import catalogue
from chartwire.delivery.filters import Facts, check_filters, compiled, references_in
from chartwire.delivery.settings import Filters
from chartwire.events.outbox import Event

WARD = UUID(int=5)


def event(name: str = "patient.updated", kind: str = "Patient", changed: tuple[str, ...] = ("telecom",)) -> Event:
    return Event(name, kind, UUID(int=1), 1, None, changed, None, "live")


@pytest.mark.parametrize(
    ("filters", "taken"),
    [
        (Filters(), True),
        (Filters(changed=("phone",)), True),
        (Filters(changed=("telecom",)), True),
        (Filters(changed=("birth_date", "emails")), True),
        (Filters(changed=("birth_date",)), False),
        (Filters(resource_types=("patient",)), True),
        (Filters(resource_types=("Appointment", "Patient")), True),
        (Filters(resource_types=("appointment",)), False),
        (Filters(resource_types=("patient",), changed=("birth_date",)), False),
    ],
)
def test_every_list_must_hold_one_word_that_fits(filters: Filters, taken: bool) -> None:
    check_filters(filters)
    assert compiled(("*",), filters).takes(Facts(event())) is taken


def test_an_event_without_changed_fields_fits_no_filter_on_fields() -> None:
    assert not compiled(("*",), Filters(changed=("phone",))).takes(Facts(event("patient.merged", changed=())))


def test_what_costs_a_look_up_is_left_open_until_it_is_looked_up() -> None:
    wanted = compiled(("*",), Filters(locations=(to_prefixed("loc", WARD),)))
    assert wanted.may_take(event()) and wanted.needs("body") and not wanted.needs("source")
    assert not wanted.takes(Facts(event()))
    assert wanted.takes(Facts(event(), references=frozenset({f"Location/{WARD}"})))


def test_an_event_about_the_place_itself_fits_a_filter_on_the_place() -> None:
    own = Event("location.updated", "Location", WARD, 1, None, (), None, "live")
    assert compiled(("*",), Filters(locations=(to_prefixed("loc", WARD),))).takes(Facts(own))


def test_references_are_found_wherever_they_stand() -> None:
    body = '{"participant":[{"actor":{"reference":"Location/a"}}],"location":[{"location":{"reference":"Location/b"}}],"x":1}'
    assert references_in(body) == {f"Location/{store_id('a')}", f"Location/{store_id('b')}"}


@pytest.mark.parametrize(
    "filters",
    [
        Filters(resource_types=("Nonsense",)), Filters(sources=("loc_1",)), Filters(locations=("ward 5",)),
        Filters(providers=(to_prefixed("loc", WARD),)),
    ],
)  # fmt: skip
def test_a_word_that_can_never_fit_is_refused_with_the_list_that_holds_it(filters: Filters) -> None:
    with pytest.raises(ValidationError, match="filters"):
        check_filters(filters)


def test_the_catalogue_knows_what_the_record_emits_and_samples_hold_no_person() -> None:
    kinds = catalogue.event_types()
    assert {"patient.updated", "appointment.rescheduled", "result.received", "webhook_endpoint.disabled"} <= set(kinds)
    assert {"*", "appointment.*", "patient.merged"} <= catalogue.patterns()
    assert all(catalogue.sample_event(kind).patient_id is None for kind in kinds.values())
