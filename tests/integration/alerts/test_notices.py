"""Notices arrive at real receivers, each once under one id, in the words of each; what fails is tried for a day."""

import asyncio
import json
import sys
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook
from tests.integration.alerts.told import Told
from tests.integration.alerts.watched import Lamp, Watched
from tests.integration.mail import MailServer

from chartwire.alerts import standing
from chartwire.alerts.notices import WAITS_S, deliver_due
from chartwire.alerts.rounds import Rounds
from chartwire.delivery.signature import new_secret
from chartwire.trust.outbound import Outbound
from chartwire.trust.seal import Sealer
from simulators.webhook_sink import Behaviour, WebhookSink

NOON = datetime.now(UTC).replace(microsecond=0)
SECRET = new_secret()


@pytest.fixture(autouse=True)
def at_noon(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is noon when a test begins: what people do is told by the real clock."""
    monkeypatch.setattr(sys.modules[__name__], "NOON", datetime.now(UTC).replace(microsecond=0))


def after(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


@pytest.fixture
async def sink():
    receiver = await WebhookSink().serve()
    yield receiver
    await receiver.close()


@pytest.fixture
async def mail():
    server = await MailServer().serve()
    yield server
    await server.close()


@pytest.fixture
async def told(pool, engine_pool, org_id):
    lamp, door = Lamp(), Outbound()
    async with pool.transaction(org_id) as tx:
        await tx.execute("update organisation set kind = 'sandbox'")
    yield Told(Watched(pool, engine_pool, org_id, {"feed_silence": lamp}), lamp, door, Sealer(b"k" * 32))
    await door.close()


async def bout(told, *, text="ADT silent for 14 min") -> str:
    """One bout from its start to its end, acknowledged between; the alert's id as people see it."""
    await told.look(after(0), bad=True, text=text)
    await told.deliver(after(0))
    async with told.watched.pool.transaction(told.watched.org) as tx:
        [alert] = await standing.list_alerts(tx, told.watched.access, standing.Wanted(), 10)
        await standing.acknowledge(tx, told.watched.access, alert.id, "the laboratory restarts <its> interface")
    await told.deliver(after(1))
    await told.look(after(30), bad=False)
    await told.deliver(after(30))
    return str(alert.id)


def parts(block) -> list[dict[str, str]]:
    """The texts of a block of Slack: a section has `text` or `fields`, a context `elements`."""
    return [block["text"]] if "text" in block else block[{"section": "fields", "context": "elements"}[block["type"]]]


async def webhook(told, sink, path="/alerts"):
    return await told.channel("ops", "webhook", {"url": sink.url + path}, {"secret": SECRET})


async def test_a_bout_opens_acknowledges_and_resolves_one_incident_of_pagerduty(told, sink) -> None:
    await told.channel("pager", "pagerduty", {"url": f"{sink.url}/v2/enqueue"}, {"routing_key": "r" * 32})
    await bout(told)
    events = [json.loads(one.body) for one in sink.received]
    assert [event["event_action"] for event in events] == ["trigger", "acknowledge", "resolve"]
    assert len({event["dedup_key"] for event in events}) == 1
    assert {event["routing_key"] for event in events} == {"r" * 32}
    first = events[0]
    assert first["payload"]["summary"] == "ADT silent for 14 min (Lindenhof clinic)"
    assert (first["payload"]["severity"], first["payload"]["class"]) == ("warning", "feed_silence")
    assert [one["href"] for one in first["links"]] == [
        "https://hub.example/docs/guide/runbooks/feed-silent",
        f"https://hub.example/api/v1/alerts/{first['dedup_key']}",
    ]
    assert events[2]["payload"]["custom_details"]["note"] == "the laboratory restarts <its> interface"


async def test_slack_gets_text_that_cannot_become_markup(told, sink) -> None:
    await told.channel("ops", "slack", {}, {"url": f"{sink.url}/services/T0/B0/x"})
    await bout(told, text="<!channel> & more")
    start, acknowledged, recovery = [json.loads(one.body) for one in sink.received]
    assert start["text"] == "[warning] &lt;!channel&gt; &amp; more (Lindenhof clinic)"
    assert start["blocks"][-1]["elements"][1]["text"].startswith("<https://hub.example/api/v1/alerts/alr_")
    assert "restarts &lt;its&gt; interface" in json.dumps(acknowledged["blocks"])
    assert recovery["text"].startswith("[warning] Recovered: ")
    assert not any("Note" in json.dumps(block) for block in start["blocks"]), "what is empty is left out"
    for message in (start, acknowledged, recovery):
        texts = [text for block in message["blocks"] for text in parts(block)]
        assert all(text["type"] == "mrkdwn" and text["text"] for text in texts), "Slack refuses a message with a hole"


async def test_teams_gets_a_card_whose_colour_says_whether_it_is_over(told, sink) -> None:
    await told.channel("ops", "teams", {}, {"url": f"{sink.url}/workflows/1?sig=x"})
    await bout(told)
    cards = [json.loads(one.body)["attachments"][0]["content"] for one in sink.received]
    assert [card["body"][0]["color"] for card in cards] == ["warning", "warning", "good"]
    assert cards[2]["body"][0]["text"] == "Recovered: ADT silent for 14 min"
    assert {"title": "Since", "value": f"{NOON:%Y-%m-%d %H:%M} UTC (30 min)"} in cards[2]["body"][1]["facts"]


async def test_a_webhook_is_signed_and_its_id_is_the_notice(told, sink) -> None:
    await webhook(told, sink)
    await bout(told)
    for one in sink.received:
        Webhook(SECRET).verify(one.body, one.headers)
    bodies = [json.loads(one.body) for one in sink.received]
    assert [body["type"] for body in bodies] == ["alert.started", "alert.acknowledged", "alert.recovered"]
    assert [body["id"] for body in bodies] == [one.headers["webhook-id"] for one in sink.received]
    assert len({body["id"] for body in bodies}) == 3
    assert len({body["data"]["id"] for body in bodies}) == 1


async def test_the_mails_of_a_bout_are_one_thread(told, mail) -> None:
    settings = {"host": "127.0.0.1", "port": mail.port, "security": "none", "sender": "hub@clinic.example",
                "recipients": ["nurse@clinic.example", "it@clinic.example"]}  # fmt: skip
    await told.channel("office", "email", settings, {})
    await bout(told, text="Wähler & Söhne: ADT silent\r\nBcc: everybody@example.com")
    messages = [one.message for one in mail.mails]
    assert [one.recipients for one in mail.mails] == [["nurse@clinic.example", "it@clinic.example"]] * 3
    assert messages[0]["Subject"] == "[Chartwire warning] Wähler & Söhne: ADT silent Bcc: everybody@example.com"
    assert "Bcc" not in messages[0]
    assert len({message["References"] for message in messages}) == 1
    assert len({message["Message-ID"] for message in messages}) == 3
    assert "In-Reply-To" not in messages[0]
    assert messages[2]["In-Reply-To"] == messages[0]["References"]
    body = messages[2].get_content()
    assert "Recovered: Wähler" in body
    assert f"Since:        {NOON:%Y-%m-%d %H:%M} UTC (30 min)" in body
    assert "Note:         the laboratory restarts <its> interface" in body


async def test_without_an_address_of_the_installation_notices_carry_no_link(told, sink) -> None:
    await told.channel("pager", "pagerduty", {"url": f"{sink.url}/v2/enqueue"}, {"routing_key": "r" * 32})
    await told.look(after(0), bad=True)
    await told.deliver(after(0), base_url="")
    event = json.loads(sink.received[0].body)
    assert not {"links", "client_url"} & event.keys()


async def test_what_fails_for_now_is_sent_again_under_the_same_id_and_body(told, sink) -> None:
    await webhook(told, sink)
    sink.behaviours["/alerts"] = Behaviour(status=503, times=2)
    await told.look(after(0), bad=True)
    for minutes in (0, 0.4, 0.6, 1, 2):
        await told.deliver(after(minutes))
    assert await told.states() == [("start", "sent", 3, None)]
    assert len({(one.headers["webhook-id"], one.body) for one in sink.received}) == 1


async def test_after_a_day_of_failures_a_notice_is_dead_and_says_why(told, sink) -> None:
    await webhook(told, sink)
    sink.behaviours["/alerts"] = Behaviour(status=500)
    await told.look(after(0), bad=True)
    at = NOON
    for wait_s in (0, *WAITS_S):
        assert (await told.states())[0][1] == "pending"
        at += timedelta(seconds=wait_s)
        await told.deliver(at)
    assert await told.states() == [("start", "dead", len(WAITS_S) + 1, "http_500")]
    assert timedelta(hours=23) < at - NOON < timedelta(hours=25)


@pytest.mark.parametrize(
    ("behaviour", "code"), [(Behaviour(status=404), "http_404"), (Behaviour(redirect="/x"), "http_302")]
)
async def test_a_no_for_good_is_not_asked_again(told, sink, behaviour, code) -> None:
    await webhook(told, sink)
    sink.behaviours["/alerts"] = behaviour
    await told.look(after(0), bad=True)
    await told.deliver(after(0))
    assert await told.states() == [("start", "dead", 1, code)]


async def test_a_recovery_never_overtakes_the_start_that_is_still_being_tried(told, sink) -> None:
    await webhook(told, sink)
    sink.behaviours["/alerts"] = Behaviour(status=503)
    await told.look(after(0), bad=True)
    await told.deliver(after(0))
    await told.look(after(0.2), bad=False)
    await told.deliver(after(0.2))
    sink.behaviours.clear()
    for minutes in (1, 2):
        await told.deliver(after(minutes))
    types = [json.loads(one.body)["type"] for one in sink.received]
    assert types == ["alert.started", "alert.started", "alert.recovered"]


async def test_processes_that_send_at_the_same_time_tell_nobody_twice(told, sink) -> None:
    await webhook(told, sink)
    sink.behaviours["/alerts"] = Behaviour(delay_ms=100)
    await told.look(after(0), bad=True)
    await asyncio.gather(*(told.deliver(after(0)) for _ in range(4)))
    assert len(sink.received) == 1


async def test_a_notice_whose_process_died_is_sent_again_under_its_id(told, sink) -> None:
    await webhook(told, sink)
    sink.behaviours["/alerts"] = Behaviour(hang=True, times=1)
    await told.look(after(0), bad=True)
    task = asyncio.create_task(told.deliver(after(0)))
    while not sink.received:
        await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await told.deliver(after(1))
    assert len(sink.received) == 1, "it is leased"
    await told.deliver(after(3))
    assert [one.headers["webhook-id"] for one in sink.received] == [sink.received[0].headers["webhook-id"]] * 2
    assert await told.states() == [("start", "sent", 2, None)]


async def test_one_channel_that_fails_keeps_no_other_from_telling(told, sink, mail) -> None:
    await webhook(told, sink)
    sink.behaviours["/alerts"] = Behaviour(status=503)
    settings = {"host": "127.0.0.1", "port": mail.port, "security": "none", "sender": "hub@clinic.example",
                "recipients": ["nurse@clinic.example"]}  # fmt: skip
    await told.channel("office", "email", settings, {})
    await told.look(after(0), bad=True)
    await told.deliver(after(0))
    assert len(mail.mails) == 1
    assert sorted(state for _, state, _, _ in await told.states()) == ["pending", "sent"]


async def test_nothing_leaves_for_the_inner_network_of_a_live_organisation(told, sink) -> None:
    await webhook(told, sink)
    await told.watched.execute("update organisation set kind = 'live'")
    await told.look(after(0), bad=True)
    await told.deliver(after(0))
    assert await told.states() == [("start", "dead", 1, "address_loopback")]
    assert not sink.received


async def test_secrets_that_were_copied_from_another_channel_do_not_open(told, sink) -> None:
    first = await webhook(told, sink)
    second = await told.channel("other", "webhook", {"url": f"{sink.url}/other"}, {"secret": new_secret()})
    await told.watched.execute(
        "update alert_channel set sealed = (select sealed from alert_channel where id = $1) where id = $2",
        first,
        second,
    )
    await told.look(after(0), bad=True)
    await told.deliver(after(0))
    assert sorted(await told.states()) == [("start", "dead", 1, "seal_broken"), ("start", "sent", 1, None)]


async def test_a_channel_that_is_switched_off_is_told_nothing_more(told, sink) -> None:
    await webhook(told, sink)
    await told.look(after(0), bad=True)
    await told.watched.execute("update alert_channel set state = 'disabled'")
    await told.deliver(after(0))
    assert await told.states() == [("start", "withdrawn", 1, "channel_disabled")]
    assert not sink.received


async def test_a_round_of_a_worker_looks_writes_and_sends(told, sink, engine_pool) -> None:
    watched = told.watched
    await webhook(told, sink)
    await watched.execute(
        "insert into route (kind, org_id) values ('organisation', $1) on conflict do nothing", watched.org
    )
    told.lamp.bad()

    async def deliver(org) -> None:
        await deliver_due(watched.pool, org, told.door, told.sealer)

    stop = asyncio.Event()
    rounds = Rounds(watched.pool, engine_pool, watched.probes, deliver)
    task = asyncio.create_task(rounds.run(stop))
    async with asyncio.timeout(20):
        while not sink.received:
            await asyncio.sleep(0.05)
        while (await told.states())[0][1] != "sent":
            await asyncio.sleep(0.05)
    stop.set()
    await task
    assert json.loads(sink.received[0].body)["data"]["summary"] == "silent for 14 min"
