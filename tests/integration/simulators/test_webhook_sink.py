"""The sandbox's receiver: what it shows is what came, and it tells a right signature from a wrong one by itself."""

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from standardwebhooks.webhooks import Webhook

from chartwire.core.clock import now

SECRET = "whsec_" + "c2VjcmV0" * 6


@pytest.fixture
def url() -> Iterator[str]:
    command = [sys.executable, "-m", "simulators.webhook_sink", "--port", "0", "--secret", SECRET]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().split()[-1]
        process.terminate()


def post(url: str, body: str = "", headers: dict[str, str] | None = None) -> int:
    request = urllib.request.Request(url, body.encode(), headers or {}, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return answer.read().decode()


def signed(body: str, event_id: str = "evt_1") -> dict[str, str]:
    moment = now()
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": Webhook(SECRET).sign(event_id, moment, body),
    }


def test_what_comes_is_shown_newest_first_with_the_verdict_on_its_signature(url: str) -> None:
    good = '{"type":"patient.updated"}'
    forged = '{"type":"<script>"}'
    assert post(url + "/hook", good, signed(good)) == 200
    assert post(url + "/hook", forged, signed(good, "evt_2")) == 200
    assert post(url + "/hook", good, signed(good)) == 200
    shown = json.loads(get(url + "/received"))["received"]
    assert [(each["id"], each["verified"], each["attempt"]) for each in shown] == [
        ("evt_1", True, 2), ("evt_2", False, 1), ("evt_1", True, 1),
    ]  # fmt: skip
    page = get(url + "/")
    assert "WRONG SIGNATURE" in page and "&lt;script&gt;" in page and "<script>" not in page
    assert post(url + "/_clear") == 204 and json.loads(get(url + "/received"))["received"] == []


def test_it_misbehaves_by_query_for_as_many_attempts_as_it_is_told(url: str) -> None:
    answers = [post(url + "/hook?status=503&times=2", "{}", signed("{}")) for _ in range(3)]
    assert answers == [503, 503, 200]


def test_an_operator_sets_behaviour_and_secrets_while_it_runs(url: str) -> None:
    assert post(url + "/_behaviour?path=/hook&status=410") == 204
    assert post(url + "/hook", "{}", signed("{}")) == 410
    assert post(url + "/_secrets", "whsec_!") == 400
    assert post(url + "/_secrets", "whsec_" + "bmV3" * 8) == 204
