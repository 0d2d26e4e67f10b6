"""A webhook receiver for the sandbox and for tests: verifies, remembers, shows, and misbehaves when told to.

    python -m simulators.webhook_sink --port 8099 --secret whsec_...

`POST /any/path` receives; `GET /` is a page that shows each request with its signature check step by step, and
`GET /received` the same as JSON, newest first; `POST /_secrets` with a secret as body adds one, `POST /_clear` forgets.
Misbehaviour is asked for in the query of the receiving URL, or set with `POST /_behaviour?path=/any/path&...` (or on
the page) for URLs that cannot change:

    status=503  retry_after=30  delay_ms=500  hang=1  reset=1  half=1  redirect=<url>  huge=1  times=2

`times` limits it to the first requests of each id.

It shares no code with the sender: the signature check follows the Standard Webhooks text by itself.
"""

import argparse
import asyncio
import sys
import time
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, cast
from urllib.parse import parse_qsl, urlencode, urlsplit

import httptools
import orjson

from simulators.sink_check import check, secret_bytes
from simulators.sink_page import PRESETS, Received, page

REMEMBERED_MAX = 1_000
BODY_BYTES_MAX = 1_048_576
HUGE_BYTES = 1 << 30
_CHUNK = b"x" * 65_536


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
        self.secrets = [secret_bytes(secret) for secret in secrets]
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
        self.secrets.append(secret_bytes(secret))

    def receive(self, path: str, query: str, headers: Mapping[str, str], body: bytes) -> Behaviour:
        """Remember one request and decide how to answer it."""
        event_id, at = headers.get("webhook-id", ""), time.time()
        self.attempts[event_id] += 1
        self.received.append(
            Received(
                event_id,
                _event_type(body),
                self.attempts[event_id],
                path,
                at,
                headers.get("chartwire-correlation-id", ""),
                dict(headers),
                body.decode("utf-8", "backslashreplace"),
                check(self.secrets, headers, body, at),
            )
        )
        behaviour = self.behaviours.get(path) or Behaviour.of_query(query)
        return Behaviour() if behaviour.times and self.attempts[event_id] > behaviour.times else behaviour

    def listing(self) -> bytes:
        """What was received, newest first, as JSON."""
        shown = [asdict(each) | {"verified": each.verified} for each in reversed(self.received)]
        return orjson.dumps({"received": shown})

    def page(self) -> bytes:
        """What was received, as a page."""
        names = {Behaviour.of_query(query): name for name, query in PRESETS.items()}
        told = {path: names.get(behaviour, "") for path, behaviour in self.behaviours.items()}
        return page(reversed(self.received), told)

    def tell(self, switches: Mapping[str, str]) -> None:
        """Set how a path answers from now on. Raises KeyError or ValueError for switches that are not understood."""
        query = PRESETS[switches["preset"]] if "preset" in switches else urlencode(switches)
        self.behaviours[switches["path"]] = Behaviour.of_query(query)


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
            answer = self._operate(method, parts.path, parts.query, body)
            by_hand = method == b"POST" and "text/html" in headers.get("accept", "")
            self._write(_answer(303, b"", {"Location": "/"}) if by_hand else answer)

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
                sink.tell(dict(parse_qsl(query or body.decode("ascii"))))
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
