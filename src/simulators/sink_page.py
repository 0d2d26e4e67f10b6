"""The webhook sink's page: what arrived, newest first, each with its signature check; and switches to misbehave."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape

from simulators.sink_check import Check

PRESETS: Mapping[str, str] = {
    "answer 200": "",
    "hang": "hang=1",
    "slow, 5 s": "delay_ms=5000",
    "500": "status=500",
    "410 Gone": "status=410",
    "429, Retry-After 30": "status=429&retry_after=30",
    "reset": "reset=1",
    "half an answer": "half=1",
    "redirect": "redirect=https://example.org/",
    "1 GB answer": "huge=1",
}
"""What a path can be told to do, by the words on the page, as switches of `POST /_behaviour`."""


@dataclass(slots=True)
class Received:
    """One request as it came, and what came of its signature check. `attempt` counts from 1 by id."""

    id: str
    type: str
    attempt: int
    path: str
    received_at: float
    correlation: str
    headers: dict[str, str]
    body: str
    check: Check

    @property
    def verified(self) -> bool | None:
        """Whether the signature is right; None while the sink knows no secret."""
        return self.check.verified


def page(arrivals: Iterable[Received], behaviours: Mapping[str, str]) -> bytes:
    """The page as UTF-8 HTML, without script. `behaviours` are names of PRESETS by path."""
    shown = list(arrivals)
    paths = sorted({"/", *behaviours, *(one.path for one in shown)})
    rows = "".join(_row(one, one is shown[0]) for one in shown) or "<tr><td colspan=6>Nothing has arrived yet."
    return _PAGE.replace("{switches}", _switches(paths, behaviours)).replace("{rows}", rows).encode()


def _row(one: Received, opened: bool) -> str:
    word, kind = _WORDS[one.check.verified]
    again = f' <span class="again">repeat {one.attempt}</span>' if one.attempt > 1 else ""
    at = datetime.fromtimestamp(one.received_at, UTC).strftime("%H:%M:%S.%f")[:-3]
    opening = "<details open>" if opened else "<details>"
    return (
        f"<tr><td>{at}<td>{escape(one.type)}<td class={kind}>{word}<td>{escape(one.path)}"
        f"<td>{escape(one.id)}{again}<td>{escape(one.correlation)}"
        f"<tr class=more><td colspan=6>{opening}<summary>signature check</summary>{_steps(one.check)}</details>"
        f"<details><summary>headers</summary>{_headers(one.headers)}</details>"
        f"<details><summary>body</summary><pre>{escape(_pretty(one.body))}</pre></details>"
    )


def _steps(check: Check) -> str:
    marks = {True: ("right", "good"), False: ("wrong", "bad"), None: ("", "")}
    rows = "".join(
        f"<tr><td>{escape(step.what)}<td class={marks[step.right][1] or 'plain'}>{marks[step.right][0]}"
        f"<td><code>{escape(step.found)}</code>"
        for step in check.steps
    )
    return f"<table>{rows}</table><p>It is enough that one expected signature is among those that came."


def _headers(headers: Mapping[str, str]) -> str:
    rows = "".join(f"<tr><td>{escape(name)}<td><code>{escape(value)}</code>" for name, value in headers.items())
    return f"<table>{rows}</table>"


def _switches(paths: Iterable[str], behaviours: Mapping[str, str]) -> str:
    return "".join(
        f'<form method="post" action="/_behaviour"><code>{escape(path)}</code> '
        f'<input type="hidden" name="path" value="{escape(path)}"><select name="preset">'
        + "".join(f"<option{' selected' if behaviours.get(path) == name else ''}>{escape(name)}" for name in PRESETS)
        + "</select> <button>set</button></form>"
        for path in paths
    )


def _pretty(body: str) -> str:
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except ValueError:
        return body


_WORDS = {True: ("verified", "good"), False: ("WRONG SIGNATURE", "bad"), None: ("no secret known", "plain")}
_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Webhook sink</title>
<style>body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:76rem;padding:0 1.5rem;color:#1b2430;
background:#fdfefc}h1{margin:0 0 .2em}a,summary{color:#0f6b66}table{border-collapse:collapse;width:100%;margin:.4em 0}
td,th{border-bottom:1px solid #e2e6e9;padding:6px 10px 6px 0;text-align:left;vertical-align:top}
td{font-size:13.5px;overflow-wrap:anywhere}td:first-child{white-space:nowrap}
th{color:#5b6572;font-size:12px;letter-spacing:.04em;text-transform:uppercase}.more>td{padding:2px 0 14px 1.2em}
summary{cursor:pointer;font-size:13px}details td{padding-right:1.6em;font-size:13px}
details td:not(:last-child){white-space:nowrap}details td:last-child{width:100%}
code,pre{font:12.5px/1.45 ui-monospace,monospace;word-break:break-all;white-space:pre-wrap}.good{color:#12693a;
font-weight:600}.bad{color:#a3161f;font-weight:600}.again{color:#8a5a00}form{display:inline-block;
margin:.3em 1.5em .5em 0}</style>
<h1>Webhooks received</h1>
<p>Newest first; <a href="/received">as JSON</a>. A repeat of a webhook-id is marked: the same event, sent again.</p>
<details><summary>Misbehave, to see what the sender does</summary>{switches}</details>
<table><tr><th>at (UTC)<th>type<th>signature<th>path<th>webhook-id<th>correlation{rows}</table>
<form method="post" action="/_clear"><button>forget all</button></form></html>"""
