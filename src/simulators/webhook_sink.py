"""A webhook receiver for the sandbox and for tests: verifies, remembers, shows, and misbehaves when told to.

    python -m simulators.webhook_sink --port 8099 --secret whsec_...

`POST /any/path` receives; `GET /` is a page and `GET /received` the same as JSON, newest first; `POST /_secrets` with a
secret as body adds one, `POST /_clear` forgets. Misbehaviour is asked for in the query of the receiving URL, or set
with `POST /_behaviour?path=/any/path&...` for URLs that cannot change:

    status=503  retry_after=30  delay_ms=500  hang=1  reset=1  half=1  redirect=<url>  huge=1  times=2

`times` limits it to the first requests of each id.

It shares no code with the sender: the signature check follows the Standard Webhooks text by itself.
"""

import argparse
import asyncio
import base64
import binascii
import hashlib
import hmac
import html
import sys
import time
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

import httptools
import orjson

REMEMBERED_MAX = 1_000
BODY_BYTES_MAX = 1_048_576
HUGE_BYTES = 1 << 30
TOLERANCE_S = 300
_CHUNK = b"x" * 65_536


@dataclass(slots=True)
class Received:
    """One request as it came. `verified` is None while the sink knows no secret; `attempt` counts from 1 by id."""

    id: str
    type: str
    verified: bool | None
    attempt: int
    path: str
    received_at: float
    correlation: str
    body: str


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How to answer. `times` limits it to the first requests of each id; 0 is always."""

    status: int = 200
    retry_after: str = ""
    delay_ms: int = 0
    hang: bool = False
    reset: bool = False
    half: bool = False
    redirect: str = ""
    huge: bool = False
    times: int = 0

    @classmethod
    def of_query(cls, query: str) -> "Behaviour":
        """Read the switches of a query string; unknown names are left alone, numbers must be numbers."""
        given = dict(parse_qsl(query))
        switches: dict[str, Any] = {name: given.get(name) == "1" for name in ("hang", "reset", "half", "huge")}
        switches |= {name: int(given[name]) for name in ("status", "delay_ms", "times") if name in given}
        switches |= {name: given[name] for name in ("retry_after", "redirect") if name in given}
        return cls(**switches)


class WebhookSink:
    """The receiver's memory and manners; `serve` opens its socket."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self.secrets = [_secret_bytes(secret) for secret in secrets]
        self.received: deque[Received] = deque(maxlen=REMEMBERED_MAX)
        self.behaviours: dict[str, Behaviour] = {}
        self.attempts: Counter[str] = Counter()
        self.connections: set[_SinkConnection] = set()
        self.connections_made = 0
        self.port = 0
        self._server: asyncio.Server | None = None

    async def serve(self, host: str = "127.0.0.1", port: int = 0) -> "WebhookSink":
        """Listen; `port` 0 takes any free one, told by `self.port`."""
        self._server = await asyncio.get_running_loop().create_server(lambda: _SinkConnection(self), host, port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    async def close(self) -> None:
        """Stop listening and cut every connection."""
        if self._server is not None:
            self._server.close()
        for connection in list(self.connections):
            connection.abort()

    def add_secret(self, secret: str) -> None:
        """From now on a signature by this secret verifies too. Raises ValueError for what is no secret."""
        self.secrets.append(_secret_bytes(secret))

    def receive(self, path: str, query: str, headers: Mapping[str, str], body: bytes) -> Behaviour:
        """Remember one request and decide how to answer it."""
        event_id = headers.get("webhook-id", "")
        self.attempts[event_id] += 1
        self.received.append(
            Received(
                event_id,
                _event_type(body),
                verified(self.secrets, headers, body, time.time()) if self.secrets else None,
                self.attempts[event_id],
                path,
                time.time(),
                headers.get("chartwire-correlation-id", ""),
                body.decode("utf-8", "backslashreplace"),
            )
        )
        behaviour = self.behaviours.get(path) or Behaviour.of_query(query)
        return Behaviour() if behaviour.times and self.attempts[event_id] > behaviour.times else behaviour

    def listing(self) -> bytes:
        """What was received, newest first, as JSON."""
        return orjson.dumps({"received": [asdict(each) for each in reversed(self.received)]})

    def page(self) -> bytes:
        """What was received, as a page."""
        rows = "".join(
            f"<tr><td>{html.escape(each.type)}<td>{_WORDS[each.verified]}<td>{each.attempt}<td>{html.escape(each.path)}"
            f"<td>{html.escape(each.id)}<td>{html.escape(each.correlation)}"
            "<tr class=body><td colspan=6><details><summary>body</summary>"
            f"<code>{html.escape(each.body)}</code></details>"
            for each in reversed(self.received)
        )
        return _PAGE.replace("{rows}", rows).encode()


_WORDS = {True: "verified", False: "WRONG SIGNATURE", None: "no secret known"}
_PAGE = """<!doctype html><meta charset="utf-8"><title>Webhook sink</title>
<style>body{font:14px system-ui;margin:2em}table{border-collapse:collapse}td,th{border:1px solid #ccc;padding:4px 8px;
text-align:left;vertical-align:top}.body td{color:#555}code{word-break:break-all}</style>
<h1>Webhooks received</h1><p>Newest first; <a href="/received">as JSON</a>.</p>
<table><tr><th>type<th>signature<th>attempt<th>path<th>webhook-id<th>correlation{rows}</table>"""


def verified(secrets: Iterable[bytes], headers: Mapping[str, str], body: bytes, now_s: float) -> bool:
    """Whether the three Standard Webhooks headers vouch for this body now."""
    stamp, given = headers.get("webhook-timestamp", ""), headers.get("webhook-signature", "")
    if not (stamp.isascii() and stamp.isdigit()) or abs(int(stamp) - now_s) > TOLERANCE_S:
        return False
    signed = f"{headers.get('webhook-id', '')}.{stamp}.".encode() + body
    wanted = [base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()) for secret in secrets]
    offered = [each[3:].encode("latin-1") for each in given.split() if each.startswith("v1,")]
    return any(hmac.compare_digest(one, other) for one in wanted for other in offered)


class _SinkConnection(asyncio.Protocol):
    def __init__(self, sink: WebhookSink) -> None:
        self._sink = sink
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._url, self._headers, self._body = b"", dict[str, str](), bytearray()
        self._answering: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's transports are none by inheritance
        self._sink.connections.add(self)
        self._sink.connections_made += 1

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._sink.connections.discard(self)
        if self._answering is not None:
            self._answering.cancel()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.abort()

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, data: bytes) -> None:
        self._body += data
        if len(self._body) > BODY_BYTES_MAX:
            self.abort()

    def on_message_complete(self) -> None:
        parts, headers, body = urlsplit(self._url.decode("latin-1")), self._headers, bytes(self._body)
        self._url, self._headers, self._body = b"", {}, bytearray()
        method = self._parser.get_method()
        if method == b"POST" and not parts.path.startswith("/_"):
            behaviour = self._sink.receive(parts.path, parts.query, headers, body)
            if behaviour == Behaviour():
                self._write(_answer(200, b"ok"))
            else:
                self._answering = asyncio.get_running_loop().create_task(self._misbehave(behaviour))
        else:
            self._write(self._operate(method, parts.path, parts.query, body))

    def _operate(self, method: bytes, path: str, query: str, body: bytes) -> bytes:
        sink = self._sink
        if method == b"GET":
            pages = {"/": (sink.page, "text/html; charset=utf-8"), "/received": (sink.listing, "application/json")}
            if path not in pages:
                return _answer(404, b"not found")
            made, kind = pages[path]
            return _answer(200, made(), {"Content-Type": kind})
        try:
            if path == "/_secrets":
                sink.add_secret(body.decode("ascii").strip())
            elif path == "/_behaviour":
                sink.behaviours[dict(parse_qsl(query))["path"]] = Behaviour.of_query(query)
            elif path == "/_clear":
                sink.received.clear()
                sink.attempts.clear()
            else:
                return _answer(404, b"not found")
        except (ValueError, KeyError):
            return _answer(400, b"not understood")
        return _answer(204, b"")

    async def _misbehave(self, behaviour: Behaviour) -> None:
        await asyncio.sleep(behaviour.delay_ms / 1000)
        if behaviour.hang:
            await asyncio.sleep(3600)
        if behaviour.reset:
            self.abort()
        elif behaviour.half:
            self._write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            await asyncio.sleep(0.01)
            self.abort()
        elif behaviour.huge:
            await self._write_gigabyte()
        else:
            extra = {"Retry-After": behaviour.retry_after} if behaviour.retry_after else {}
            if behaviour.redirect:
                extra["Location"] = behaviour.redirect
            status = 302 if behaviour.redirect and behaviour.status == 200 else behaviour.status
            self._write(_answer(status, b"as told", extra))

    async def _write_gigabyte(self) -> None:
        self._write(f"HTTP/1.1 200 OK\r\nContent-Length: {HUGE_BYTES}\r\n\r\n".encode())
        for _ in range(HUGE_BYTES // len(_CHUNK)):
            await self._writable.wait()
            self._write(_CHUNK)

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)


def _answer(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> bytes:
    lines = [f"HTTP/1.1 {status} Sink", *(f"{name}: {value}" for name, value in (headers or {}).items())]
    if status != 204:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def _event_type(body: bytes) -> str:
    try:
        parsed: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ""
    return str(parsed.get("type", "")) if isinstance(parsed, dict) else ""


def _secret_bytes(secret: str) -> bytes:
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        raise ValueError("a secret is whsec_ and base64") from None


async def _run(host: str, port: int, secrets: list[str]) -> None:
    sink = await WebhookSink(secrets).serve(host, port)
    sys.stdout.write(f"webhook sink listening on http://{host}:{sink.port}\n")
    sys.stdout.flush()
    try:
        await asyncio.Event().wait()
    finally:
        await sink.close()


def main(arguments: list[str] | None = None) -> int:
    """Run a sink until it is interrupted."""
    parser = argparse.ArgumentParser(prog="webhook_sink", description="A local webhook receiver")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes any free port")
    parser.add_argument("--secret", action="append", default=[], help="whsec_..., may be repeated")
    options = parser.parse_args(arguments)
    try:
        asyncio.run(_run(options.host, options.port, options.secret))
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
