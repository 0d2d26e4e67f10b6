"""Searches over the record, each kind of parameter once."""

from decimal import Decimal
from uuid import UUID

import pytest
from tests.integration.record.stored import Shelf

from chartwire.record.search import SearchError
from chartwire.store.pool import Pool

ANNA = {
    "resourceType": "Patient",
    "id": "anna",
    "identifier": [{"system": "urn:mrn", "value": "1001", "type": {"coding": [{"system": "urn:t", "code": "MR"}]}}],
    "name": [{"family": "Müller", "given": ["Anna", "Maria"]}],
    "gender": "female",
    "birthDate": "1980-01-02",
    "active": True,
}
BEN = {
    "resourceType": "Patient",
    "id": "ben",
    "identifier": [{"system": "urn:mrn", "value": "1002"}],
    "name": [{"family": "Weber", "given": ["Ben"]}],
    "gender": "male",
    "birthDate": "1975-06-30",
}


def observation(fhir_id: str, patient: str, code: str, at: str, value: str, **more: object) -> dict[str, object]:
    return {
        "resourceType": "Observation",
        "id": fhir_id,
        "status": "final",
        "category": [{"coding": [{"system": "urn:cat", "code": "laboratory"}]}],
        "code": {"coding": [{"system": "http://loinc.org", "code": code, "display": "Heart rate"}]},
        "subject": {"reference": f"Patient/{patient}"},
        "effectiveDateTime": at,
        "valueQuantity": {"value": Decimal(value), "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"},
        **more,
    }


@pytest.fixture
async def shelf(pool: Pool, org_id: UUID) -> Shelf:
    shelf = Shelf(pool, org_id)
    await shelf.put(ANNA, BEN)
    await shelf.put(
        observation("o1", "anna", "8867-4", "2026-01-10", "5.4"),
        observation("o2", "anna", "8867-4", "2026-02-10T08:00:00Z", "6"),
        observation("o3", "ben", "8867-4", "2026-03-10", "7"),
        observation("o4", "ben", "2345-7", "2026-01-10", "100"),
    )
    return shelf


SEARCHES: list[tuple[str | None, str, list[str]]] = [
    ("Patient", "identifier=urn:mrn|1001", ["anna"]),
    ("Patient", "identifier=1002", ["ben"]),
    ("Patient", "identifier=urn:mrn|", ["anna", "ben"]),
    ("Patient", "identifier:of-type=urn:t|MR|1001", ["anna"]),
    ("Patient", "family=mull", ["anna"]),
    ("Patient", "name=maria", ["anna"]),
    ("Patient", "family:exact=Müller", ["anna"]),
    ("Patient", "family:exact=müller", []),
    ("Patient", "gender=male,female", ["anna", "ben"]),
    ("Patient", "gender:not=male", ["anna"]),
    ("Patient", "gender=http://hl7.org/fhir/administrative-gender|female", ["anna"]),
    ("Patient", "gender=urn:other|female", []),
    ("Patient", "gender:in=http://hl7.org/fhir/ValueSet/administrative-gender", ["anna", "ben"]),
    ("Patient", "gender:not-in=http://hl7.org/fhir/ValueSet/administrative-gender", []),
    ("Patient", "birthdate=1980", ["anna"]),
    ("Patient", "birthdate=lt1980&family=weber", ["ben"]),
    ("Patient", "birthdate=9999", []),
    ("Patient", "birthdate=le9999-12-31&gender=male", ["ben"]),
    ("Patient", "active=true", ["anna"]),
    ("Patient", "active:missing=true", ["ben"]),
    ("Patient", "active:missing=false", ["anna"]),
    ("Patient", "_id=anna,nobody", ["anna"]),
    ("Patient", "_has:Observation:patient:code=2345-7", ["ben"]),
    ("Patient", "_has:Observation:patient:date=2026-03-10", ["ben"]),
    ("Patient", "_has:Observation:subject:date=2026-03-10&gender=female", []),
    ("Patient", "_sort=-birthdate", ["anna", "ben"]),
    ("Patient", "_lastUpdated=gt2020", ["anna", "ben"]),
    ("Patient", "_lastUpdated=lt2020", []),
    ("Observation", "patient=anna&_sort=-date", ["o2", "o1"]),
    ("Observation", "subject=Patient/ben&code=http://loinc.org|2345-7", ["o4"]),
    ("Observation", "subject:Patient=ben&category=laboratory&_sort=date", ["o4", "o3"]),
    ("Observation", "subject:Patient.identifier=urn:mrn|1001", ["o1", "o2"]),
    ("Observation", "patient.family=weber", ["o3", "o4"]),
    ("Observation", "subject.name=ben&_sort=-value-quantity", ["o4", "o3"]),
    ("Observation", "code=8867-4&date=ge2026-02", ["o2", "o3"]),
    ("Observation", "status=http://hl7.org/fhir/observation-status|final&patient=anna", ["o1", "o2"]),
    ("Observation", "value-quantity=gt6", ["o3", "o4"]),
    ("Observation", "value-quantity=5.4|http://unitsofmeasure.org|mg", ["o1"]),
    ("Observation", "value-quantity=1e2||mg", ["o4"]),
    ("Observation", "code-value-quantity=8867-4$gt5.5", ["o2", "o3"]),
    ("Observation", "combo-code-value-quantity=http://loinc.org|8867-4$lt6||mg", ["o1"]),
    ("Observation", "code:text=heart&date=2026-03", ["o3"]),
    ("Observation", "patient=anna&_text=nothing", []),
    ("Observation", "patient=anna&_content=HEART", ["o1", "o2"]),
    ("Observation", "_sort=-date,code&status=final", ["o3", "o2", "o4", "o1"]),
    ("Patient", "name:contains=ULL", ["anna"]),
    ("Patient", "family:contains=ebe", ["ben"]),
    ("Patient", "family:contains=mari", []),
    ("Patient", "address:contains=nowhere&_id=anna", []),
    ("Patient", "_sort=given,-_id", ["anna", "ben"]),
    ("Patient", "_sort=-active,birthdate", ["anna", "ben"]),
    ("Observation", "code:missing=true", []),
    ("Observation", "performer:missing=false", []),
    (None, "_type=Patient,Observation&_lastUpdated=gt2020", ["anna", "ben", "o1", "o2", "o3", "o4"]),
    (None, "_id=anna", ["anna"]),
    (None, "_type=Patient,Practitioner&gender=female,male&active:missing=true", ["ben"]),
    (None, "_type=Patient,Practitioner&name=ann&_sort=family", ["anna"]),
    (None, "_type=Patient,Practitioner&_sort=-family", ["ben", "anna"]),
    (None, "_type=Patient,Practitioner&name:contains=ULL,ebe&_sort=family", ["anna", "ben"]),
    ("Observation", "subject.name=ben&code=2345-7", ["o4"]),
]


async def test_a_search_finds_what_it_asks_for(shelf: Shelf) -> None:
    wrong = {}
    for resource_type, text, wanted in SEARCHES:
        found = await shelf.find(resource_type, text)
        if (found if "_sort" in text else sorted(found)) != wanted:
            wrong[f"{resource_type}?{text}"] = found
    assert wrong == {}


async def test_a_compartment_holds_what_is_about_its_patient(shelf: Shelf) -> None:
    assert sorted(await shelf.find("Observation", compartment=("Patient", "anna"))) == ["o1", "o2"]
    assert sorted(await shelf.find(None, compartment=("Patient", "ben"))) == ["ben", "o3", "o4"]
    assert await shelf.find(None, "_type=Observation&code=2345-7", compartment=("Patient", "ben")) == ["o4"]
    assert await shelf.find("Patient", compartment=("Patient", "ben")) == ["ben"]
    assert await shelf.find("Patient", compartment=("Patient", "nobody")) == []
    assert await shelf.find("Organization", compartment=("Patient", "ben")) == []


async def test_pages_follow_each_other_without_gap_or_repetition(shelf: Shelf) -> None:
    for text in (
        "",
        "_sort=-date",
        "_sort=date,-_id",
        "_sort=code,date",
        "_sort=-_lastUpdated",
        "_sort=_lastUpdated",
        "_sort=component-code",
        "subject=Patient/anna,Patient/ben",
        "patient=anna&_sort=-date",
        "_sort=-_id",
    ):
        whole = await shelf.find("Observation", text)
        assert sorted(whole) == ["o1", "o2", "o3", "o4"][: len(whole)]
        walked, after = [], None
        while True:
            page = await shelf.page("Observation", f"{text}&_count=1", after)
            walked += [one.stored.body.partition('"id":"')[2][:2] for one in page.found]
            after = page.after
            if after is None:
                break
        assert walked == whole, text


async def test_places_are_found_by_their_distance_from_a_position(shelf: Shelf) -> None:
    places = {"gate": ("52.516275", "13.377704"), "tower": ("52.520803", "13.409420"), "harbour": ("53.545", "9.966")}
    for name, (latitude, longitude) in places.items():
        position = {"latitude": Decimal(latitude), "longitude": Decimal(longitude)}
        await shelf.put({"resourceType": "Location", "id": name, "position": position})
    await shelf.put({"resourceType": "Location", "id": "nowhere"})
    for asked, found in (
        ("52.516275|13.377704|2.21|km", ["gate", "tower"]),
        ("52.516275|13.377704|2.20", ["gate"]),
        ("52.516275|13.377704|2210|m", ["gate", "tower"]),
        ("52.516275|13.377704|200|[mi_i]", ["gate", "harbour", "tower"]),
        ("-52.516275|13.377704,53.5|10", ["harbour"]),
    ):
        assert sorted(await shelf.find("Location", f"near={asked}")) == found, asked


async def test_concepts_are_found_above_and_below_others(shelf: Shelf) -> None:
    system = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
    for code in ("IMP", "_ActEncounterCode", "_ActCoverageTypeCode"):
        coding = {"system": system, "code": code}
        await shelf.put({"resourceType": "Encounter", "id": code.strip("_"), "status": "planned", "class": coding})
    assert sorted(await shelf.find("Encounter", f"class:below={system}|_ActEncounterCode")) == [
        "ActEncounterCode",
        "IMP",
    ]
    assert sorted(await shelf.find("Encounter", f"class:above={system}|IMP")) == ["ActEncounterCode", "IMP"]


async def test_totals_are_exact_or_estimated_as_asked(shelf: Shelf) -> None:
    assert (await shelf.page("Observation", "_total=accurate&_count=1")).total == 4
    assert (await shelf.page("Observation", "_count=0&code=8867-4")).total == 3
    assert (await shelf.page("Observation", "_total=estimate")).total == 4
    assert (await shelf.page("Observation", "_count=1")).total is None


async def test_text_is_looked_through_only_among_few(shelf: Shelf) -> None:
    for text in (
        "_content=heart",
        "status=final&_text=heart",
        "subject:Patient.address:contains=lane",
        "subject:Location.near=0|0",
    ):
        with pytest.raises(SearchError) as refused:
            await shelf.page("Observation", text)
        assert refused.value.code == "search_too_costly"


async def test_another_organisation_finds_nothing(shelf: Shelf, pool: Pool, other_org_id: UUID) -> None:
    other = Shelf(pool, other_org_id)
    for resource_type, text, _ in SEARCHES:
        assert await other.find(resource_type, text) == []
