"""api/rest/practice.py: FHIR bodies as the objects of the practice API."""

import json
from datetime import UTC, datetime
from uuid import UUID

import msgspec

from chartwire.api.rest import models, practice
from chartwire.core.ids import to_prefixed, uuid7
from chartwire.record.read import Stored

AT = datetime(2026, 11, 20, 8, 15, tzinfo=UTC)
ONE = UUID("01987654-3210-7000-8000-000000000001")


def stored(**body):
    return Stored(ONE, 7, AT, False, None, None, "feed:x", json.dumps(body))


def test_a_patient_of_nothing_but_an_id_has_every_member_and_invents_nothing():
    told = msgspec.to_builtins(practice.patient(stored()))
    assert set(told) == {field.encode_name for field in msgspec.structs.fields(models.Patient)}
    assert (told["name"], told["birth_date"], told["gender"], told["mrn"], told["deceased"]) == (None,) * 5
    assert (told["status"], told["version"], told["updated_at"]) == ("active", 7, "2026-11-20T08:15:00.000Z")
    assert told["created_at"] == "2025-08-04T18:24:46.096Z"


def test_the_mrn_is_the_identifier_of_type_mr_else_pi():
    def identifier(kind, value):
        return {"type": {"coding": [{"code": kind}]}, "value": value}

    both = practice.patient(stored(identifier=[identifier("SS", "1"), identifier("PI", "2"), identifier("MR", "3")]))
    one = practice.patient(stored(identifier=[identifier("SS", "1"), identifier("PI", "2")]))
    none = practice.patient(stored(identifier=[identifier("SS", "1"), {"type": {}, "value": "4"}, {"system": "x"}]))
    assert (both.mrn, one.mrn, none.mrn) == ("3", "2", None)
    assert len(none.identifiers) == 2


def test_the_official_name_is_the_name_and_its_text_is_built_when_none_came():
    names = [
        {"use": "maiden", "family": "Old"},
        {"use": "official", "family": "New", "given": ["A", "B"], "prefix": ["Dr"]},
    ]
    assert practice.patient(stored(name=names)).name.text == "Dr A B New"
    assert practice.patient(stored(name=[{"text": "Mononym"}])).name.text == "Mononym"


def test_merged_wins_over_inactive_and_names_the_survivor():
    survivor = uuid7()
    told = practice.patient(stored(active=False), survivor)
    assert (told.status, told.merged_into) == ("merged", to_prefixed("pat", survivor))
    assert practice.patient(stored(active=False)).status == "inactive"


def test_telecoms_are_told_apart_and_other_systems_left_out():
    telecom = [
        {"system": "phone", "value": "1", "use": "home"},
        {"system": "email", "value": "a@b"},
        {"system": "url", "value": "x"},
        {"system": "phone"},
    ]
    told = practice.patient(stored(telecom=telecom))
    assert [(one.number, one.use) for one in told.phones] == [("1", "home")]
    assert [one.address for one in told.emails] == ["a@b"]


def test_a_provider_named_without_identifier_is_shown_but_has_no_id():
    participants = [
        {"actor": {"type": "Practitioner", "display": "Dr Welby"}},
        {"actor": {"reference": f"Patient/{ONE}"}},
    ]
    told = practice.appointment(stored(status="booked", participant=participants))
    assert told.provider_ids == []
    assert [(one.id, one.name) for one in told.providers] == [(None, "Dr Welby")]
    assert told.patient_id == to_prefixed("pat", ONE)


def test_a_start_that_is_only_a_day_is_no_instant():
    told = practice.appointment(stored(status="booked", start="2026-11-20"))
    assert (told.starts_at, told.local_start, told.timezone) == (None, "2026-11-20", None)


def test_an_offset_that_the_source_wrote_is_kept_as_local_time_beside_utc():
    told = practice.appointment(stored(status="booked", start="2026-11-20T09:30:00-05:00"))
    assert (told.starts_at, told.local_start) == ("2026-11-20T14:30:00.000Z", "2026-11-20T09:30:00-05:00")


def test_fhir_statuses_read_in_the_words_of_a_practice():
    pairs = {
        "checked-in": "checked_in",
        "noshow": "no_show",
        "proposed": "booked",
        "entered-in-error": "entered_in_error",
    }
    assert {told: practice.appointment(stored(status=told)).status for told in pairs} == pairs


def test_an_npi_is_known_by_its_system_or_its_type():
    by_system = {"system": "http://hl7.org/fhir/sid/us-npi", "value": "1"}
    by_type = {"type": {"coding": [{"code": "NPI"}]}, "value": "2"}
    assert practice.provider(stored(identifier=[by_type, by_system])).npi == "1"
    assert practice.provider(stored(identifier=[by_type])).npi == "2"
