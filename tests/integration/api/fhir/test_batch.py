"""A batch Bundle is its entries one by one, each as if it came alone."""

from tests.integration.api.fhir.bundles import (
    ODD_ENTRIES,
    an_observation,
    batch,
    faults,
    get,
    places,
    post,
    put,
    statuses,
)
from tests.integration.api.hub import a_patient, new_client

from chartwire.core.limits import BUNDLE_ENTRIES_MAX


async def test_every_entry_is_answered_in_its_place_and_a_bad_one_spoils_no_other(client, record):
    patient = await record.save("Patient", a_patient())
    bad = [get("Patient/unknown"), {"request": {"method": "FETCH", "url": "x"}}, {}, get("no/such/address/here")]
    reply = await client.post("/fhir/R4", batch(get(f"Patient/{patient}"), *bad, get(f"/Patient/{patient}/_history/1")))
    assert reply.status == 200
    assert reply.json["type"] == "batch-response"
    found = [entry["response"]["status"][:3] for entry in reply.json["entry"]]
    assert found == ["200", "404", "400", "400", "404", "200"]
    assert reply.json["entry"][0]["resource"]["id"] == str(patient)
    assert reply.json["entry"][0]["response"]["etag"] == 'W/"1"'
    outcome = reply.json["entry"][2]["response"]["outcome"]
    assert outcome["issue"][0]["expression"] == ["Bundle.entry[2].request.method"]


async def test_conditions_of_an_entry_hold_for_it(client, record):
    patient = await record.save("Patient", a_patient())
    reply = await client.post("/fhir/R4", batch(get(f"Patient/{patient}", ifNoneMatch='W/"1"')))
    assert reply.json["entry"][0]["response"]["status"] == "304 Not Modified"


async def test_one_audit_row_lists_the_patients_of_all_entries(client, record):
    patients = [await record.save("Patient", a_patient(mrn=f"M{number}")) for number in range(3)]
    await client.post("/fhir/R4", batch(*(get(f"Patient/{one}") for one in patients)))
    [row] = [row for row in await record.audit_rows() if row["query_shape"].startswith("POST /fhir/R4")]
    assert row["row_count"] == 3
    assert all(str(one) in str(dict(row)) for one in patients)


async def test_an_entry_needs_the_scope_of_its_own_request(services, app, org_id, other_org_id, record):
    patient = await record.save("Patient", a_patient())
    stranger = await new_client(services, app, other_org_id, "fhir.read")
    reply = await stranger.post("/fhir/R4", batch(get(f"Patient/{patient}")))
    assert reply.json["entry"][0]["response"]["status"].startswith("404")


async def test_writes_of_a_batch_stand_by_themselves(client):
    good, bad = an_observation("Patient/x"), an_observation("Patient/x", status="unknowable")
    reply = await client.post("/fhir/R4", batch(post(good), post(bad), put({**good, "id": "kept"})))
    assert statuses(reply) == ["201", "422", "201"]
    assert (await client.get(f"/fhir/R4/{places(reply)[0]}")).status == 200
    assert (await client.get("/fhir/R4/Observation/kept")).status == 200


async def test_a_retry_under_the_same_key_does_not_do_again_what_went_well(client):
    sent = batch(post(an_observation("Patient/x")), post(an_observation("Patient/x", status="unknowable")))
    first = await client.post("/fhir/R4", sent, idempotency_key="k-1")
    again = await client.post("/fhir/R4", sent, idempotency_key="k-1")
    assert statuses(first) == statuses(again) == ["201", "422"]
    assert places(first)[0] == places(again)[0]
    assert (await client.get("/fhir/R4/Observation?_summary=count")).json["total"] == 1


async def test_a_bundle_of_too_many_entries_or_of_another_kind_is_refused_whole(client):
    reply = await client.post("/fhir/R4", batch(*[get("Patient/x")] * (BUNDLE_ENTRIES_MAX + 1)))
    assert (reply.status, faults(reply)) == (400, ["Bundle.entry"])
    for other in ({"resourceType": "Bundle", "type": "collection"}, {"resourceType": "Patient"}):
        reply = await client.post("/fhir/R4", other)
        assert (reply.status, faults(reply)) == (400, ["Bundle.type"])
    reply = await client.post("/fhir/R4", {"resourceType": "Bundle", "type": "batch", "entry": {}})
    assert (reply.status, faults(reply)) == (400, ["Bundle.entry"])


async def test_entries_of_any_shape_are_answered_one_by_one(client):
    await client.post("/fhir/R4", batch(put({**an_observation("Patient/x"), "id": "one"})))
    reply = await client.post("/fhir/R4", batch(*ODD_ENTRIES, get("Observation/one")))
    assert reply.status == 200
    found = statuses(reply)
    assert [status for status in found if status >= "5"] == []
    assert found[4] == found[10].replace("201", "200") == found[-1] == "200"


async def test_a_bundle_without_entries_is_answered_without(client):
    for kind in ("batch", "transaction"):
        reply = await client.post("/fhir/R4", {"resourceType": "Bundle", "type": kind})
        assert reply.json == {"resourceType": "Bundle", "type": f"{kind}-response"}
