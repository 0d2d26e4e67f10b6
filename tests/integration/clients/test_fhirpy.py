"""fhirpy (PyPI), as its README uses it, against a running server."""

import pytest
from fhirpy import AsyncFHIRClient, SyncFHIRClient
from fhirpy.base.exceptions import MultipleResourcesFound, OperationOutcome, ResourceNotFound

SYSTEM = "urn:x:number"


@pytest.fixture
def client(hub):
    base, key = hub
    return SyncFHIRClient(base, authorization=f"Bearer {key}")


def a_patient(client, number, family="Okonkwo"):
    return client.resource(
        "Patient",
        identifier=[{"system": SYSTEM, "value": number}],
        name=[{"family": family, "given": ["Adaeze"]}],
        gender="female",
        birthDate="1984-02-29",
    )


def test_a_resource_is_made_changed_patched_read_and_deleted(client):
    patient = a_patient(client, "1")
    patient.save()
    assert patient.id
    patient["birthDate"] = "1984-03-01"
    patient.save()
    patient.patch(active=True)
    read = client.reference("Patient", patient.id).to_resource()
    assert (read["birthDate"], read["active"], read["meta"]["versionId"]) == ("1984-03-01", True, "3")
    patient.delete()
    with pytest.raises(ResourceNotFound, match='"code":"deleted"'):
        client.reference("Patient", patient.id).to_resource()
    with pytest.raises(ResourceNotFound):
        client.reference("Patient", "nobody").to_resource()


def test_searches_are_paged_counted_and_include(client):
    for number in range(7):
        patient = a_patient(client, str(number))
        patient.save()
        client.resource("Condition", subject=patient.to_reference(), code={"text": "cough"}).save()
    patients = client.resources("Patient")
    found = patients.search(family="okonkwo").sort("birthdate").limit(2)
    assert len(found.fetch_all()) == 7
    assert found.count() == 7
    assert patients.search(identifier=f"{SYSTEM}|3").get()["identifier"][0]["value"] == "3"
    with pytest.raises(MultipleResourcesFound):
        patients.search(family="okonkwo").get()
    with pytest.raises(ResourceNotFound):
        patients.search(identifier=f"{SYSTEM}|99").get()
    everything = client.resources("Condition").include("Condition", "subject").fetch_raw()
    assert {entry["resource"]["resourceType"] for entry in everything["entry"]} == {"Condition", "Patient"}


def test_conditional_writes_and_transactions(client):
    _, created = client.resources("Patient").search(identifier=f"{SYSTEM}|1").get_or_create(a_patient(client, "1"))
    assert created
    _, created = client.resources("Patient").search(identifier=f"{SYSTEM}|1").get_or_create(a_patient(client, "1"))
    assert not created
    _, created = client.resources("Patient").search(identifier=f"{SYSTEM}|1").update(a_patient(client, "1", "Weber"))
    assert not created
    assert client.resources("Patient").search(family="weber").count() == 1
    bundle = client.resource(
        "Bundle",
        type="transaction",
        entry=[
            {
                "fullUrl": "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a",
                "resource": a_patient(client, "2").serialize(),
                "request": {"method": "POST", "url": "Patient"},
            },
            {
                "resource": {
                    "resourceType": "Condition",
                    "subject": {"reference": "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"},
                    "code": {"text": "cough"},
                },
                "request": {"method": "POST", "url": "Condition"},
            },
        ],
    )
    bundle.save()
    condition = client.resources("Condition").search(subject__Patient__identifier=f"{SYSTEM}|2").get()
    assert condition["subject"].to_resource()["identifier"][0]["value"] == "2"


def test_what_is_invalid_is_told_as_an_outcome(client):
    with pytest.raises(OperationOutcome) as refused:
        client.resource("Patient", gender="unknowable").save()
    assert refused.value.resource["issue"][0]["severity"] == "error"
    client.resource("Patient", gender="female").is_valid(raise_exception=True)


async def test_the_asynchronous_client_walks_pages(hub):
    base, key = hub
    client = AsyncFHIRClient(base, authorization=f"Bearer {key}")
    for number in range(5):
        await client.resource("Patient", identifier=[{"system": SYSTEM, "value": str(number)}]).save()
    seen = [patient["identifier"][0]["value"] async for patient in client.resources("Patient").limit(2)]
    assert sorted(seen) == ["0", "1", "2", "3", "4"]
