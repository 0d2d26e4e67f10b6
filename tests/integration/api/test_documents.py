"""Documents and their contents over both doors."""

from base64 import b64encode

import pytest
from tests.integration.api.hub import new_client
from tests.integration.feed import Feed, hl7, pid

PDF = b"%PDF-1.7\n%%EOF\n"


def mdm(number, *obx, mrn="1001", name="Weber^Anna", at="20260301100000"):
    txa = f"TXA|1|DS|AP|||{at}|||77^Okafor^Ife^^^Dr^^^NPI|||{number}^HOSP|||||AU||AV||||||Summary of the stay"
    return hl7("MDM^T02", pid(mrn, name), txa, *obx, at=at)


def ed(data, kind="^AP^PDF^Base64"):
    return f"OBX|1|ED|PDF^Letter^L||{kind}^{b64encode(data).decode()}||||||F"


@pytest.fixture
async def feed(pool, engine_pool, org_id):
    return await Feed(pool, engine_pool, org_id).open()


@pytest.fixture
async def patient_id(feed, client):
    """A patient with two documents: a PDF, then a PDF beside a pointer."""
    await feed.send(mdm("D1", ed(PDF)))
    await feed.send(mdm("D2", ed(PDF), "OBX|2|RP|IMG^Scan^L||https://pacs.example.org/7^^IM^JPEG||||||F"))
    return (await client.get("/api/v1/patients", {"mrn": "1001"})).json["data"][0]["id"]


async def test_the_documents_of_a_patient_are_listed_newest_first_by_pages(client, patient_id):
    reply = await client.get(f"/api/v1/patients/{patient_id}/documents", {"limit": 1})
    [newest] = reply.json["data"]
    assert [part["pointer"] for part in newest["parts"]] == [None, "https://pacs.example.org/7"]
    reply = await client.get(f"/api/v1/patients/{patient_id}/documents", {"page_token": reply.json["next_page_token"]})
    [oldest] = reply.json["data"]
    assert (oldest["type"], oldest["title"], oldest["completion"]) == (
        "Discharge summary", "Summary of the stay", "final"
    )  # fmt: skip
    assert oldest["authors"] == ["Dr Ife Okafor"]
    assert (await client.get(f"/api/v1/documents/{oldest['id']}")).json == oldest


async def test_a_content_is_given_to_be_saved_and_never_to_be_run(client, patient_id, record):
    [document, _] = (await client.get(f"/api/v1/patients/{patient_id}/documents")).json["data"]
    reply = await client.get(document["parts"][0]["url"])
    assert (reply.status, reply.body, reply.headers["content-type"]) == (200, PDF, "application/pdf")
    assert reply.headers["content-disposition"].startswith("attachment;")
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in reply.headers["content-security-policy"]
    row = (await record.audit_rows())[-1]
    assert (row["resource_type"], row["row_count"], len(row["patient_ids"])) == ("DocumentReference", 1, 1)
    assert (await client.get(document["parts"][0]["url"], if_none_match=reply.headers["etag"])).status == 304
    assert (await client.get(f"/api/v1/documents/{document['id']}/content?part=2")).status == 404


async def test_fhir_gives_the_content_as_it_is_or_as_a_binary(client, feed, patient_id, record):
    [document, _] = await feed.bodies("DocumentReference")
    url = f"/fhir/R4/{document['content'][0]['attachment']['url']}"
    reply = await client.get(url)
    assert (reply.body, reply.headers["content-type"]) == (PDF, "application/pdf")
    assert (await client.get(url, accept="application/pdf")).body == PDF
    reply = await client.get(url, accept="application/fhir+json")
    assert reply.json["resourceType"] == "Binary"
    assert reply.json["data"] == b64encode(PDF).decode()
    assert (await record.audit_rows())[-1]["resource_type"] == "Binary"
    assert (await client.get(f"/fhir/R4/DocumentReference/{document['id']}")).status == 200


async def test_the_content_of_a_feed_s_document_is_nobody_s_to_write(client, feed, patient_id):
    [document, _] = await feed.bodies("DocumentReference")
    url = f"/fhir/R4/{document['content'][0]['attachment']['url']}"
    for method, body in (("PUT", b"other"), ("DELETE", b"")):
        reply = await client.call(method, url, body=body, headers={"content-type": "text/plain"})
        assert (reply.status, reply.json["issue"][0]["details"]["coding"][0]["code"]) == (409, "id_taken")
    assert (await client.get(url)).body == PDF


async def test_bytes_that_a_client_sent_too_stay_those_of_the_document(client, feed, patient_id):
    made = await client.call("POST", "/fhir/R4/Binary", body=PDF, headers={"content-type": "text/html"})
    [document, _] = await feed.bodies("DocumentReference")
    url = f"/fhir/R4/{document['content'][0]['attachment']['url']}"
    assert made.status == 201
    assert (await client.get(url)).headers["content-type"] == "application/pdf"


async def test_a_content_of_two_patients_names_both_in_the_audit_trail(client, feed, patient_id, record):
    await feed.send(mdm("D3", ed(PDF), mrn="1002", name="Ek^Bo"))
    document = (await feed.bodies("DocumentReference"))[-1]
    await client.get(f"/fhir/R4/{document['content'][0]['attachment']['url']}")
    assert len((await record.audit_rows())[-1]["patient_ids"]) == 2


async def test_the_contents_of_another_organisation_are_not_there(other_client, client, feed, patient_id):
    [document, _] = (await client.get(f"/api/v1/patients/{patient_id}/documents")).json["data"]
    binary = (await feed.bodies("DocumentReference"))[0]["content"][0]["attachment"]["url"]
    for path in (f"/api/v1/patients/{patient_id}/documents", f"/api/v1/documents/{document['id']}",
                 document["parts"][0]["url"], f"/fhir/R4/{binary}"):  # fmt: skip
        assert (await other_client.get(path)).status == 404


async def test_documents_need_a_scope_of_their_own(services, app, org_id, patient_id):
    key = await new_client(services, app, org_id, "patients.read")
    assert (await key.get(f"/api/v1/patients/{patient_id}/documents")).status == 403
