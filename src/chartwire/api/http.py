"""One request and one answer, as the doors see them: thin views over ASGI."""

import re
from collections.abc import Awaitable, Callable, Collection, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import parse_qsl
from uuid import UUID

import msgspec

from chartwire.api.problem import ApiError, Fault
from chartwire.core.access import Access
from chartwire.core.ids import uuid7
from chartwire.core.limits import API_BODY_BYTES_MAX

API_VERSIONS = ("2026-11-20",)
"""Every dated version of the practice API that is served, the newest last."""

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Header = tuple[bytes, bytes]
T = TypeVar("T")

JSON = b"application/json"
PROBLEM_JSON = b"application/problem+json"
_JSON_BODIES = frozenset({JSON, b"application/merge-patch+json"})
FHIR_JSON = b"application/fhir+json"
HTML = b"text/html; charset=utf-8"
TEXT_JSON = b"text/json"
ANY = b"*/*"
"""The media type of an address that gives whatever its content is."""
NO_ACCESS = Access(UUID(int=0), "anonymous", "", frozenset())

_PARAMETERS_MAX = 40
_NAME_CHARACTERS_MAX = 1_000
_VALUE_CHARACTERS_MAX = 4096
_OPEN_PARAMETERS_MAX = 200
_OPEN_VALUE_CHARACTERS_MAX = 32_768
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")
_OURS = "req_"
_HEX = re.compile(r"[0-9a-f]{32}")
_TRACE = re.compile(rb"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_POINTER_STEP = re.compile(r"\.(\w+)|\[(\d+|\.\.\.)\]")


class Request:
    """What came in. `parts` are the variable parts of the path, `access` who asks (after the door let them in), `route`
    the address as the route table writes it, `told` headers that go with whatever the answer is, `trace_id` that of a
    W3C traceparent. `pairs` are the parameters in the order in which they came, `query` the last of each name, `asked`
    the names of those that a handler with an open query knew: the audit row tells them. `row_id` is the id of its audit
    row, where `request_id` was made here and names it. `client` is the address at the other end, behind trusted
    proxies; `in_the_clear`: it came over plain http though https is the address."""

    __slots__ = (
        "_content",
        "access",
        "asked",
        "body_bytes_max",
        "client",
        "headers",
        "in_the_clear",
        "method",
        "pairs",
        "parts",
        "path",
        "query",
        "receive",
        "request_id",
        "route",
        "row_id",
        "token",
        "told",
        "trace_id",
    )

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.receive = receive
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.row_id, self.request_id = _request_id(self.headers.get(b"x-request-id"))
        self.client = ""
        self.in_the_clear = False
        self.trace_id = ""
        self.told: list[Header] = []
        if (trace := self.headers.get(b"traceparent")) is not None and _TRACE.fullmatch(trace):
            self.trace_id = trace[3:35].decode("ascii")
            self.told.append((b"traceparent", trace))
        self.parts: tuple[str, ...] = ()
        self.access = NO_ACCESS
        self.token: str | None = None
        self.pairs: list[tuple[str, str]] = []
        self.query: dict[str, str] = {}
        self.asked: Collection[str] = ()
        self.route = ""
        self.body_bytes_max = API_BODY_BYTES_MAX
        self._content: bytes | None = None

    def read_query(self, query_string: bytes, *, repeated: bool = False) -> None:
        """Fill `pairs` and `query`. Raises ApiError for what no value of ours can hold, and for a parameter that comes
        twice where that is not what `repeated` ones may."""
        if not query_string:
            return
        self.pairs = parameter_pairs(query_string, repeated=repeated)
        self.query = dict(self.pairs)
        if len(self.query) != len(self.pairs) and not repeated:
            raise ApiError(
                "each parameter is given once; several values are joined by commas", code="duplicate_parameter"
            )

    @property
    def has_no_body(self) -> bool:
        """Whether the head says that nothing follows."""
        return self.headers.get(b"content-length", b"0") == b"0" and b"transfer-encoding" not in self.headers

    async def body(self, shape: type[T]) -> T:
        """The JSON body as `shape`. Raises ApiError: 415, 413, 400 for what is no JSON, 422 with pointers otherwise."""
        media = self.headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        if media not in _JSON_BODIES:
            raise ApiError("the body is sent as application/json", code="media_type_unsupported")
        try:
            return msgspec.json.decode(await self.content(), type=shape)
        except msgspec.ValidationError as error:
            fault = Fault(_pointer(str(error)), "invalid_value", _rule(str(error)))
            raise ApiError(f"at `{fault.pointer}`: {fault.detail}", code="invalid_body", faults=[fault]) from None
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise ApiError("the body is not JSON in UTF-8", code="body_malformed") from None

    def fill(self, content: bytes, media: bytes) -> None:
        """Give a request that came inside another its body, of a media type."""
        self._content = content
        self.headers[b"content-type"] = media

    async def content(self) -> bytes:
        """The body as it came, read once. Raises ApiError (413, 400)."""
        if self._content is None:
            self._content = await self._bytes()
        return self._content

    async def _bytes(self) -> bytes:
        chunks = bytearray()
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ApiError("the request broke off", code="body_malformed")
            chunks += message.get("body", b"")
            if len(chunks) > self.body_bytes_max:
                raise ApiError(f"a body has at most {self.body_bytes_max} bytes here", code="body_too_large")
            if not message.get("more_body"):
                return bytes(chunks)


@dataclass(slots=True)
class Answer:
    """What goes out. `count` and `patients` are for the audit row: how many resources, and whose they are. `policy` is
    the Content-Security-Policy of a page, `cache` its Cache-Control."""

    body: bytes
    status: int = 200
    media: bytes = JSON
    headers: Sequence[Header] = ()
    count: int = 0
    patients: Collection[UUID] = ()
    policy: bytes = b"default-src 'none'; frame-ancestors 'none'"
    cache: bytes = b"no-store"


def parameter_pairs(text: bytes, *, repeated: bool = False) -> list[tuple[str, str]]:
    """The parameters of a query string or of a form, in their order. Raises ApiError (`invalid_parameter`)."""
    most = _OPEN_PARAMETERS_MAX if repeated else _PARAMETERS_MAX
    longest = _OPEN_VALUE_CHARACTERS_MAX if repeated else _VALUE_CHARACTERS_MAX
    try:
        pairs = parse_qsl(text.decode(), keep_blank_values=True, errors="strict", max_num_fields=most)
    except ValueError:
        raise ApiError("the parameters cannot be read", code="invalid_parameter") from None
    for name, value in pairs:
        if "\x00" in value or len(value) > longest or len(name) > _NAME_CHARACTERS_MAX:
            raise ApiError("a name or value is too long, or holds a NUL", code="invalid_parameter")
    return pairs


def json_answer(value: Any, *, status: int = 200, headers: Sequence[Header] = (), count: int = 0) -> Answer:
    """`value` as JSON; nothing in it is about a patient."""
    return Answer(msgspec.json.encode(value), status, JSON, headers, count)


def accepts(accept: bytes | None, *media: bytes) -> bool:
    """Whether an Accept header takes one of `media` (each `type/subtype`); no header takes all. Weights are ignored."""
    if not accept or ANY in media:
        return True
    for wanted in accept.lower().split(b","):
        name = wanted.partition(b";")[0].strip()
        if name == b"*/*" or any(name in (one, one.partition(b"/")[0] + b"/*") for one in media):
            return True
    return False


def request_row(request_id: str) -> UUID | None:
    """The audit row that a request id made here names; None for one that a caller chose."""
    digits = request_id.removeprefix(_OURS)
    return UUID(hex=digits) if digits != request_id and _HEX.fullmatch(digits) else None


def _request_id(given: bytes | None) -> tuple[UUID | None, str]:
    """The caller's id, or one of ours with its row. Ids that begin as ours do are ours to give."""
    if given is not None and _REQUEST_ID.fullmatch(given) and not given.startswith(_OURS.encode()):
        return None, given.decode("ascii")
    row_id = uuid7()
    return row_id, f"{_OURS}{row_id.hex}"


def _pointer(message: str) -> str:
    """msgspec's ``- at `$.scopes[0]` `` as /scopes/0."""
    _, _, place = message.partition("- at `$")
    return "".join(f"/{name or index}" for name, index in _POINTER_STEP.findall(place))


def _rule(message: str) -> str:
    """What msgspec expected, without the value that it quotes in some of its messages."""
    told = message.partition(" - at ")[0]
    if told.startswith(("Expected", "Object missing required field")):
        return told
    return "a value that is not allowed here, or a member that is not known"
