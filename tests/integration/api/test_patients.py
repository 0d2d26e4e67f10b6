"""The patients of the practice API: read, find, page."""

from datetime import UTC, datetime

import pytest
from tests.integration.api.hub import a_patient, new_client

from chartwire.core.ids import to_prefixed, uuid7


async def test_a_patient_reads_as_the_practice_knows_them(client, record):
    patient = await record.save("Patient", a_patient())
    reply = await client.get(f"/api/v1/patients/{to_prefixed('pat', patient)}")
    assert reply.status == 200
    told = reply.json
    assert told["object"] == "patient"
    assert (told["mrn"], told["name"]["text"], told["birth_date"]) == ("MRN-0001", "Adaeze Okonkwo", "1984-02-29")
    assert told["links"]["fhir"] == f"/fhir/R4/Patient/{patient}"
    assert reply.headers["etag"] == '"v1"'
    assert reply.headers["cache-control"] == "no-store"


WAYS_TO_ONE = [
    {"mrn": "mrn-0001"},
    {"identifier": "MRN-0001"},
    {"identifier": "urn:chartwire:authority:HOSP_A|MRN-0001"},
    {"name": "oko ada"},
    {"q": "ADAEZE"},
    {"family": "okonkwo"},
    {"family_prefix": "ok"},
    {"given": "Adaeze"},
    {"birth_date": "1984-02-29"},
    {"birth_date_gte": "1984-02-29", "birth_date_lte": "1984-03-01"},
    {"phone": "+1 (416) 555-0100"},
    {"email": "ADA@example.org"},
    {"updated_at_gte": "2026-11-01T00:00:00+02:00", "updated_at_lt": "2026-11-03"},
    {"mrn": "MRN-0001", "status": "active,merged", "birth_date": "1984-02-29"},
]


async def test_a_patient_is_found_by_what_a_practice_has_at_hand_and_others_are_not(client, record):
    telecom = [{"system": "phone", "value": "+1 416 555 0100"}, {"system": "email", "value": "ada@example.org"}]
    at = datetime(2026, 11, 2, tzinfo=UTC)
    wanted = await record.save("Patient", a_patient(telecom=telecom), at=at)
    await record.save("Patient", a_patient("Müller", "Jörg", "MRN-0002", birthDate="1990-01-01", telecom=[]))
    for query in WAYS_TO_ONE:
        reply = await client.get("/api/v1/patients", query)
        assert [one["id"] for one in reply.json["data"]] == [to_prefixed("pat", wanted)], query


async def test_accents_and_case_do_not_matter_in_names(client, record):
    await record.save("Patient", a_patient("Müller", "Jörg"))
    assert len((await client.get("/api/v1/patients", {"family": "MULLER", "given": "jorg"})).json["data"]) == 1


async def test_pages_walk_over_everyone_once_and_end(client, record):
    saved = [await record.save("Patient", a_patient(mrn=f"M{n}")) for n in range(7)]
    seen, query = [], {"limit": "3"}
    while True:
        page = (await client.get("/api/v1/patients", query)).json
        seen += [one["id"] for one in page["data"]]
        if not page["has_more"]:
            break
        query = {"limit": "3", "page_token": page["next_page_token"]}
    assert seen == [to_prefixed("pat", one) for one in saved]
    assert page["next_page_token"] is None


async def test_a_page_walk_misses_and_doubles_nobody_while_others_write(client, record):
    saved = [await record.save("Patient", a_patient(mrn=f"M{n}")) for n in range(6)]
    first = (await client.get("/api/v1/patients", {"limit": "2"})).json
    await record.save("Patient", {"id": str(saved[0]), **a_patient("Adams")}, version=2)
    await record.save("Patient", {"id": str(saved[4]), **a_patient("Zimmer")}, version=2)
    late = await record.save("Patient", a_patient(mrn="LATE"))
    rest = (await client.get("/api/v1/patients", {"limit": "100", "page_token": first["next_page_token"]})).json
    seen = [one["id"] for one in first["data"] + rest["data"]]
    assert seen == [to_prefixed("pat", one) for one in [*saved, late]]


@pytest.mark.parametrize(
    ("sort", "wanted"),
    [
        ("name", ["Adams", "Baker", "Cole", None]),
        ("-name", ["Cole", "Baker", "Adams", None]),
        ("birth_date", ["Cole", "Adams", "Baker", None]),
        ("-id", [None, "Cole", "Baker", "Adams"]),
    ],
)
async def test_sorting_keeps_those_without_a_value_at_the_end_over_any_page_size(client, record, sort, wanted):
    await record.save("Patient", a_patient("Adams", birthDate="1980-01-01"))
    await record.save("Patient", a_patient("Baker", birthDate="1990-01-01"))
    await record.save("Patient", a_patient("Cole", birthDate="1970-01-01"))
    await record.save("Patient", {"active": True})
    for limit in ("1", "3", "100"):
        seen, query = [], {"sort": sort, "limit": limit}
        while query:
            page = (await client.get("/api/v1/patients", query)).json
            seen += [one["name"] and one["name"]["family"] for one in page["data"]]
            query = page["has_more"] and {"limit": limit, "page_token": page["next_page_token"]}
        assert seen == wanted


async def test_the_link_header_leads_to_the_next_page_without_naming_the_filter(client, record):
    for n in range(3):
        await record.save("Patient", a_patient(mrn=f"M{n}"))
    reply = await client.get("/api/v1/patients", {"family": "Okonkwo", "limit": "2"})
    link = reply.headers["link"]
    assert "Okonkwo" not in link
    assert link.endswith('rel="next"')
    path = link[1 : link.index(">")]
    following = await client.get(path)
    assert len(following.json["data"]) == 1


async def test_a_page_token_is_refused_with_other_filters_another_key_another_list_or_a_changed_byte(
    client, record, services, app, org_id
):
    for n in range(3):
        await record.save("Patient", a_patient(mrn=f"M{n}"))
    token = (await client.get("/api/v1/patients", {"family": "okonkwo", "limit": "1"})).json["next_page_token"]
    second_key = await new_client(services, app, org_id)
    flipped = token[:-4] + ("A" if token[-4] != "A" else "B") + token[-3:]
    cases = [
        (client, "/api/v1/patients", {"family": "adams", "page_token": token}, "page_token_mismatch"),
        (second_key, "/api/v1/patients", {"family": "okonkwo", "page_token": token}, "page_token_mismatch"),
        (client, "/api/v1/providers", {"page_token": token}, "page_token_mismatch"),
        (client, "/api/v1/patients", {"page_token": flipped}, "page_token_invalid"),
        (client, "/api/v1/patients", {"page_token": "nonsense"}, "page_token_invalid"),
    ]
    for caller, path, query, code in cases:
        reply = await caller.get(path, query)
        assert (reply.status, reply.json["code"]) == (400, code)


async def test_total_is_counted_only_when_asked_for(client, record):
    for n in range(3):
        await record.save("Patient", a_patient(mrn=f"M{n}"))
    assert "total" not in (await client.get("/api/v1/patients", {"limit": "1"})).json
    page = (await client.get("/api/v1/patients", {"limit": "1", "include_total": "true", "family": "okonkwo"})).json
    assert (page["total"], page["total_is_estimate"], len(page["data"])) == (3, False, 1)


async def test_fields_narrow_the_objects(client, record):
    await record.save("Patient", a_patient())
    (one,) = (await client.get("/api/v1/patients", {"fields": "mrn,name"})).json["data"]
    assert set(one) == {"id", "object", "mrn", "name"}


async def test_a_merged_patient_says_where_it_went_through_a_chain_and_leaves_the_lists(client, record):
    first, second, third = [await record.save("Patient", a_patient(mrn=f"M{n}")) for n in range(3)]
    for loser, survivor in ((first, second), (second, third)):
        body = {"id": str(loser), **a_patient(mrn="M"), "active": False}
        body["link"] = [{"other": {"reference": f"Patient/{survivor}"}, "type": "replaced-by"}]
        await record.save("Patient", body, version=2)
        await record.merge(loser, survivor)
    told = (await client.get(f"/api/v1/patients/{to_prefixed('pat', first)}")).json
    assert (told["status"], told["merged_into"]) == ("merged", to_prefixed("pat", third))
    listed = (await client.get("/api/v1/patients")).json["data"]
    assert [one["id"] for one in listed] == [to_prefixed("pat", third)]
    merged = (await client.get("/api/v1/patients", {"status": "merged"})).json["data"]
    assert [one["id"] for one in merged] == [to_prefixed("pat", first), to_prefixed("pat", second)]


async def test_insurance_comes_when_it_is_asked_for(client, record):
    patient = await record.save("Patient", a_patient())
    coverage = {
        "status": "active",
        "subscriberId": "POL-1",
        "beneficiary": {"reference": f"Patient/{patient}"},
        "payor": [{"display": "Northern Mutual"}],
        "class": [{"type": {"coding": [{"code": "group"}]}, "value": "GRP-9"}],
    }
    await record.save("Coverage", coverage, patient=patient)
    path = f"/api/v1/patients/{to_prefixed('pat', patient)}"
    assert (await client.get(path)).json["insurance"] is None
    (insurance,) = (await client.get(path, {"expand": "insurance"})).json["insurance"]
    assert (insurance["payor"], insurance["policy_number"], insurance["group_number"]) == (
        "Northern Mutual",
        "POL-1",
        "GRP-9",
    )


async def test_a_deleted_patient_is_not_found_and_not_listed(client, record):
    patient = await record.save("Patient", a_patient())
    await record.save("Patient", {"id": str(patient)}, version=2, deleted=True)
    assert (await client.get(f"/api/v1/patients/{to_prefixed('pat', patient)}")).status == 404
    assert (await client.get("/api/v1/patients")).json["data"] == []


async def test_an_unchanged_patient_answers_304_to_its_etag(client, record):
    patient = await record.save("Patient", a_patient())
    path = f"/api/v1/patients/{to_prefixed('pat', patient)}"
    etag = (await client.get(path)).headers["etag"]
    reply = await client.get(path, if_none_match=etag)
    assert (reply.status, reply.body) == (304, b"")
    await record.save("Patient", {"id": str(patient), **a_patient("Adams")}, version=2)
    assert (await client.get(path, if_none_match=etag)).status == 200


async def test_an_id_of_any_other_kind_is_simply_not_found(client):
    for wrong in (to_prefixed("pat", uuid7()), to_prefixed("apt", uuid7()), "pat_1", "1", "pat_" + "Z" * 26, "ü"):
        reply = await client.get(f"/api/v1/patients/{wrong}")
        assert (reply.status, reply.json["code"]) == (404, "unknown_id")
