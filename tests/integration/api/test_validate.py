"""Messages tried by API: nothing is stored, the settings of a source count, and another organisation's do not."""

from tests.integration.api.hub import new_client
from tests.integration.feed import hl7, pid

from chartwire.channels.sources import create_source
from chartwire.core.ids import to_prefixed, uuid7
from chartwire.core.source import IdentifierRule, Source

TEXT = {"content-type": "application/hl7-v2"}
MESSAGE = hl7("ADT^A01", pid("100", "Doe"))


async def tried(client, data, query=None, path="/api/v1/hl7/validate", **headers):
    return await client.call("POST", path, query, body=data, headers={**TEXT, **headers})


async def test_a_message_is_told_its_issues_its_answer_and_what_it_would_become(client, pool, org_id):
    reply = await tried(client, MESSAGE)
    assert reply.status == 200, reply.body
    assert reply.json["object"] == "hl7_validation"
    (one,) = reply.json["messages"]
    assert one["event"] == "ADT^A01"
    assert one["ack"]["code"] == "AA"
    assert one["ack"]["message"].startswith("MSH|")
    assert one["map"] == "ADT^A01"
    assert {entry["resource"]["resourceType"] for entry in one["bundle"]["entry"]} >= {"Patient"}
    assert one["counts"]["error"] == sum(issue["severity"] == "error" for issue in one["issues"])
    async with pool.transaction(org_id) as tx:
        assert await tx.fetchval("select count(*) from message") == 0
        assert await tx.fetchval("select count(*) from resource") == 0


async def a_source(pool, org, **settings):
    source = Source(org=org, id=uuid7(), name=f"feed-{uuid7()}", authority="HOSP", **settings)
    await create_source(pool, source, "plain")
    return to_prefixed("src", source.id)


async def test_the_settings_of_a_source_of_the_organisation_count(client, other_client, pool, org_id):
    only_visits = await a_source(pool, org_id, identifiers=(IdentifierRule("", "VN"),))
    without = await tried(client, MESSAGE)
    by_source = await tried(client, MESSAGE, {"source": only_visits})
    assert without.json["messages"][0]["refused"] is None
    assert by_source.json["messages"][0]["refused"]["code"] == "patient_identifier_missing"
    strict = await a_source(pool, org_id, strictness=(("segment_missing", "refuse"),))
    assert (await tried(client, MESSAGE, {"source": strict})).json["messages"][0]["ack"]["code"] == "AE"
    foreign = await tried(other_client, MESSAGE, {"source": strict})
    assert (foreign.status, foreign.json["code"]) == (404, "unknown_id")


async def test_several_messages_are_told_one_by_one_up_to_a_bound(client):
    two = await tried(client, MESSAGE + hl7("ADT^A08", pid("101")))
    assert [(one["index"], one["event"]) for one in two.json["messages"]] == [(1, "ADT^A01"), (2, "ADT^A08")]
    assert two.json["counts"]["error"] == sum(one["counts"]["error"] for one in two.json["messages"])
    many = await tried(client, b"".join(hl7("ADT^A08", pid(str(n))) for n in range(101)))
    assert (many.status, many.json["code"]) == (422, "invalid_body")


async def test_another_version_can_be_asked_for(client):
    with_code = hl7("ADT^A01", "EVN|A01|20260301120000", pid(), "PV1|1|I")
    assert (await tried(client, with_code)).json["messages"][0]["counts"]["information"] == 0
    later = (await tried(client, with_code, {"version": "2.8"})).json["messages"][0]
    assert "field_withdrawn" in {issue["rule"] for issue in later["issues"]}


async def test_a_message_becomes_a_bundle_or_a_problem_that_names_the_place(client):
    reply = await tried(client, MESSAGE, path="/api/v1/hl7/convert")
    assert reply.status == 200
    assert reply.headers["content-type"] == "application/fhir+json"
    assert reply.json["resourceType"] == "Bundle"
    refused = await tried(client, hl7("DFT^P03", pid()), path="/api/v1/hl7/convert")
    assert (refused.status, refused.json["errors"][0]["pointer"]) == (422, "/MSH-9")
    two = await tried(client, MESSAGE + MESSAGE, path="/api/v1/hl7/convert")
    assert two.status == 422


async def test_what_is_no_text_or_may_not_be_asked_is_refused(client, services, app, org_id):
    assert (await client.post("/api/v1/hl7/validate", {"message": "MSH"})).status == 415
    unreadable = await tried(client, b"\x00\xff")
    assert unreadable.json["messages"][0]["issues"][0]["rule"] == "unreadable"
    narrow = await new_client(services, app, org_id, "patients.read")
    assert (await tried(narrow, MESSAGE)).status == 403


async def test_trying_a_message_is_audited(client, pool, org_id):
    await tried(client, MESSAGE)
    async with pool.transaction(org_id) as tx:
        row = await tx.fetchrow("select query_shape, row_count from audit order by id desc limit 1")
    assert (row["query_shape"], row["row_count"]) == ("POST /api/v1/hl7/validate", 1)
