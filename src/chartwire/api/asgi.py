"""The application: finds the route, lets the caller in, writes the audit row, and only then sends.

The order is the promise: route, method, key, scope, parameters, handler, audit row committed, answer. A request whose
audit row cannot be committed is answered 503 and gives nothing away.
"""

from chartwire.api.fhir import negotiation
from chartwire.api.fhir.types import served
from chartwire.api.handling import FHIR_PREFIX, handled, refusal
from chartwire.api.http import (
    JSON,
    Answer,
    Header,
    Receive,
    Request,
    Scope,
    Send,
)
from chartwire.api.problem import ApiError
from chartwire.api.routes import ANY_RESOURCE, Route, Router
from chartwire.api.services import Services
from chartwire.api.table import ROUTES
from chartwire.core.access import Access
from chartwire.core.clock import monotonic
from chartwire.core.errors import ChartwireError, TransientError
from chartwire.core.ids import uuid7
from chartwire.core.telemetry import Counter, Histogram
from chartwire.trust.audit import AuditRow

_REQUESTS = Counter("chartwire_http_requests_total", "Answered requests.", ("route", "method", "status"))
_SECONDS = Histogram("chartwire_http_request_seconds", "From the request's head to the answer's end.", ("route",))

_TOO_MANY = 429
_WITHOUT_CONTENT = frozenset({204, 304})
_OPEN_TO_PAGES = (FHIR_PREFIX, "/.well-known/")
"""Beginnings of addresses that pages of other origins may call (CORS)."""
_ONLY_TLS: Header = (b"strict-transport-security", b"max-age=31536000")
_CLOSE: Header = (b"connection", b"close")
_PLAIN_HEADERS: tuple[Header, ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
)


class Api:
    """The ASGI application over a route table."""

    def __init__(self, services: Services, router: Router) -> None:
        self._services = services
        self._router = router
        self._refuses_clear_keys = services.base_url.startswith("https:")
        self._always = (_ONLY_TLS,) if self._refuses_clear_keys else ()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        started = monotonic()
        request = Request(scope, receive)
        request.client = self._services.clients.address(scope)
        request.in_the_clear = self._refuses_clear_keys and self._services.clients.came_in_the_clear(scope)
        route, answer = await self._answer(request, scope["query_string"])
        request.told += self._always
        if request.path.startswith(_OPEN_TO_PAGES) and request.method != "OPTIONS":
            request.told += negotiation.cors(request)
        if self._services.leaving():
            request.told.append(_CLOSE)
        await _send(request, answer, send)
        label = route.path if route else "none"
        _REQUESTS.add(1, label, request.method if route else "-", str(answer.status))
        _SECONDS.observe(monotonic() - started, label)

    async def _answer(self, request: Request, query_string: bytes) -> tuple[Route | None, Answer]:
        found = self._router.find(request.path) or self._router.find(_without_slash(request.path))
        if found is None:
            error = ApiError("there is nothing at this address", code="not_found", error_class="not_found")
            return None, refusal(request, error)
        methods, request.parts = found
        route = methods.get("GET" if request.method == "HEAD" else request.method)
        if route is None:
            return None, _wrong_method(request, methods)
        request.route, request.body_bytes_max = route.path, route.body_bytes_max
        request.told += route.notices
        if route.scope is None:
            return route, await handled(request, route, self._services, query_string)
        return route, await self._guarded(request, route, query_string)

    async def _guarded(self, request: Request, route: Route, query_string: bytes) -> Answer:
        try:
            request.access = await self._admitted(request, route)
            answer = await self._within_limits(request, route, query_string)
        except ChartwireError as error:
            answer = refusal(request, error)
        if answer.status == _TOO_MANY:
            return answer  # nothing was given, and a flood must not become a flood of rows
        try:
            await self._services.audit.write(_audit_row(request, route, answer))
        except TransientError as error:
            return refusal(request, error)
        return answer

    async def _admitted(self, request: Request, route: Route) -> Access:
        token = _token(request)
        if request.in_the_clear:
            raise ApiError("the key was sent over plain http: revoke it, and use https", code="tls_required")
        credentials = self._services.credentials
        enter = credentials.recall if route.checked else credentials.authenticate
        return await enter(token, request_id=request.request_id)

    async def _within_limits(self, request: Request, route: Route, query_string: bytes) -> Answer:
        limits = self._services.limits
        with limits.running(request.access):
            if not route.batch:
                request.told += limits.charge(request.access, route.limit)
            return await handled(request, route, self._services, query_string)


def make_app(services: Services) -> Api:
    """The ASGI application of this process. It answers HTTP only; no lifespan, no WebSocket."""
    return Api(services, Router(ROUTES))


def _token(request: Request) -> str:
    header = request.headers.get(b"authorization")
    if header is not None:
        kind, _, token = header.decode("latin-1").partition(" ")
        if kind.lower() != "bearer":
            raise ApiError("use `Authorization: Bearer <key>`", code="credential_missing", error_class="auth")
        return token.strip()
    key = request.headers.get(b"x-api-key")
    if key is None:
        raise ApiError("send `Authorization: Bearer <key>`", code="credential_missing", error_class="auth")
    return key.decode("latin-1").strip()


def _without_slash(path: str) -> str:
    """FHIR clients write `[base]/` where they mean the base."""
    return path.removesuffix("/") if path.startswith(FHIR_PREFIX) else path


def _wrong_method(request: Request, methods: dict[str, Route]) -> Answer:
    allowed = sorted({*methods, "OPTIONS", *(["HEAD"] if "GET" in methods else [])})
    allow: Header = (b"allow", ", ".join(allowed).encode())
    if request.method == "OPTIONS":
        pages = request.path.startswith(_OPEN_TO_PAGES)
        return Answer(b"", 204, JSON, [allow, *(negotiation.preflight(request, ", ".join(allowed)) if pages else ())])
    error = ApiError(f"allowed are {', '.join(allowed)}", code="method_not_allowed", headers=[allow])
    return refusal(request, error)


def _audit_row(request: Request, route: Route, answer: Answer) -> AuditRow:
    access = request.access
    refused = answer.status in {401, 403, 404}
    shape = f"{request.method} {route.path}"
    if request.query or request.asked:
        shape += "?" + "&".join(sorted({*(request.query.keys() & route.known), *request.asked}))
    return AuditRow(
        access.org,
        access.actor,
        access.purpose,
        "refuse" if refused else route.action,
        _resource_type(request, route),
        shape,
        answer.count,
        answer.patients,
        answer.status,
        request.request_id,
        id=request.row_id or uuid7(),
        client=request.client,
    )


def _resource_type(request: Request, route: Route) -> str:
    """The type that the address names, where it is one that we serve; else that of the route."""
    named = request.parts[0] if route.resource_type == ANY_RESOURCE else ""
    return named if named in served() else route.resource_type


async def _send(request: Request, answer: Answer, send: Send) -> None:
    headers = [
        (b"x-request-id", request.request_id.encode("latin-1")),
        (b"cache-control", answer.cache),
        (b"content-security-policy", answer.policy),
        *_PLAIN_HEADERS,
        *answer.headers,
        *request.told,
    ]
    if answer.status not in _WITHOUT_CONTENT:
        headers += [(b"content-type", answer.media), (b"content-length", b"%d" % len(answer.body))]
    body = b"" if request.method == "HEAD" else answer.body
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
