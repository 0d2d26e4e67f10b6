"""The application: finds the route, lets the caller in, writes the audit row, and only then sends.

The order is the promise: route, method, key, scope, parameters, handler, audit row committed, answer. A request whose
audit row cannot be committed is answered 503 and gives nothing away.
"""

import difflib
import traceback

import msgspec
import structlog

from chartwire.api.fhir import negotiation
from chartwire.api.fhir.outcome import operation_outcome
from chartwire.api.fhir.read import RESOURCE_TYPES
from chartwire.api.http import (
    API_VERSIONS,
    JSON,
    PROBLEM_JSON,
    Answer,
    Header,
    Receive,
    Request,
    Scope,
    Send,
    accepts,
)
from chartwire.api.problem import ApiError, Fault, problem_body, problem_headers, status_of
from chartwire.api.routes import ANY_RESOURCE, Route, Router
from chartwire.api.services import Services
from chartwire.api.table import ROUTES
from chartwire.core.access import Access
from chartwire.core.clock import monotonic
from chartwire.core.errors import AuthError, ChartwireError, TransientError
from chartwire.core.ids import uuid7
from chartwire.core.telemetry import Counter, Histogram
from chartwire.trust.audit import AuditRow

_log = structlog.get_logger(__name__)
_REQUESTS = Counter("chartwire_http_requests_total", "Answered requests.", ("route", "method", "status"))
_SECONDS = Histogram("chartwire_http_request_seconds", "From the request's head to the answer's end.", ("route",))

_TOO_MANY = 429
_WITHOUT_CONTENT = frozenset({204, 304})
_FHIR_PREFIX = "/fhir/"
_OPEN_TO_PAGES = (_FHIR_PREFIX, "/.well-known/")
"""Beginnings of addresses that pages of other origins may call (CORS)."""
_API_PREFIX = "/api/"
_VERSION: Header = (b"chartwire-version", API_VERSIONS[-1].encode())
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
        found = self._router.find(request.path)
        if found is None:
            error = ApiError("there is nothing at this address", code="not_found", error_class="not_found")
            return None, _refusal(request, error)
        methods, request.parts = found
        route = methods.get("GET" if request.method == "HEAD" else request.method)
        if route is None:
            return None, _wrong_method(request, methods)
        request.route, request.body_bytes_max = route.path, route.body_bytes_max
        request.told += route.notices
        if route.scope is None:
            return route, await self._handled(request, route, query_string)
        return route, await self._guarded(request, route, query_string)

    async def _guarded(self, request: Request, route: Route, query_string: bytes) -> Answer:
        try:
            request.access = await self._admitted(request, route)
            answer = await self._within_limits(request, route, query_string)
        except ChartwireError as error:
            answer = _refusal(request, error)
        if answer.status == _TOO_MANY:
            return answer  # nothing was given, and a flood must not become a flood of rows
        try:
            await self._services.audit.write(_audit_row(request, route, answer))
        except TransientError as error:
            return _refusal(request, error)
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
            return await self._handled(request, route, query_string)

    async def _handled(self, request: Request, route: Route, query_string: bytes) -> Answer:
        try:
            if route.scope is not None and not request.access.allows(route.scope):
                raise AuthError(f"the key lacks the scope `{route.scope}`", code="scope_missing")
            drawn = _understood(request, route, query_string)
            if unknown := route.unknown(request.query):
                raise _unknown_parameter(unknown, route)
            answer = await route.handle(request, self._services)
            return negotiation.drawn(answer) if drawn else answer
        except ChartwireError as error:
            if error.error_class in {"transient", "upstream"} or error.code.startswith("sql_"):
                _log.warning(
                    "request_failed",
                    trace_id=request.trace_id,
                    request_id=request.request_id,
                    route=route.path,
                    code=error.code,
                )
            return _refusal(request, _as_told(error))
        except Exception as error:  # the last door: nothing of an unforeseen error may reach the caller or the log
            _log_fault(request, route, error)
            return _refusal(request, _internal())


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


def _understood(request: Request, route: Route, query_string: bytes) -> bool:
    """Read the query, settle form and version of the answer; whether it is drawn for people. Raises ApiError."""
    if request.path.startswith(_FHIR_PREFIX):
        request.read_query(query_string, repeated=route.open_query)
        return negotiation.agree(request, route.media)
    if not accepts(request.headers.get(b"accept"), route.media.encode(), JSON):
        raise ApiError(f"this address gives {route.media}", code="not_acceptable")
    if request.path.startswith(_API_PREFIX):
        _check_version(request)
    request.read_query(query_string)
    return False


def _unknown_parameter(unknown: set[str], route: Route) -> ApiError:
    """Names the parameter that comes nearest, not what was sent: a name that we do not know may be anything."""
    faults = []
    for name in sorted(unknown)[:5]:
        near = difflib.get_close_matches(name, route.known, n=1)
        detail = f"not known here; the nearest is `{near[0]}`" if near else "not known here"
        faults.append(Fault(f"/{near[0]}" if near else "", "unknown_parameter", detail))
    known = ", ".join(sorted(route.known)) or "none"
    return ApiError(f"a parameter is not known; known are: {known}", code="unknown_parameter", faults=faults)


def _check_version(request: Request) -> None:
    """Tell the version that answers; raises ApiError for a wish for another."""
    wanted = request.headers.get(b"chartwire-version")
    request.told.append(_VERSION)
    if wanted is not None and wanted.decode("latin-1") not in API_VERSIONS:
        raise ApiError(f"`Chartwire-Version` is one of {', '.join(API_VERSIONS)}", code="version_unknown")


def _wrong_method(request: Request, methods: dict[str, Route]) -> Answer:
    allowed = sorted({*methods, "OPTIONS", *(["HEAD"] if "GET" in methods else [])})
    allow: Header = (b"allow", ", ".join(allowed).encode())
    if request.method == "OPTIONS":
        pages = request.path.startswith(_OPEN_TO_PAGES)
        return Answer(b"", 204, JSON, [allow, *(negotiation.preflight(request, ", ".join(allowed)) if pages else ())])
    error = ApiError(f"allowed are {', '.join(allowed)}", code="method_not_allowed", headers=[allow])
    return _refusal(request, error)


def _refusal(request: Request, error: ChartwireError) -> Answer:
    """The error in the dialect of the door it came through."""
    if request.path.startswith(_FHIR_PREFIX):
        return operation_outcome(request, error)
    body = msgspec.json.encode(problem_body(error, request.request_id))
    return Answer(body, status_of(error), PROBLEM_JSON, problem_headers(error))


def _as_told(error: ChartwireError) -> ChartwireError:
    """What the database refused although we let it pass is our fault, not the caller's."""
    ours = error.code.startswith("sql_") and error.error_class != "transient"
    return _internal() if ours else error


def _internal() -> ApiError:
    return ApiError("the log has the place under this request id", code="internal", error_class="upstream")


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
    return named if named in RESOURCE_TYPES else route.resource_type


def _log_fault(request: Request, route: Route, error: Exception) -> None:
    """Kind and place only: the text of a foreign error may quote data."""
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    where = [f"{frame.name}:{frame.lineno}" for frame in frames]
    _log.error(
        "request_fault",
        request_id=request.request_id,
        trace_id=request.trace_id,
        route=route.path,
        kind=type(error).__name__,
        where=where,
    )


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
