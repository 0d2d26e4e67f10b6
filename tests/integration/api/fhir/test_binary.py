"""Binary: bytes of clients, raw or as a resource, and who may read them (R4 2.36)."""

from base64 import b64encode

from tests.integration.api.fhir.stored import FHIR, observation, patient, put
from tests.integration.api.hub import new_client

from chartwire.core.fhir_ids import store_id
from chartwire.core.limits import BINARY_BYTES_MAX

PDF = b"%PDF-1.7\n\x00\xff%%EOF\n"
AS_RESOURCE = "application/fhir+json"
URL = f"{FHIR}/Binary"


def binary(data=PDF, media="application/pdf", **more):
    return {"resourceType": "Binary", "contentType": media, "data": b64encode(data).decode(), **more}


async def post_raw(client, data=PDF, media="application/pdf", **headers):
    return await client.call("POST", URL, body=data, headers={"content-type": media, **headers})


def code_of(reply):
    return reply.json["issue"][0]["details"]["coding"][0]["code"]


def address(reply):
    """The path of what was made, without its version."""
    return reply.headers["location"][reply.headers["location"].index(URL) :].partition("/_history")[0]


async def contents(pool, org_id):
    async with pool.transaction(org_id) as tx:
        return await tx.fetchval("select count(*) from content")


async def test_raw_bytes_are_given_back_with_their_own_type_to_be_saved_and_never_run(client):
    made = await post_raw(client)
    assert (made.status, made.body, made.headers["etag"]) == (201, b"", 'W/"1"')
    reply = await client.get(address(made))
    assert (reply.status, reply.body, reply.headers["content-type"]) == (200, PDF, "application/pdf")
    assert reply.headers["etag"] == 'W/"1"'
    assert reply.headers["content-disposition"].startswith("attachment;")
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in reply.headers["content-security-policy"]
    assert (await client.get(address(made), if_none_match='W/"1"')).status == 304
    head = await client.call("HEAD", address(made))
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(PDF)))


async def test_parameters_of_a_media_type_are_kept(client):
    for media in ("text/plain; charset=utf-8", 'multipart/related; type="application/dicom"'):
        assert (await client.get(address(await post_raw(client, b"a", media)))).headers["content-type"] == media


async def test_a_binary_in_fhir_json_is_the_same_resource_as_its_bytes(client):
    made = await client.post(URL, binary(meta={"tag": [{"code": "scan"}]}), content_type=AS_RESOURCE)
    assert made.status == 201
    assert made.json["data"] == b64encode(PDF).decode()
    assert (await client.get(address(made))).body == PDF
    told = (await client.get(address(made), accept=AS_RESOURCE)).json
    assert told == made.json
    assert (told["contentType"], told["meta"]["tag"], "_data" in told) == ("application/pdf", [{"code": "scan"}], False)
    assert (await client.get(f"{address(made)}?_format=json")).json == told


async def test_plain_json_is_bytes_like_any_other(client):
    made = await post_raw(client, b'{"a": 1}', "application/json")
    assert (await client.get(address(made), accept="application/json")).body == b'{"a": 1}'
    assert (await client.get(address(made), accept=AS_RESOURCE)).json["contentType"] == "application/json"
    assert (await client.get(address(made), accept="application/fhir+xml")).status == 406


async def test_the_same_bytes_are_kept_once_and_every_version_stays_readable(client, pool, org_id):
    before = await contents(pool, org_id)
    url = address(await post_raw(client))
    for data, version in ((b"second", 2), (PDF, 3)):
        written = await client.call("PUT", url, body=data, headers={"content-type": "text/plain"})
        assert (written.status, written.headers["etag"]) == (200, f'W/"{version}"')
    assert await contents(pool, org_id) == before + 2
    assert (await client.get(f"{url}/_history/1")).headers["content-type"] == "application/pdf"
    assert (await client.get(f"{url}/_history/2")).body == b"second"
    assert (await client.get(f"{url}/_history/3", accept=AS_RESOURCE)).json["meta"]["versionId"] == "3"
    assert (await client.get(f"{url}/_history/4")).status == 404
    again = await client.call("PUT", url, body=PDF, headers={"content-type": "text/plain"})
    assert (again.status, again.headers["etag"]) == (200, 'W/"3"')


async def test_a_client_may_choose_the_id_and_say_which_version_it_replaces(client):
    headers = {"content-type": "image/png"}
    assert (await client.call("PUT", f"{URL}/scan.1", body=b"one", headers=headers)).status == 201
    late = await client.call("PUT", f"{URL}/scan.1", body=b"two", headers={**headers, "if-match": 'W/"7"'})
    assert late.status == 412
    made = await client.call("PUT", f"{URL}/scan.1", body=b"two", headers={**headers, "if-none-match": "*"})
    assert made.status == 412
    in_time = await client.call("PUT", f"{URL}/scan.1", body=b"two", headers={**headers, "if-match": 'W/"1"'})
    assert in_time.status == 200
    assert (await client.get(f"{URL}/scan.1")).body == b"two"


async def test_what_was_deleted_is_gone_but_for_its_versions(client):
    url = address(await post_raw(client))
    assert (await client.call("DELETE", url)).status == 204
    assert (await client.get(url)).status == 410
    assert (await client.get(f"{url}/_history/2")).status == 410
    assert (await client.get(f"{url}/_history/1")).body == PDF
    assert (await client.call("DELETE", url)).status == 204
    assert (await client.call("PUT", url, body=b"x", headers={"content-type": "text/plain"})).status == 201


async def test_bytes_of_a_patient_are_audited_as_theirs_and_name_their_security_context(client, record):
    await put(client, patient("p1"), observation("o1"))
    for context in ("Patient/p1", "Observation/o1"):
        made = await post_raw(client, context.encode(), x_security_context=context)
        reply = await client.get(address(made))
        assert reply.headers["x-security-context"] == context
        assert (await record.audit_rows())[-1]["patient_ids"] == [store_id("p1")]
        told = (await client.get(address(made), accept=AS_RESOURCE)).json
        assert told["securityContext"] == {"reference": context}


async def test_whoever_may_not_read_the_security_context_may_not_read_the_bytes(client):
    await put(client, observation("o1"), patient("p1"))
    made = await client.post(URL, binary(securityContext={"reference": "Observation/o1"}), content_type=AS_RESOURCE)
    assert made.status == 201
    assert (await client.call("DELETE", f"{FHIR}/Observation/o1")).status == 204
    for path in (address(made), f"{address(made)}/_history/1"):
        assert (await client.get(path)).status == 404
    await put(client, observation("o1"))
    assert (await client.get(address(made))).body == PDF


async def test_bytes_alone_do_not_take_a_security_context_away_and_a_resource_does(client):
    await put(client, patient("p1"))
    url = address(await post_raw(client, x_security_context="Patient/p1"))
    await client.call("PUT", url, body=b"more", headers={"content-type": "text/plain"})
    assert (await client.get(url)).headers["x-security-context"] == "Patient/p1"
    await client.put(url, binary(id=url.rpartition("/")[2]), content_type=AS_RESOURCE)
    assert "x-security-context" not in (await client.get(url)).headers


async def test_a_security_context_is_a_resource_that_is_there(client):
    for context, code in (("Patient/nobody", "reference_not_found"), ("https://x.example/Patient/1", "invalid_value")):
        reply = await post_raw(client, x_security_context=context)
        assert (reply.status, code_of(reply)) == (422, code)
        assert reply.json["issue"][0]["expression"] == ["securityContext"]


async def test_a_security_context_of_another_organisation_is_not_there(client, other_client):
    await put(other_client, patient("p1"))
    assert (await post_raw(client, x_security_context="Patient/p1")).status == 422
    theirs = await post_raw(other_client, x_security_context="Patient/p1")
    assert (await client.get(address(theirs))).status == 404


async def test_two_security_contexts_are_one_too_many(client):
    await put(client, patient("p1"), patient("p2"))
    body = binary(securityContext={"reference": "Patient/p1"})
    reply = await client.post(URL, body, content_type=AS_RESOURCE, x_security_context="Patient/p2")
    assert reply.status == 400


NAMED_BY_ITSELF = (
    b'{"resourceType":"Binary","contentType":"a/b","data":"QQ==","_data":{"extension":[{"url":"a:b","valueCode":"c"}]}}'
)
REFUSED = [
    (b"", "application/pdf", 400, "body_malformed"),
    (b"x" * (BINARY_BYTES_MAX + 1), "application/pdf", 413, "body_too_large"),
    (b"x", "application/fhir+xml", 415, "media_type_unsupported"),
    (b"x", "nonsense", 422, None),
    (b'{"resourceType":"Binary","contentType":"a/b"}', AS_RESOURCE, 422, "invalid_value"),
    (b'{"resourceType":"Binary","data":"QQ=="}', AS_RESOURCE, 422, None),
    (b'{"resourceType":"Binary","contentType":"a/b","data":"Q"}', AS_RESOURCE, 422, None),
    (NAMED_BY_ITSELF, AS_RESOURCE, 422, "invalid_value"),
    (b'{"resourceType":"Patient"}', AS_RESOURCE, 400, "type_mismatch"),
]


async def test_what_is_no_binary_is_refused_with_the_rule_and_nothing_is_kept(client, pool, org_id):
    before = await contents(pool, org_id)
    for body, media, status, code in REFUSED:
        reply = await post_raw(client, body, media)
        assert reply.status == status, (media, status)
        assert code is None or code_of(reply) == code
    assert await contents(pool, org_id) == before


async def test_bytes_without_a_content_type_and_conditions_on_bytes_are_refused(client):
    assert (await client.call("POST", URL, body=PDF)).status == 415
    assert (await post_raw(client, if_none_exist="contentType=a")).status == 400
    assert (await client.get(URL)).status == 405
    assert (await client.call("PATCH", f"{URL}/a", body=b"[]")).status == 405


async def test_an_attachment_leads_to_its_binary_in_both_doors(client):
    await put(client, patient("p1"))
    await client.call("PUT", f"{URL}/letter-1", body=PDF, headers={"content-type": "application/pdf"})
    document = {
        "resourceType": "DocumentReference",
        "id": "d1",
        "status": "current",
        "subject": {"reference": "Patient/p1"},
        "content": [{"attachment": {"contentType": "application/pdf", "url": "Binary/letter-1"}}],
    }
    await put(client, document)
    [told] = (await client.get(f"{FHIR}/DocumentReference/d1")).json["content"]
    assert (await client.get(f"{FHIR}/{told['attachment']['url']}")).body == PDF
    person = (await client.get("/api/v1/patients")).json["data"][0]["id"]
    [shown] = (await client.get(f"/api/v1/patients/{person}/documents")).json["data"]
    assert (await client.get(shown["parts"][0]["url"])).body == PDF
    assert (await client.call("DELETE", f"{FHIR}/DocumentReference/d1")).status == 204


async def test_bundles_carry_binaries_as_resources(client):
    key = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"
    document = {
        "resourceType": "DocumentReference",
        "status": "current",
        "content": [{"attachment": {"contentType": "application/pdf", "url": key}}],
    }
    entries = [
        {"fullUrl": key, "resource": binary(), "request": {"method": "POST", "url": "Binary"}},
        {"resource": document, "request": {"method": "POST", "url": "DocumentReference"}},
        {"request": {"method": "GET", "url": "Binary/none"}},
    ]
    sent = {"resourceType": "Bundle", "type": "transaction", "entry": entries[:2]}
    reply = await client.post(FHIR, sent, content_type=AS_RESOURCE, prefer="return=representation")
    assert reply.status == 200
    made, shown = (one["resource"] for one in reply.json["entry"])
    assert made["data"] == b64encode(PDF).decode()
    assert shown["content"][0]["attachment"]["url"] == f"Binary/{made['id']}"
    entries[2]["request"]["url"] = f"Binary/{made['id']}"
    batch = await client.post(FHIR, {**sent, "type": "batch", "entry": entries[::2]}, content_type=AS_RESOURCE)
    assert [one["response"]["status"][:3] for one in batch.json["entry"]] == ["201", "200"]
    assert batch.json["entry"][1]["resource"]["data"] == made["data"]
    for request in ({"method": "POST", "url": "Binary", "ifNoneExist": "_id=a"},
                    {"method": "DELETE", "url": "Binary?_id=a"}):  # fmt: skip
        refused = {**sent, "entry": [{"resource": binary(), "request": request}]}
        assert (await client.post(FHIR, refused, content_type=AS_RESOURCE)).status == 400


async def test_the_idempotency_key_makes_one_binary_of_two_requests(client):
    first, again = [await post_raw(client, idempotency_key="once") for _ in range(2)]
    assert address(first) == address(again)
    assert (await post_raw(client, b"other", idempotency_key="once")).status == 422


async def test_writing_bytes_needs_the_scope_of_writes(services, app, org_id, client):
    reader = await new_client(services, app, org_id, "fhir.read")
    made = await post_raw(client)
    assert (await reader.get(address(made))).status == 200
    for method, path in (("POST", URL), ("PUT", address(made)), ("DELETE", address(made))):
        assert (await reader.call(method, path, body=b"a", headers={"content-type": "text/plain"})).status == 403


async def test_versions_of_bytes_say_who_made_them_and_hold_none(client):
    for media in ("text/plain", "text/html"):
        await client.call("PUT", f"{URL}/scan", body=PDF, headers={"content-type": media})
    lineage = await client.get("/api/v1/lineage/Binary/scan", {"path": "Binary.contentType"})
    told = [(one["version"], one["values"]) for one in lineage.json["changes"]]
    assert told == [(2, ["text/html"]), (1, ["text/plain"])]
    assert b64encode(PDF) not in lineage.body + (await client.get("/api/v1/events")).body
    made = (await client.get(f"{FHIR}/Provenance?target=Binary/scan")).json["entry"][0]["resource"]
    assert made["target"] == [{"reference": "Binary/scan/_history/2"}]
    assert "nothing else" in (await client.get(f"{URL}/scan/_history")).json["issue"][0]["diagnostics"]
