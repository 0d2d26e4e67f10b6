"""What stands between an admitted request and its handler: scope, form, parameters; and what becomes of errors.

The outer request and each entry of a batch Bundle pass here alike (api/fhir/inner.py).
"""

import difflib
import traceback

import msgspec
import structlog

from chartwire.api.fhir import negotiation
from chartwire.api.fhir.outcome import operation_outcome
from chartwire.api.http import API_VERSIONS, JSON, PROBLEM_JSON, Answer, Header, Request, accepts
from chartwire.api.problem import ApiError, Fault, problem_body, problem_headers, status_of
from chartwire.api.routes import Route
from chartwire.api.services import Services
from chartwire.core.errors import AuthError, ChartwireError

_log = structlog.get_logger(__name__)
FHIR_PREFIX = "/fhir/"
_API_PREFIX = "/api/"
_VERSION: Header = (b"chartwire-version", API_VERSIONS[-1].encode())


async def served(request: Request, route: Route, services: Services, query_string: bytes) -> Answer:
    """The answer of a route to a request with its access. Raises ChartwireError, and whatever a fault of ours is."""
    if not route.admits(request.access):
        raise AuthError(f"the key lacks the scope {route.scopes_told}", code="scope_missing")
    drawn = _understood(request, route, query_string)
    if unknown := route.unknown(request.query):
        raise _unknown_parameter(unknown, route)
    answer = await route.handle(request, services)
    return negotiation.drawn(answer) if drawn else answer


async def handled(request: Request, route: Route, services: Services, query_string: bytes) -> Answer:
    """As `served`; a refusal, and a fault of ours, is an answer too."""
    try:
        return await served(request, route, services, query_string)
    except ChartwireError as error:
        if error.error_class in {"transient", "upstream"} or error.code.startswith("sql_"):
            _log.warning(
                "request_failed",
                trace_id=request.trace_id,
                request_id=request.request_id,
                route=route.path,
                code=error.code,
            )
        return refusal(request, _as_told(error))
    except Exception as error:  # the last door: nothing of an unforeseen error may reach the caller or the log
        _log_fault(request, route, error)
        return refusal(request, _internal())


def refusal(request: Request, error: ChartwireError) -> Answer:
    """The error in the dialect of the door it came through."""
    if request.path.startswith(FHIR_PREFIX):
        return operation_outcome(request, error)
    body = msgspec.json.encode(problem_body(error, request.request_id))
    return Answer(body, status_of(error), PROBLEM_JSON, problem_headers(error))


def _understood(request: Request, route: Route, query_string: bytes) -> bool:
    """Read the query, settle form and version of the answer; whether it is drawn for people. Raises ApiError."""
    if request.path.startswith(FHIR_PREFIX):
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


def _as_told(error: ChartwireError) -> ChartwireError:
    """What the database refused although we let it pass is our fault, not the caller's."""
    ours = error.code.startswith("sql_") and error.error_class != "transient"
    return _internal() if ours else error


def _internal() -> ApiError:
    return ApiError("the log has the place under this request id", code="internal", error_class="upstream")


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
