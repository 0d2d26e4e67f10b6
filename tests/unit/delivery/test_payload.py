"""The thin envelope: exactly the agreed keys, opaque ids, and nothing that could be about the patient."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from chartwire.core.ids import from_prefixed, to_prefixed, uuid7
from chartwire.delivery.payload import BODY_BYTES_MAX, body_of, headers_of, webhook_id
from chartwire.delivery.signature import verify
from chartwire.events.outbox import Event

ORG = uuid7()


AT = datetime(2026, 11, 20, 8, 15, 30, 123456, tzinfo=UTC)


def event_of(**changes: Any) -> Event:
    facts: dict[str, Any] = {
        "type": "appointment.rescheduled",
        "resource_type": "Appointment",
        "resource_id": uuid7(),
        "version": 7,
        "patient_id": uuid7(),
        "changed": ("start", "end"),
        "message_id": uuid7(),
        "mode": "live",
    }
    return Event(**(facts | changes))


def test_the_envelope_has_the_agreed_keys_and_the_ids_lead_back_to_the_rows() -> None:
    event = event_of()
    body = orjson.loads(body_of(ORG, event, AT, "2026-11-20"))
    appointment = to_prefixed("apt", event.resource_id)
    assert body == {
        "id": webhook_id(event.id),
        "type": "appointment.rescheduled",
        "api_version": "2026-11-20",
        "created_at": "2026-11-20T08:15:30.123Z",
        "tenant": to_prefixed("org", ORG),
        "sequence": 7,
        "data": {
            "object": "appointment",
            "id": appointment,
            "version": 7,
            "links": {
                "self": f"/api/v1/appointments/{appointment}",
                "fhir": f"/fhir/R4/Appointment/{event.resource_id}",
            },
        },
        "changed": ["start", "end"],
    }
    assert from_prefixed("evt", body["id"]) == event.id


def test_a_provider_goes_by_the_practice_name_and_a_type_without_route_by_its_fhir_link() -> None:
    provider = orjson.loads(body_of(ORG, event_of(resource_type="Practitioner"), AT, "v", base_url="https://hub"))[
        "data"
    ]
    assert provider["object"] == "provider" and provider["links"]["self"].startswith(
        "https://hub/api/v1/providers/prv_"
    )
    other = orjson.loads(body_of(ORG, event_of(resource_type="Observation"), AT, "v"))["data"]
    assert other["object"] == "Observation" and list(other["links"]) == ["fhir"] and other["id"].startswith("obs_")


@pytest.mark.parametrize("type_", ["patient.merged", "patient.unmerged"])
def test_a_merge_carries_both_ids_and_nothing_else_of_its_detail(type_: str) -> None:
    survivor, loser = uuid7(), uuid7()
    detail = {"survivor_id": str(survivor), "loser_id": loser, "name": "CANARY"}
    raw = body_of(ORG, event_of(type=type_, resource_type="Patient", resource_id=survivor, detail=detail), AT, "v")
    data = orjson.loads(raw)["data"]
    assert (data["survivor_id"], data["loser_id"]) == (to_prefixed("pat", survivor), to_prefixed("pat", loser))
    assert b"CANARY" not in raw


def test_a_list_of_changes_beyond_the_bound_is_left_out_and_the_link_stays() -> None:
    raw = body_of(ORG, event_of(changed=("field",) * 20_000), AT, "v")
    assert len(raw) <= BODY_BYTES_MAX and orjson.loads(raw)["changed"] is None


def test_headers_are_signed_for_their_attempt_and_keep_id_and_correlation() -> None:
    event = event_of()
    body = body_of(ORG, event, AT, "v")
    first, later = (headers_of(event.id, body, [b"s" * 32], at, "msg_1") for at in (1000, 2000))
    assert first["webhook-id"] == later["webhook-id"] == webhook_id(event.id)
    assert first["Chartwire-Correlation-Id"] == later["Chartwire-Correlation-Id"] == "msg_1"
    assert first["webhook-signature"] != later["webhook-signature"]
    verify([b"s" * 32], later["webhook-id"], later["webhook-timestamp"], later["webhook-signature"], body, now_s=2001)
    assert "Chartwire-Correlation-Id" not in headers_of(event.id, body, [b"s" * 32], 1, "")
