"""What a write may change, whose word stands, and what is refused."""

import asyncio
import json

import pytest
from tests.integration.api.hub import a_patient, new_client
from tests.integration.feed import Feed, hl7, pid

from chartwire.core.ids import from_prefixed, to_prefixed

ANNA = {
    "name": {"family": "Weber", "given": ["Anna"]},
    "birth_date": "1980-01-02",
    "gender": "female",
    "identifiers": [{"type": "MR", "system": "urn:chartwire:authority:HOSP", "value": "1001"}],
    "phones": [{"number": "+1 416 555 0100", "use": "home"}],
}


@pytest.fixture
async def feed(pool, engine_pool, org_id):
    return await Feed(pool, engine_pool, org_id).open()


async def _anna(client):
    return (await client.post("/api/v1/patients", ANNA)).json


async def test_a_patch_touches_what_it_names_and_null_clears(client):
    path = (await _anna(client))["links"]["self"]
    media = {"content-type": "application/merge-patch+json"}
    told = (await client.patch(path, {"name": {"given": ["Anne"]}, "gender": None}, **media)).json
    assert (told["name"]["text"], told["gender"], told["birth_date"]) == ("Anne Weber", None, "1980-01-02")
    assert told["phones"] == [{"number": "+1 416 555 0100", "kind": "phone", "use": "home"}]


async def test_a_put_replaces_what_is_shown_and_leaves_what_is_not(client, record):
    patient = await record.save("Patient", a_patient(maritalStatus={"text": "Married"}))
    path = f"/api/v1/patients/{to_prefixed('pat', patient)}"
    told = (await client.put(path, {"name": {"family": "Okonkwo"}, "birth_date": "1984-02-29"})).json
    assert (told["gender"], told["phones"], told["identifiers"], told["mrn"]) == (None, [], [], None)
    assert (await client.get(told["links"]["fhir"])).json["maritalStatus"] == {"text": "Married"}


async def test_a_put_that_names_the_record_number_leaves_the_other_numbers_and_its_system(client, record):
    patient = await record.save("Patient", a_patient())
    path = f"/api/v1/patients/{to_prefixed('pat', patient)}"
    told = (await client.put(path, {"name": {"family": "Okonkwo"}, "mrn": "MRN-0002"})).json
    assert told["identifiers"] == [{"value": "MRN-0002", "system": "urn:chartwire:authority:HOSP_A", "type": "MR"}]


async def test_what_an_object_cannot_do_without_is_not_cleared(client):
    path = (await _anna(client))["links"]["self"]
    for body in ({"name": None}, {"name": {"family": None, "given": None, "text": None}}):
        reply = await client.patch(path, body)
        assert (reply.status, reply.json["errors"][0]["code"]) == (422, "required")
    assert (await client.put(path, {"gender": "male"})).json["errors"][0]["pointer"] == "/name"


async def test_what_was_read_can_be_put_back_and_changes_nothing(client, record):
    odd = [{"system": "phone", "value": "ring twice"}, {"system": "email", "value": "a@b", "use": "mobile"}]
    patient = await record.save("Patient", a_patient(telecom=odd, birthDate="1984-02"))
    path = f"/api/v1/patients/{to_prefixed('pat', patient)}"
    before = (await client.get(path)).json
    reply = await client.put(path, before)
    assert (reply.status, reply.json) == (200, before)
    assert (await client.get("/api/v1/events")).json["data"] == []


async def test_every_fault_of_a_body_is_told_at_once_by_its_place_and_never_by_its_value(client):
    secret = "Schnurrbart"
    body = {
        "name": {"famly": secret},
        "birth_date": f"{secret}",
        "phones": [{"number": "12"}, {"number": secret}],
        "emails": [{"address": secret}],
        "gender": secret,
        "brith_date": secret,
        "version": 7,
        "custom": {secret: 1},
        "timezone": secret,
        "mrn": f"{secret} ",
        "external_id": f" {secret}",
        "identifiers": [{"value": f"\u00a0{secret}"}],
    }
    reply = await client.post("/api/v1/patients", body)
    assert reply.status == 422
    places = {fault["pointer"] for fault in reply.json["errors"]}
    assert {"/name/family", "/birth_date", "/phones/0/number", "/phones/1/number", "/emails/0/address"} <= places
    assert {"/gender", "/version", "/custom", "/mrn", "/external_id", "/identifiers/0/value"} <= places
    assert secret not in reply.body.decode()


@pytest.mark.parametrize(
    ("data", "pointer", "code"),
    [
        ({"starts_at": "2026-12-01T09:00:00"}, "/starts_at", "timezone_needed"),
        ({"starts_at": "2026-10-25T02:30:00", "timezone": "Europe/Berlin"}, "/starts_at", "ambiguous_time"),
        ({"starts_at": "2026-03-29T02:30:00", "timezone": "Europe/Berlin"}, "/starts_at", "skipped_time"),
        ({"starts_at": "2026-12-01T09:00:00Z", "ends_at": "2026-12-01T08:00:00Z"}, "/ends_at", "not_after_start"),
        (
            {"starts_at": "2026-12-01T09:00:00Z", "ends_at": "2026-12-01T09:30:00Z", "duration_minutes": 20},
            "/duration_minutes",
            "contradicts_end",
        ),
        ({"starts_at": "2026-12-01T09:00:00Z", "timezone": "Europe/Atlantis"}, "/timezone", "unknown_timezone"),
        ({"starts_at": "2026-12-01T09:00:00Z", "cancel_reason": "Ill"}, "/cancel_reason", "only_when_cancelled"),
        ({"starts_at": "2026-12-01T09:00:00Z", "patient_id": "pat_1"}, "/patient_id", "invalid_id"),
    ],
)
async def test_times_and_references_that_cannot_be_are_refused_with_the_rule(client, data, pointer, code):
    patient = await _anna(client)
    reply = await client.post("/api/v1/appointments", {"patient_id": patient["id"], **data})
    assert reply.status == 422, reply.json
    assert [(fault["pointer"], fault["code"]) for fault in reply.json["errors"]] == [(pointer, code)]


async def test_an_external_id_names_one_object_and_a_second_post_writes_to_it(client):
    first = await client.post("/api/v1/patients", {**ANNA, "external_id": "E-1"})
    second = await client.post("/api/v1/patients", {"external_id": "E-1", "language": "fr"})
    assert (first.status, second.status, second.json["id"]) == (201, 200, first.json["id"])
    assert (second.json["language"], second.json["birth_date"], second.json["version"]) == ("fr", "1980-01-02", 2)
    found = await client.get("/api/v1/patients", {"external_id": "E-1"})
    assert [one["id"] for one in found.json["data"]] == [first.json["id"]]
    other = await client.post(
        "/api/v1/patients",
        {"external_id": "E-1", "name": {"family": "Zorn", "given": ["Ute"]}, "birth_date": "1955-07-31"},
    )
    assert (other.status, other.json["code"]) == (409, "another_person")


async def test_an_external_id_that_is_taken_back_is_free_again(client):
    first = await client.post("/api/v1/patients", {**ANNA, "external_id": "E-1"})
    await client.patch(first.json["links"]["self"], {"external_id": "E-2"})
    second = await client.post("/api/v1/patients", {"external_id": "E-1", "name": {"family": "Zorn"}})
    assert (second.status, second.json["id"] != first.json["id"]) == (201, True)


async def test_a_number_of_another_record_is_refused_and_names_that_record(client):
    first = await _anna(client)
    reply = await client.post("/api/v1/patients", {**ANNA, "name": {"family": "Zorn"}})
    assert (reply.status, reply.json["code"]) == (409, "duplicate")
    assert first["id"] in reply.json["errors"][0]["detail"]
    provider = {"name": {"family": "Lee"}, "npi": "1234567893"}
    assert (await client.post("/api/v1/providers", provider)).status == 201
    assert (await client.post("/api/v1/providers", provider)).json["code"] == "duplicate"


async def test_a_feed_finds_the_patient_that_the_api_made_and_its_later_word_stands(client, feed):
    made = await _anna(client)
    await feed.send(hl7("ADT^A08", pid(f13="^PRN^PH^^1^416^5550199"), at="20990101120000"))
    told = (await client.get(made["links"]["self"])).json
    assert told["version"] == 2
    assert [one["number"] for one in told["phones"]] == ["+1 416 5550199", "+1 416 555 0100"]


async def test_a_mrn_without_a_system_is_of_the_only_feed_s_authority(client, feed):
    made = (await client.post("/api/v1/patients", {"name": ANNA["name"], "mrn": "1001"})).json
    await feed.send(hl7("ADT^A08", pid(), at="20990101120000"))
    assert (await client.get(made["links"]["self"])).json["birth_date"] == "1980-01-02"


async def test_a_message_recorded_before_a_write_does_not_undo_it_and_one_after_it_counts(client, feed):
    await feed.send(hl7("ADT^A04", pid(f13="^PRN^PH^^1^416^5550100", f11="1 Main^^Town"), at="20260101120000"))
    [patient] = (await client.get("/api/v1/patients", {"mrn": "1001"})).json["data"]
    path = patient["links"]["self"]
    phones = [{"number": "+1 416 555 0777"}]
    await client.patch(path, {"phones": phones, "birth_date": "1980-01-03"})
    await feed.send(hl7("ADT^A08", pid(f13="^PRN^PH^^1^416^5550111"), at="20260201120000"))
    told = (await client.get(path)).json
    assert ([one["number"] for one in told["phones"]], told["birth_date"]) == (["+1 416 555 0777"], "1980-01-03")
    await feed.send(hl7("ADT^A08", pid(f13="^PRN^PH^^1^416^5550122"), at="20990101120000"))
    told = (await client.get(path)).json
    assert [one["number"] for one in told["phones"]] == ["+1 416 5550122", "+1 416 555 0777"]
    assert told["birth_date"] == "1980-01-02"


async def test_a_write_speaks_after_what_stands_though_a_feed_s_clock_is_ahead(client, feed):
    await feed.send(hl7("ADT^A04", pid(), at="20990101120000"))
    [patient] = (await client.get("/api/v1/patients", {"mrn": "1001"})).json["data"]
    told = (await client.patch(patient["links"]["self"], {"gender": "male"})).json
    assert told["gender"] == "male"


async def test_what_a_source_of_higher_rank_sets_is_not_for_the_api_to_change(client, pool, engine_pool, org_id):
    feed = await Feed(pool, engine_pool, org_id, rank=50).open()
    await feed.send(hl7("ADT^A04", pid()))
    [patient] = (await client.get("/api/v1/patients", {"mrn": "1001"})).json["data"]
    refused = await client.patch(patient["links"]["self"], {"gender": "male", "language": "fr"})
    assert (refused.status, refused.json["code"]) == (409, "outranked")
    assert "/gender" in refused.json["detail"]
    assert (await client.patch(patient["links"]["self"], {"language": "fr"})).json["language"] == "fr"


async def test_the_lineage_of_a_write_names_the_key_the_request_and_the_member(client, feed):
    await feed.send(hl7("ADT^A04", pid()))
    [patient] = (await client.get("/api/v1/patients", {"mrn": "1001"})).json["data"]
    await client.patch(patient["links"]["self"], {"gender": "male"}, **{"x-request-id": "req-77"})
    [now, _] = (await client.get(f"/api/v1/lineage/Patient/{patient['id']}")).json["versions"]
    [part] = now["elements"]["gender"]
    assert (part["source_id"][:4], part["message_id"], part["field"]) == ("key_", "req-77", "/gender")
    assert now["elements"]["birthDate"][0]["field"] == "PID-7"


async def test_a_merged_patient_is_not_written_to_and_names_the_survivor(client, feed):
    await feed.send(
        hl7("ADT^A04", pid("1001")), hl7("ADT^A04", pid("2002")), hl7("ADT^A40", pid("2002"), "MRG|1001^^^HOSP^MR")
    )
    survivor, loser = [
        (await client.get("/api/v1/patients", {"mrn": mrn, "status": status})).json["data"][0]["id"]
        for mrn, status in (("2002", "active"), ("1001", "merged"))
    ]
    reply = await client.patch(f"/api/v1/patients/{loser}", {"gender": "male"})
    assert (reply.status, reply.json["code"]) == (409, "merged")
    assert survivor in reply.json["detail"]
    booking = {"patient_id": loser, "starts_at": "2026-12-01T09:00:00Z"}
    assert (await client.post("/api/v1/appointments", booking)).json["code"] == "merged"


async def test_if_match_lets_one_of_a_hundred_win_each_version(client):
    made = await _anna(client)
    path = made["links"]["self"]
    replies = await asyncio.gather(
        *(client.patch(path, {"language": f"de-{n}"}, **{"if-match": '"v1"'}) for n in range(100))
    )
    assert sorted(reply.status for reply in replies) == [200, *[412] * 99]
    lost = next(reply for reply in replies if reply.status == 412)
    assert (lost.headers["etag"], (await client.get(path)).json["version"]) == ('"v2"', 2)


async def test_concurrent_patches_of_different_members_all_stand(client):
    path = (await _anna(client))["links"]["self"]
    bodies = [{"gender": "male"}, {"language": "fr"}, {"deceased": True}, {"emails": [{"address": "a@b.org"}]}]
    await asyncio.gather(*(client.patch(path, body) for body in bodies))
    told = (await client.get(path)).json
    assert (told["gender"], told["language"], told["deceased"], told["version"]) == ("male", "fr", True, 5)
    assert told["emails"] == [{"address": "a@b.org", "use": None}]


async def test_concurrent_posts_of_one_external_id_make_one_object(client):
    bodies = [{"external_id": "E-9", "name": {"family": "Weber"}, "language": f"de-{n}"} for n in range(12)]
    replies = await asyncio.gather(*(client.post("/api/v1/patients", body) for body in bodies))
    assert {reply.status for reply in replies} <= {200, 201}
    assert len({reply.json["id"] for reply in replies}) == 1
    assert [reply.status for reply in replies].count(201) == 1


async def test_another_organisation_s_objects_are_not_there_to_write(client, other_client):
    made = await _anna(client)
    for call in (other_client.patch, other_client.put):
        assert (await call(made["links"]["self"], {"name": {"family": "X"}})).status == 404
    booking = {"patient_id": made["id"], "starts_at": "2026-12-01T09:00:00Z"}
    assert (await other_client.post("/api/v1/appointments", booking)).json["code"] == "reference_not_there_yet"


async def test_a_key_that_may_only_read_writes_nothing(client, services, app, org_id):
    made = await _anna(client)
    reader = await new_client(services, app, org_id, "patients.read")
    assert (await reader.patch(made["links"]["self"], {"gender": "male"})).json["code"] == "scope_missing"


async def test_a_patient_cannot_be_deleted(client):
    reply = await client.call("DELETE", (await _anna(client))["links"]["self"])
    assert (reply.status, "DELETE" in reply.headers["allow"]) == (405, False)


async def test_a_status_that_the_api_set_gives_way_to_a_feed_s_later_word(client, feed):
    scheduled = ["SCH|P1^X|F1^Y||||^CHECKUP|||30|min|^^^20260320080000||||||||||||||BOOKED", pid()]
    await feed.send(hl7("SIU^S12", *scheduled, at="20260301120000"))
    [booked] = (await client.get("/api/v1/appointments")).json["data"]
    path = booked["links"]["self"]
    assert (await client.post(f"{path}/confirm", {})).json["status"] == "confirmed"
    await feed.send(hl7("SIU^S14", *scheduled, at="20260301130000"))
    assert (await client.get(path)).json["status"] == "confirmed"
    await feed.send(hl7("SIU^S15", scheduled[0].replace("BOOKED", "CANCELLED"), pid(), at="20990101120000"))
    assert (await client.get(path)).json["status"] == "cancelled"


async def test_an_unusual_move_by_a_feed_is_made_and_noted(client, feed):
    scheduled = ["SCH|P1^X|F1^Y||||^CHECKUP|||30|min|^^^20260320080000||||||||||||||COMPLETE", pid()]
    await feed.send(hl7("SIU^S12", *scheduled, at="20260301120000"))
    [message] = await feed.send(hl7("SIU^S14", scheduled[0].replace("COMPLETE", "BOOKED"), pid(), at="20260301130000"))
    [row] = await feed.rows("select outcome from message where id = $1", message)
    assert ["unusual_move", "SCH-25"] in json.loads(row["outcome"])["findings"]
    assert [one["status"] for one in (await client.get("/api/v1/appointments")).json["data"]] == ["booked"]


async def test_the_events_of_a_write_are_named_like_those_of_a_feed(client):
    patient = await _anna(client)
    booking = {"patient_id": patient["id"], "starts_at": "2026-12-01T09:00:00Z", "duration_minutes": 20}
    path = (await client.post("/api/v1/appointments", booking)).json["links"]["self"]
    await client.post(f"{path}/reschedule", {"starts_at": "2026-12-02T09:00:00Z"})
    await client.post(f"{path}/confirm", {})
    removed = await client.call("DELETE", path)
    told = [one["type"] for one in (await client.get("/api/v1/events")).json["data"]]
    words = ["booked", "rescheduled", "confirmed", "removed"]
    assert (removed.status, told) == (204, ["patient.created", *(f"appointment.{word}" for word in words)])


async def test_custom_values_are_checked_stored_and_found(client):
    field = {
        "noun": "patient",
        "name": "insurer",
        "type": "code",
        "label": "Insurer",
        "values": ["aok", "tk"],
        "searchable": True,
    }
    assert (await client.post("/api/v1/custom-fields", field)).status == 201
    refused = await client.post("/api/v1/patients", {**ANNA, "custom": {"insurer": "dak"}})
    assert [fault["pointer"] for fault in refused.json["errors"]] == ["/custom/insurer"]
    made = (await client.post("/api/v1/patients", {**ANNA, "custom": {"insurer": "aok"}})).json
    assert made["custom"] == {"insurer": "aok"}
    found = (await client.get("/api/v1/patients", {"custom.insurer": "aok"})).json["data"]
    assert [one["id"] for one in found] == [made["id"]]
    assert (await client.patch(made["links"]["self"], {"custom": {"insurer": None}})).json["custom"] == {}


async def test_the_audit_names_the_patient_that_was_written(client, record):
    made = await _anna(client)
    rows = [row for row in await record.audit_rows() if row["action"] == "create" and row["resource_type"] == "Patient"]
    assert rows[-1]["patient_ids"] == [from_prefixed("pat", made["id"])]
