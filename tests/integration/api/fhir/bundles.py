"""Bundles for tests, and what their answers say."""

PATIENT = "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"
MRN = "urn:chartwire:authority:HOSP_A"


def bundle(kind, *entries):
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def transaction(*entries):
    return bundle("transaction", *entries)


def batch(*entries):
    return bundle("batch", *entries)


def get(url, **conditions):
    return {"request": {"method": "GET", "url": url, **conditions}}


def delete(url, **conditions):
    return {"request": {"method": "DELETE", "url": url, **conditions}}


def post(resource, full_url=None, **conditions):
    told = {"resource": resource, "request": {"method": "POST", "url": resource["resourceType"], **conditions}}
    return told | ({"fullUrl": full_url} if full_url else {})


def put(resource, url=None, full_url=None, **conditions):
    url = url or f"{resource['resourceType']}/{resource['id']}"
    told = {"resource": resource, "request": {"method": "PUT", "url": url, **conditions}}
    return told | ({"fullUrl": full_url} if full_url else {})


def a_patient(mrn="M-1", family="Okonkwo", **more):
    return {
        "resourceType": "Patient",
        "identifier": [{"system": "urn:x:number", "value": mrn}],
        "name": [{"family": family, "given": ["Adaeze"]}],
        "gender": "female",
        "birthDate": "1984-02-29",
        **more,
    }


def an_observation(subject=PATIENT, **more):
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
        "subject": {"reference": subject},
        "valueQuantity": {"value": 72.50, "unit": "/min"},
        **more,
    }


def patch(url, resource):
    return {"resource": resource, "request": {"method": "PATCH", "url": url}}


def statuses(reply):
    return [entry["response"]["status"][:3] for entry in reply.json["entry"]]


BASE = "http://localhost/fhir/R4/"
"""Where the server stands for clients that name no host."""


def places(reply):
    """Type/id of each entry's location, without the version."""
    told = [entry["response"].get("location", "") for entry in reply.json["entry"]]
    return [place.partition("/_history/")[0].removeprefix(BASE) for place in told]


def faults(reply):
    return [place for issue in reply.json["issue"] for place in issue.get("expression", ())]


_BINARY = {"resourceType": "Binary", "contentType": ["a"], "data": 5}
_PATCH = {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": "ä"}
ODD_ENTRIES = [
    None,
    {"request": 5},
    {"request": {"method": ["GET"], "url": 5}},
    {"request": {"method": "GET", "url": "/../../api/v1/patients"}},
    {"request": {"method": "GET", "url": "Patient?name=Müller&name"}},
    {"request": {"method": "POST", "url": "Observation"}, "resource": 5},
    {"request": {"method": "POST", "url": "Observation"}, "resource": {"resourceType": ["Observation"]}},
    {"request": {"method": "PATCH", "url": "Observation/one"}, "resource": _BINARY},
    {"request": {"method": "PATCH", "url": "Observation/one"}, "resource": _PATCH},
    {"request": {"method": "PUT", "url": "Observation/one", "ifMatch": 7}, "resource": an_observation()},
    {
        "request": {"method": "POST", "url": "Observation", "ifNoneExist": "identifier=ü|ß"},
        "resource": an_observation(),
    },
    {"request": {"method": "DELETE", "url": "Observation?identifier=%zz"}},
    {"fullUrl": 5, "request": {"method": "GET", "url": "Observation/one"}},
]
