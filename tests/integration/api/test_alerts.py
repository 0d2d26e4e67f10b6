"""Alerts over the API: what burns and who was told, rules over defaults, channels whose secrets never come out."""

from datetime import timedelta

import pytest
from tests.integration.alerts.watched import Lamp, Watched
from tests.integration.api.hub import new_client
from tests.integration.mail import MailServer

from chartwire.alerts.notices import deliver_due
from chartwire.alerts.observations import Observation
from chartwire.core.clock import instant, now
from simulators.webhook_sink import Behaviour, WebhookSink

CHANNELS, RULES, ALERTS = "/api/v1/alert-channels", "/api/v1/alert-rules", "/api/v1/alerts"
KEY = "0123456789abcdef0123456789abcdef"


@pytest.fixture
async def sink():
    receiver = await WebhookSink().serve()
    yield receiver
    await receiver.close()


@pytest.fixture
async def sandbox(pool, org_id):
    """The organisation may reach this machine."""
    async with pool.transaction(org_id) as tx:
        await tx.execute("update organisation set kind = 'sandbox'")


@pytest.fixture
def lamp():
    return Lamp()


@pytest.fixture
def watched(pool, engine_pool, org_id, lamp):
    return Watched(pool, engine_pool, org_id, {"feed_silence": lamp})


def pager(url="https://pager.example/v2", name="pager"):
    return {"name": name, "kind": "pagerduty", "settings": {"url": url}, "secrets": {"routing_key": KEY}}


def slack(url, name="chat"):
    return {"name": name, "kind": "slack", "secrets": {"url": url}}


def mail(port, **settings):
    whole = {"host": "127.0.0.1", "port": port, "security": "none", "sender": "hub@clinic.example",
             "recipients": ["it@clinic.example", "gone@clinic.example"]}  # fmt: skip
    return {"name": "office", "kind": "email", "settings": whole | settings}


async def test_a_channel_is_made_changed_by_its_version_and_removed(client, sandbox, sink) -> None:
    made = await client.post(CHANNELS, pager(sink.url))
    assert (made.status, made.json["secrets"], made.json["made"]) == (201, ["routing_key"], {})
    place = made.headers["location"]
    assert (await client.get(place)).headers["etag"] == made.headers["etag"] == '"v1"'
    changed = await client.patch(place, {"name": "night pager", "enabled": False}, if_match='"v1"')
    assert (changed.json["name"], changed.json["enabled"], changed.json["settings"]) == (
        "night pager",
        False,
        {"url": sink.url},
    )
    assert (await client.patch(place, {"name": "x"}, if_match='"v1"')).status == 412
    assert [one["name"] for one in (await client.get(CHANNELS)).json["data"]] == ["night pager"]
    assert (await client.call("DELETE", place)).status == 204
    assert (await client.get(place)).status == 404


async def test_secrets_go_in_and_never_come_out_and_those_made_here_are_told_once(client, sandbox, sink) -> None:
    made = await client.post(CHANNELS, {"name": "ops", "kind": "webhook", "settings": {"url": f"{sink.url}/ops"}})
    secret = made.json["made"]["secret"]
    place = made.headers["location"]
    first = await client.post(f"{place}/test", None)
    sink.add_secret(secret)
    second = await client.post(f"{place}/test", None)
    assert (first.json["delivered"], second.json["delivered"]) == (True, True)
    assert sink.received[-1].verified
    await client.patch(place, {"settings": {"url": f"{sink.url}/other"}})
    await client.post(f"{place}/test", None)
    assert (sink.received[-1].path, sink.received[-1].verified) == ("/other", True), "the secret stayed"
    for reply in (await client.get(place), await client.get(CHANNELS)):
        assert secret.encode() not in reply.body


async def test_who_does_not_know_a_secret_cannot_have_it_sent_elsewhere(client, sandbox, sink) -> None:
    place = (await client.post(CHANNELS, pager(f"{sink.url}/v2"))).headers["location"]
    elsewhere = {"settings": {"url": f"{sink.url}/elsewhere"}}
    refused = await client.patch(place, elsewhere)
    assert [(one["pointer"], one["code"]) for one in refused.json["errors"]] == [
        ("/secrets/routing_key", "secret_missing")
    ]
    assert (await client.patch(place, {"enabled": False})).status == 200
    assert (await client.patch(place, elsewhere | {"secrets": {"routing_key": "f" * 32}})).status == 200
    await client.post(f"{place}/test", None)
    assert KEY not in sink.received[-1].body


WRONG = (
    ({"kind": "slack"}, "/secrets/url", "secret_missing"),
    ({"kind": "slack", "secrets": {"url": "https://hooks.example", "token": "x"}}, "/secrets", "unknown_secret"),
    ({"kind": "slack", "secrets": {"url": "ftp://hooks.example"}}, "/secrets/url", "scheme"),
    ({"kind": "webhook", "settings": {"url": "http://127.0.0.1/x"}}, "/settings", "address_loopback"),
    ({"kind": "webhook", "settings": {"url": "https://x", "uri": "y"}}, "/settings", "invalid_value"),
    (
        {"kind": "webhook", "settings": {"url": "https://x"}, "secrets": {"secret": "s"}},
        "/secrets/secret",
        "webhook_secret",
    ),
    ({"kind": "pagerduty", "secrets": {"routing_key": "a\nb"}}, "/secrets/routing_key", "secret"),
    (mail(587, host="93.184.216.34", security="starttls", username="hub"), "/secrets/password", "password"),
    (mail(25, host="93.184.216.34", security="starttls"), "/settings", "port"),
    (mail(587, host="93.184.216.34"), "/settings", "plain_text"),
    (mail(587, recipients=["it@clinic.example\nRCPT TO:<x@y.example>"]), "/settings/recipients/0", "invalid_value"),
    (slack("https://hooks.example") | {"name": " x"}, "/name", "name"),
)


async def test_a_channel_that_can_tell_nobody_is_refused_with_the_place_and_the_rule(client) -> None:
    for wrong, pointer, code in WRONG:
        reply = await client.post(CHANNELS, {"name": "chat", **wrong})
        assert reply.status == 422, wrong
        assert [(one["pointer"], one["code"]) for one in reply.json["errors"]] == [(pointer, code)], wrong
        assert "regex" not in reply.json["detail"]
    assert (await client.get(CHANNELS)).json["data"] == []


async def test_a_test_notice_tells_what_came_of_it_and_what_to_mend(client, sandbox, sink) -> None:
    server = await MailServer(answers={"RCPT TO:<gone@clinic.example>": "550 no such user"}).serve()
    office = (await client.post(CHANNELS, mail(server.port))).headers["location"]
    partly = (await client.post(f"{office}/test", None)).json
    assert (partly["delivered"], partly["problem"]["code"]) == (True, "smtp_some_recipients")
    assert "[Chartwire info] Test: " in server.mails[0].message["Subject"]
    server.answers["RCPT"] = "550 relaying denied"
    refused = (await client.post(f"{office}/test", None)).json
    assert (refused["delivered"], refused["retryable"], refused["problem"]["code"]) == (False, False, "smtp_recipients")
    await server.close()

    chat = (await client.post(CHANNELS, slack(f"{sink.url}/services/x"))).headers["location"]
    sink.behaviours["/services/x"] = Behaviour(status=404)
    gone = (await client.post(f"{chat}/test", None)).json
    assert "Slack does not know this webhook" in gone["problem"]["problem"]
    sink.behaviours["/services/x"] = Behaviour(status=503)
    later = (await client.post(f"{chat}/test", None)).json
    assert (later["retryable"], later["problem"]["code"]) == (True, "http_503")


async def test_a_rule_takes_the_place_of_the_default_of_its_name_until_it_is_removed(client, sandbox, sink) -> None:
    await client.post(CHANNELS, pager(sink.url))
    before = {rule["name"]: rule for rule in (await client.get(RULES)).json["data"]}
    assert (before["dead_letters"]["id"], before["dead_letters"]["enabled"]) == (None, True)
    wanted = {"name": "dead_letters", "kind": "dead_letters", "threshold": 7, "channels": ["pager"],
              "escalation": [{"after_s": 600, "channels": ["pager"]}], "business_hours": {"zone": "Europe/Zurich"}}  # fmt: skip
    made = await client.post(RULES, wanted)
    assert (made.status, made.json["threshold"], made.json["measures"]) == (201, 7.0, "messages")
    place = made.headers["location"]
    again = await client.put(place, wanted | {"threshold": 9}, if_match=made.headers["etag"])
    assert (again.json["threshold"], again.json["version"]) == (9.0, 2)
    assert (await client.put(place, wanted, if_match=made.headers["etag"])).status == 412
    during = {rule["name"]: rule for rule in (await client.get(RULES)).json["data"]}
    assert during["dead_letters"] == again.json
    assert during.keys() == before.keys()
    assert (await client.call("DELETE", place)).status == 204
    assert {rule["name"]: rule for rule in (await client.get(RULES)).json["data"]} == before


async def test_a_rule_that_cannot_watch_is_refused_with_every_fault(client) -> None:
    wrong = {"name": "mine", "kind": "certificate_expiry", "channels": ["nobody"], "for_s": -1}
    reply = await client.post(RULES, wrong)
    assert reply.status == 422
    assert sorted(one["pointer"] for one in reply.json["errors"]) == ["/channels/0", "/for_s", "/kind"]


async def test_a_channel_that_rules_name_neither_goes_nor_changes_its_name(client, sandbox, sink) -> None:
    place = (await client.post(CHANNELS, pager(sink.url))).headers["location"]
    await client.post(CHANNELS, pager(sink.url, "other"))
    rule = {
        "name": "mine",
        "kind": "dead_letters",
        "channels": ["other"],
        "escalation": [{"after_s": 60, "channels": ["pager"]}],
    }
    rule_place = (await client.post(RULES, rule)).headers["location"]
    for reply in (await client.call("DELETE", place), await client.patch(place, {"name": "beeper"})):
        assert (reply.status, reply.json["code"]) == (409, "channel_in_use")
        assert "mine" in reply.json["detail"]
    await client.call("DELETE", rule_place)
    assert (await client.patch(place, {"name": "other"})).json["code"] == "channel_exists"
    assert (await client.patch(place, {"name": "beeper"})).status == 200


async def test_an_alert_shows_who_was_told_and_why_somebody_was_not(
    client, services, sandbox, sink, watched, lamp
) -> None:
    await client.post(CHANNELS, pager(f"{sink.url}/v2"))
    await client.post(CHANNELS, slack(f"{sink.url}/gone"))
    sink.behaviours["/gone"] = Behaviour(status=410)
    lamp.bad()
    await watched.look(now())
    await deliver_due(services.pool, watched.org, services.outbound, services.sealer)
    [listed] = (await client.get(ALERTS)).json["data"]
    told = (await client.get(f"{ALERTS}/{listed['id']}")).json
    assert (told["state"], told["rule"], told["summary"]) == ("firing", "feed_silence", "silent for 14 min")
    assert sorted((one["channel_name"], one["state"], one["error"]) for one in told["notices"]) == [
        ("chat", "dead", "http_410"), ("pager", "sent", None),
    ]  # fmt: skip


async def test_an_alert_is_snoozed_and_acknowledged_with_a_note_until_it_is_over(
    client, services, watched, lamp
) -> None:
    lamp.bad()
    await watched.look(now())
    [alert] = (await client.get(ALERTS)).json["data"]
    place = f"{ALERTS}/{alert['id']}"
    until = instant(now() + timedelta(hours=2))
    assert (await client.post(f"{place}/snooze", {"until": until})).json["snoozed_until"] == until
    assert (await client.post(f"{place}/snooze", {"until": instant(now())})).status == 422
    known = (await client.post(f"{place}/acknowledge", {"note": "restarting it"})).json
    assert (known["state"], known["note"]) == ("acknowledged", "restarting it")
    assert known["acknowledged_by"].startswith("key:")
    lamp.well()
    await watched.look(now())
    assert (await client.get(ALERTS)).json["data"] == []
    assert (await client.post(f"{place}/acknowledge", {})).json["code"] == "alert_over"
    [over] = (await client.get(ALERTS, {"state": "recovered", "severity": "warning", "rule": "feed_silence"})).json[
        "data"
    ]
    assert over["id"] == alert["id"]
    rows = await watched.rows("select action, resource_type from audit where action = 'resolve' order by id")
    assert [tuple(row.values()) for row in rows] == [("resolve", "Alert")] * 2


async def test_alerts_come_in_pages_newest_first(client, watched, lamp) -> None:
    lamp.things = [Observation(f"source:{number}", 1.0, "silent", bad=True) for number in range(5)]
    await watched.look(now())
    first = (await client.get(ALERTS, {"limit": "3"})).json
    second = (await client.get(ALERTS, {"limit": "3", "page_token": first["next_page_token"]})).json
    ids = [one["id"] for one in first["data"] + second["data"]]
    assert (len(first["data"]), len(set(ids)), second["has_more"]) == (3, 5, False)
    assert ids == sorted(ids, reverse=True)
    assert (await client.get(ALERTS, {"severity": "dire"})).status == 400


async def test_nothing_of_another_organisation_is_seen_or_touched(
    client, other_client, sandbox, sink, watched, lamp
) -> None:
    channel = (await client.post(CHANNELS, pager(sink.url))).headers["location"]
    rule = (await client.post(RULES, {"name": "mine", "kind": "dead_letters"})).headers["location"]
    lamp.bad()
    await watched.look(now())
    [alert] = (await client.get(ALERTS)).json["data"]
    for place in (channel, rule, f"{ALERTS}/{alert['id']}"):
        assert (await other_client.get(place)).status == 404
    for place in (channel, rule):
        assert (await other_client.call("DELETE", place)).status == 404
    assert (await other_client.post(f"{channel}/test", None)).status == 404
    assert (await other_client.post(f"{ALERTS}/{alert['id']}/acknowledge", {})).status == 404
    assert (await other_client.post(RULES, {"name": "x", "kind": "dead_letters", "channels": ["pager"]})).status == 422
    assert {one["id"] for one in (await other_client.get(RULES)).json["data"]} == {None}, "the defaults are everybody's"
    assert (await other_client.get(ALERTS)).json["data"] == (await other_client.get(CHANNELS)).json["data"] == []


async def test_reading_needs_one_scope_and_changing_another(services, app, org_id) -> None:
    reader = await new_client(services, app, org_id, "alerts.read")
    assert (await reader.get(RULES)).status == 200
    assert (await reader.post(RULES, {"name": "x", "kind": "dead_letters"})).status == 403
    stranger = await new_client(services, app, org_id, "sources.read")
    assert (await stranger.get(ALERTS)).status == 403
