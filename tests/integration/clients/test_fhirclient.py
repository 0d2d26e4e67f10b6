"""fhirclient (PyPI, the SMART reference client in Python) against a running server."""

import pytest
from fhirclient import client as smart
from fhirclient.models.bundle import Bundle
from fhirclient.models.fhirsearch import FHIRSearch
from fhirclient.models.observation import Observation
from fhirclient.models.patient import Patient
from fhirclient.server import FHIRNotFoundException

PATIENT = "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"


@pytest.fixture
def server(hub):
    base, key = hub
    hub_client = smart.FHIRClient(settings={"app_id": "test", "api_base": base})
    hub_client.server.session.headers["Authorization"] = f"Bearer {key}"
    return hub_client.server


def a_patient(number="1"):
    return Patient(
        {
            "identifier": [{"system": "urn:x:number", "value": number}],
            "name": [{"family": "Okonkwo", "given": ["Adaeze"]}],
            "gender": "female",
            "birthDate": "1984-02-29",
        }
    )


def test_it_reads_what_the_server_can_do(server):
    server.get_capability()
    assert server.capabilityStatement.fhirVersion == "4.0.1"


def test_a_resource_is_made_read_changed_and_deleted(server):
    made = a_patient().create(server)
    patient = Patient.read(made["id"], server)
    assert patient.birthDate.isostring == "1984-02-29"
    patient.active = True
    patient.update(server)
    assert Patient.read(made["id"], server).meta.versionId == "2"
    old = Patient.read_from(f"Patient/{made['id']}/_history/1", server)
    assert old.active is None
    Patient.read(made["id"], server).delete(server)
    with pytest.raises(Exception, match="410") as gone:
        Patient.read(made["id"], server)
    assert gone.value.response.status_code == 410
    with pytest.raises(FHIRNotFoundException):
        Patient.read("nobody", server)


def test_searches_walk_pages_and_include(server):
    for number in range(5):
        made = a_patient(str(number)).create(server)
        body = {"status": "final", "code": {"text": "pulse"}, "subject": {"reference": f"Patient/{made['id']}"}}
        Observation(body).create(server)
    found = list(Patient.where({"family": "okonkwo", "_count": "2"}).perform_resources_iter(server))
    assert len(found) == 5
    searched = FHIRSearch(Observation, {"subject:Patient.identifier": "urn:x:number|3"}).include("subject")
    kinds = sorted(one.resource_type for one in searched.perform_resources_iter(server))
    assert kinds == ["Observation", "Patient"]


def test_a_transaction_is_posted_and_its_history_read(server):
    entries = [
        {
            "fullUrl": PATIENT,
            "resource": a_patient("9").as_json(),
            "request": {"method": "POST", "url": "Patient"},
        },
        {
            "resource": {
                "resourceType": "Observation",
                "status": "final",
                "code": {"text": "pulse"},
                "subject": {"reference": PATIENT},
            },
            "request": {"method": "POST", "url": "Observation"},
        },
    ]
    sent = Bundle({"type": "transaction", "entry": entries})
    answer = Bundle(server.post_json("", sent.as_json()).json())
    assert [entry.response.status for entry in answer.entry] == ["201 Created"] * 2
    [observation] = Observation.where({"subject.identifier": "urn:x:number|9"}).perform_resources_iter(server)
    patient = observation.subject.resolved(Patient)
    assert patient.identifier[0].value == "9"
    history = Bundle(server.request_json(f"Patient/{patient.id}/_history"))
    assert (history.type, len(history.entry)) == ("history", 1)
