"""Index values: what a search by each parameter will find."""

from datetime import UTC, datetime

from chartwire.core.fhir_ids import store_id
from chartwire.record.index import index_values

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_a_patient_is_found_by_number_name_phone_and_birth_date() -> None:
    body = {
        "identifier": [{"system": "urn:h", "value": "A-1", "type": {"coding": [{"code": "MR"}]}}],
        "name": [{"family": "Müller", "given": ["Åsa Maria"]}],
        "birthDate": "1980-01-02",
        "telecom": [{"system": "phone", "value": "+49 (30) 555-0100"}, {"system": "email", "value": "A@B.example"}],
    }
    values = index_values("Patient", body, NOW)
    assert {
        ("identifier", "a-1"), ("identifier", "urn:h|a-1"), ("mrn", "a-1"), ("family", "muller"), ("name", "asa"),
        ("name", "maria"), ("name", "muller"), ("birthdate", "1980-01-02"), ("phone", "49305550100"),
        ("email", "a@b.example"), ("updated", "2026-03-01T12:00:00.000Z"),
    } <= values  # fmt: skip


def test_instants_sort_as_text_whatever_their_offset() -> None:
    early = index_values("Appointment", {"status": "booked", "start": "2026-03-01T09:00:00+02:00"}, NOW)
    late = index_values("Appointment", {"status": "booked", "start": "2026-03-01T08:00:00Z"}, NOW)
    assert ("start", "2026-03-01T07:00:00.000Z") in early
    assert ("start", "2026-03-01T08:00:00.000Z") in late
    assert ("status", "booked") in early


def test_only_references_of_the_wanted_type_are_indexed_by_the_key_of_the_store() -> None:
    whole = "0199fe32-a6a0-7c34-9d52-e24b3bf46c33"
    actors = [f"Patient/{whole}", "Practitioner/d", f"http://elsewhere.example/Patient/{whole}"]
    body = {"status": "booked", "participant": [{"actor": {"reference": one}} for one in actors]}
    values = index_values("Appointment", body, NOW)
    assert {one for one in values if one[0] in {"patient", "provider"}} == {
        ("patient", f"Patient/{whole}"), ("provider", f"Practitioner/{store_id('d')}"),
    }  # fmt: skip
