"""Resources as FHIR clients send them, and their patient as feeds do."""

from tests.integration.feed import pid

FHIR = {"content-type": "application/fhir+json"}
MR = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}]}
HOSPITAL = "urn:chartwire:authority:HOSP"


def a_patient(fhir_id=None, mrn=None, **more):
    body = {
        "resourceType": "Patient",
        "name": [{"family": "Okonkwo", "given": ["Adaeze"]}],
        "gender": "female",
        "birthDate": "1984-02-29",
        **more,
    }
    if fhir_id:
        body["id"] = fhir_id
    if mrn:
        body["identifier"] = [{"type": MR, "system": HOSPITAL, "value": mrn}]
    return body


def adaeze(mrn, **fields):
    """The PID of the same patient."""
    return pid(mrn, **{"name": "Okonkwo^Adaeze", "born": "19840229", **fields})


def an_observation(subject="Patient/p1", **more):
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
        "subject": {"reference": subject},
        "valueQuantity": {"value": 72.5, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"},
        **more,
    }


def code_of(reply):
    """The code of the first issue of a refusal."""
    return reply.json["issue"][0]["details"]["coding"][0]["code"]


async def put(client, body, **headers):
    """A resource under its own id."""
    return await client.put(f"/fhir/R4/{body['resourceType']}/{body['id']}", body, **{**FHIR, **headers})
