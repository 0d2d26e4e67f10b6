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


def test_the_check_is_told_step_by_step_so_that_a_receiver_finds_its_own_mistake(url: str) -> None:
    body = '{"type":"patient.updated"}'
    assert post(url + "/hook", body, signed(body)) == 200
    assert post(url + "/hook", body + " ", signed(body) | {"webhook-timestamp": "1000"}) == 200
    assert post(url + "/hook", body, {"webhook-id": "evt_9"}) == 200
    missing, wrong, right = json.loads(get(url + "/received"))["received"]
    told = {step["what"]: step for step in right["check"]["steps"]}
    assert told["signed content: id.timestamp.body"]["found"].endswith("." + body)
    expected = next(step for what, step in told.items() if what.startswith("expected with secret"))
    assert expected["right"] and expected["found"] == told["got"]["found"]
    assert [step["right"] for step in wrong["check"]["steps"]] == [True, False, None, False, None]
    assert missing["check"]["steps"][0]["found"] == "missing: webhook-timestamp, webhook-signature"
    page = get(url + "/")
    assert "expected with secret" in page and "repeat 2" in page and told["got"]["found"] in page


def test_a_person_sets_a_path_to_misbehave_on_the_page_and_comes_back_to_it(url: str) -> None:
    assert post(url + "/hook", "{}", signed("{}")) == 200
    form = urllib.request.Request(
        url + "/_behaviour", b"path=%2Fhook&preset=410+Gone", {"Accept": "text/html"}, method="POST"
    )
    with urllib.request.urlopen(form, timeout=5) as answer:
        assert (answer.status, answer.url) == (200, url + "/") and "<option selected>410 Gone" in answer.read().decode()
    assert post(url + "/hook", "{}", signed("{}")) == 410
    assert post(url + "/_behaviour", "path=/hook&preset=no+such") == 400
