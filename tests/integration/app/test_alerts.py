"""`chartwire alerts`, and alert channels and rules in configuration files, as people type them."""

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from tests.integration.alerts.watched import Lamp, Watched
from tests.integration.app.shell import Shell, written

from chartwire.core.clock import now
from chartwire.store.pool import Pool
from simulators.webhook_sink import WebhookSink

KEY = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def sink() -> Iterator[WebhookSink]:
    """A receiver in a thread of its own, since commands have their own loop."""
    receiver, loop, ready = WebhookSink(), asyncio.new_event_loop(), threading.Event()

    async def serve() -> None:
        await receiver.serve()
        ready.set()

    def run() -> None:
        loop.run_until_complete(serve())
        loop.run_forever()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    ready.wait()
    yield receiver
    asyncio.run_coroutine_threadsafe(receiver.close(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def pager(url: str) -> dict[str, Any]:
    return {"name": "pager", "kind": "pagerduty", "settings": {"url": url}, "secrets": {"routing_key": "env:PAGER_KEY"}}


RULE = {
    "name": "dead_letters",
    "kind": "dead_letters",
    "threshold": 20,
    "channels": ["pager"],
    "escalation": [{"after_s": 900, "channels": ["ops"]}],
    "business_hours": {"zone": "Europe/Zurich"},
}


def test_channels_and_rules_go_from_a_file_to_an_organisation_and_back_without_their_secrets(
    shell: Shell, org: str, sink: WebhookSink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAGER_KEY", KEY)
    ops = {"name": "ops", "kind": "webhook", "settings": {"url": f"{sink.url}/ops"}}
    file = written(tmp_path / "a.yaml", alert_channels=[pager(f"{sink.url}/v2"), ops], alert_rules=[RULE])
    applied = shell("config", "apply", file, "--org", org)
    assert applied["secrets"]["alert_channels/ops"]["secret"].startswith("whsec_")
    assert shell("config", "plan", file, "--org", org)["changes"] == []

    exported = shell("config", "export", "--org", org)
    assert [one["name"] for one in exported["alert_channels"]] == ["ops", "pager"]
    assert exported["alert_channels"][1]["secrets"] == {"routing_key": "env:ALERT_PAGER_ROUTING_KEY"}
    assert exported["alert_channels"][0]["settings"] == ops["settings"]
    assert KEY not in json.dumps(exported)
    [rule] = exported["alert_rules"]
    assert (rule["threshold"], rule["channels"], rule["escalation"]) == (20.0, ["pager"], RULE["escalation"])

    assert shell("alerts", "test", "pager", "--org", org)["delivered"] is True
    assert json.loads(sink.received[-1].body)["routing_key"] == KEY

    monkeypatch.setenv("PAGER_KEY", "f" * 32)
    changed = shell("config", "plan", file, "--org", org, code=1)["changes"]
    assert [(one["name"], one["differences"][0]["new"]) for one in changed] == [("pager", "(secret)")]


def test_a_file_that_takes_a_channel_away_from_under_a_rule_changes_nothing(
    shell: Shell, org: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAGER_KEY", KEY)
    ops = {"name": "ops", "kind": "webhook", "settings": {"url": "http://127.0.0.1:9/ops"}}
    both = [pager("http://127.0.0.1:9/v2"), ops]
    shell("config", "apply", written(tmp_path / "a.yaml", alert_channels=both, alert_rules=[RULE]), "--org", org)
    without = written(tmp_path / "b.yaml", alert_channels=[ops])
    assert shell("config", "apply", without, "--org", org, code=1)["error"]["code"] == "channel_in_use"
    assert [one["name"] for one in shell("alerts", "channels", "--org", org)] == ["ops", "pager"]
    together = written(tmp_path / "c.yaml", alert_channels=[ops], alert_rules=[RULE | {"channels": ["ops"]}])
    shell("config", "apply", together, "--org", org)
    assert [one["name"] for one in shell("alerts", "channels", "--org", org)] == ["ops"]


def test_what_is_wrong_in_a_file_is_told_by_its_place_before_anything_changes(
    shell: Shell, org: str, tmp_path: Path
) -> None:
    settings = {"host": "mail.example", "sender": "hub", "recipients": ["it@clinic.example"]}
    mail = {"name": "office", "kind": "email", "settings": settings}
    file = written(tmp_path / "a.yaml", alert_channels=[mail], alert_rules=[{"name": "mine", "kind": "feed_silense"}])
    told = shell("config", "plan", file, "--org", org, code=2)["error"]["message"]
    assert "/alert_channels/0/settings/sender" in told
    assert "/alert_rules/0/kind" in told
    assert "did you mean feed_silence?" in told


def test_a_test_that_does_not_arrive_says_what_to_mend(
    shell: Shell, org: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAGER_KEY", KEY)
    file = written(tmp_path / "a.yaml", alert_channels=[pager("http://127.0.0.1:9/v2")])
    shell("config", "apply", file, "--org", org)
    told = shell("alerts", "test", "pager", "--org", org, code=1)
    assert (told["delivered"], told["code"]) == (False, "connection_refused")
    assert "firewall" in told["mend"]
    assert shell("alerts", "test", "pagre", "--org", org, code=1)["error"]["code"] == "unknown_channel"


@pytest.fixture
async def burning(pool: Pool, engine_pool: Pool, org_id: UUID) -> Watched:
    lamp = Lamp()
    lamp.bad(severity="critical")
    watched = Watched(pool, engine_pool, org_id, {"feed_silence": lamp})
    await watched.look(now())
    return watched


async def test_what_burns_is_listed_acknowledged_and_snoozed_and_each_leaves_its_audit_row(
    burning: Watched, shell: Shell
) -> None:
    async def run(*words: str, code: int = 0) -> Any:
        return await asyncio.to_thread(shell, "alerts", *words, "--org", str(burning.org), code=code)

    [alert] = await run("list", code=1)
    assert (alert["state"], alert["severity"], alert["summary"]) == ("firing", "critical", "silent for 14 min")
    assert (await run("snooze", alert["id"], "--minutes", "30"))["state"] == "firing"
    assert (await run("ack", alert["id"], "--note", "known"))["state"] == "acknowledged"
    rows = await burning.rows("select actor, action from audit order by id")
    assert [(row["actor"], row["action"]) for row in rows] == [
        ("cli:alerts list", "search"), ("cli:alerts snooze", "update"), ("cli:alerts ack", "resolve"),
    ]  # fmt: skip
    rules = {rule["name"]: rule for rule in await run("rules")}
    assert rules["feed_silence"]["channels"] == "every one"
