"""The histories of a resource, a type, and everything."""

from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import asyncpg
from tests.integration.api.hub import a_patient

MORNING = datetime(2026, 3, 1, 8, tzinfo=UTC)


async def walked(client, path, query=None):
    """Every entry of every page, and how many pages there were."""
    entries, pages = [], 0
    reply = await client.get(path, query)
    while True:
        assert reply.status == 200, reply.body
        pages += 1
        bundle = reply.json
        assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "history")
        entries += bundle.get("entry", [])
        following = [link["url"] for link in bundle["link"] if link["relation"] == "next"]
        if not following:
            return entries, pages
        address = urlsplit(following[0])
        reply = await client.get(f"{address.path}?{address.query}")


def told(entries):
    return [(one["request"]["method"], one["request"]["url"], one["response"]["etag"]) for one in entries]


async def three_versions(record):
    wanted = await record.save("Patient", a_patient(), at=MORNING)
    body = a_patient(family="Newname", id=str(wanted))
    await record.save("Patient", body, version=2, at=MORNING + timedelta(hours=1))
    await record.save("Patient", body, version=3, at=MORNING + timedelta(hours=2), deleted=True)
    return wanted


async def test_every_version_of_a_resource_is_told_newest_first_with_the_request_that_made_it(client, record):
    wanted = await three_versions(record)
    reply = await client.get(f"/fhir/R4/Patient/{wanted}/_history")
    bundle = reply.json
    assert bundle["total"] == 3
    deletion, update, creation = bundle["entry"]
    assert told(bundle["entry"]) == [
        ("DELETE", f"Patient/{wanted}", 'W/"3"'),
        ("PUT", f"Patient/{wanted}", 'W/"2"'),
        ("POST", "Patient", 'W/"1"'),
    ]
    assert "resource" not in deletion
    assert [one["response"]["status"][:3] for one in bundle["entry"]] == ["204", "200", "201"]
    assert update["resource"]["name"][0]["family"] == "Newname"
    assert creation["response"]["lastModified"] == "2026-03-01T08:00:00.000Z"
    assert {one["fullUrl"] for one in bundle["entry"]} == {f"http://localhost/fhir/R4/Patient/{wanted}"}


async def test_a_history_is_walked_page_by_page_without_gap_or_repetition(client, record):
    wanted = await three_versions(record)
    entries, pages = await walked(client, f"/fhir/R4/Patient/{wanted}/_history", {"_count": "2"})
    assert [one["response"]["etag"] for one in entries] == ['W/"3"', 'W/"2"', 'W/"1"']
    assert pages == 2


async def test_since_leaves_out_what_was_changed_before(client, record):
    wanted = await three_versions(record)
    for since, versions in (
        ("2026-03-01T09:00:00Z", ['W/"3"', 'W/"2"']),
        ("2026-03-01T10:30:00+01:00", ['W/"3"']),
        ("2026-03-02", []),
        ("2026", ['W/"3"', 'W/"2"', 'W/"1"']),
    ):
        for path in (f"/fhir/R4/Patient/{wanted}/_history", "/fhir/R4/Patient/_history", "/fhir/R4/_history"):
            entries, _ = await walked(client, path, {"_since": since})
            assert [one["response"]["etag"] for one in entries] == versions, (since, path)
    assert (await client.get("/fhir/R4/_history", {"_since": "yesterday"})).status == 400


async def test_histories_of_types_mix_resources_in_order_of_change_and_page_through_equal_instants(client, record):
    for number in range(7):
        await record.save("Patient", a_patient(mrn=f"M{number}"), at=MORNING)
        await record.save("Observation", {"status": "final", "code": {"text": "x"}}, at=MORNING)
    await three_versions(record)
    everything, pages = await walked(client, "/fhir/R4/_history", {"_count": "3"})
    assert (len(everything), pages) == (17, 6)
    assert len({(one["fullUrl"], one["response"]["etag"]) for one in everything}) == 17
    moments = [one["response"]["lastModified"] for one in everything]
    assert moments == sorted(moments, reverse=True)
    patients, _ = await walked(client, "/fhir/R4/Patient/_history", {"_count": "4"})
    assert len(patients) == 10
    assert {one["fullUrl"].split("/")[-2] for one in patients} == {"Patient"}


async def test_a_history_of_types_ends_before_what_may_still_come_to_light(client, record, database):
    writer = await asyncpg.connect(database.app_dsn)
    try:
        before = await record.save("Patient", a_patient())
        transaction = writer.transaction()
        await transaction.start()
        await writer.execute("select 1")
        await record.save("Patient", a_patient(mrn="M2"))
        entries, _ = await walked(client, "/fhir/R4/Patient/_history")
        assert [one["resource"]["id"] for one in entries] == [str(before)]
        await transaction.rollback()
        entries, _ = await walked(client, "/fhir/R4/Patient/_history")
        assert len(entries) == 2
    finally:
        await writer.close()


async def test_what_never_was_and_what_is_another_organisations_has_no_history(client, other_client, record):
    wanted = await record.save("Patient", a_patient())
    for caller, path in (
        (client, "/fhir/R4/Patient/example/_history"),
        (other_client, f"/fhir/R4/Patient/{wanted}/_history"),
        (client, f"/fhir/R4/Observation/{wanted}/_history"),
        (client, "/fhir/R4/Nonsense/_history"),
    ):
        assert (await caller.get(path)).status == 404, path
    assert "entry" not in (await other_client.get("/fhir/R4/_history")).json


async def test_a_page_token_is_of_use_to_nobody_else_and_nowhere_else(client, other_client, record):
    for number in range(3):
        await record.save("Patient", a_patient(mrn=f"M{number}"))
    first = (await client.get("/fhir/R4/Patient/_history", {"_count": "1"})).json
    [link] = [link["url"] for link in first["link"] if link["relation"] == "next"]
    query = urlsplit(link).query
    for caller, path in (
        (other_client, f"/fhir/R4/Patient/_history?{query}"),
        (client, f"/fhir/R4/_history?{query}"),
        (client, f"/fhir/R4/Patient/_history?{query}&_count=3"),
        (client, f"/fhir/R4/Patient/_history?{query[:-4]}"),
    ):
        assert (await caller.get(path)).status == 400, path


async def test_an_unknown_parameter_is_passed_over_unless_the_caller_is_strict(client, record):
    await record.save("Patient", a_patient())
    assert (await client.get("/fhir/R4/Patient/_history", {"_foo": "1"})).status == 200
    strict = await client.get("/fhir/R4/Patient/_history", {"_foo": "1"}, prefer="handling=strict")
    assert strict.status == 400
    assert strict.json["issue"][0]["details"]["coding"][0]["code"] == "unknown_parameter"
