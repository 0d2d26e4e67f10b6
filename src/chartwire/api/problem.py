"""What the API answers when it does not give what was asked for: RFC 9457 problems, and which error becomes which.

No field carries patient data: a problem names places (parameter names that we know, pointers) and rules, never what
was sent.
"""

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import msgspec
import yaml

from chartwire.core.errors import ChartwireError, ErrorClass, FaultsError

RETRY_AFTER_S = 2

_TYPES = {"quota_exceeded": "https://iana.org/assignments/http-problem-types#quota-exceeded"}
"""Problem types that are registered; all others lead to our own page."""


def _load() -> dict[str, tuple[int, str]]:
    text = files("chartwire.api").joinpath("problems.yaml").read_text("utf-8")
    table: dict[int, dict[str, str]] = yaml.safe_load(text)
    return {code: (status, title) for status, titles in table.items() for code, title in titles.items()}


_CODES = _load()
"""Code -> status and title; a code that is not here takes those of its error class."""
_CLASSES: dict[ErrorClass, tuple[int, str]] = {
    "auth": (403, "The key may not do this"),
    "validation": (422, "The request breaks a rule"),
    "not_found": (404, "Nothing has this id"),
    "conflict": (409, "The present state does not allow this"),
    "rate": (429, "Too many requests"),
    "transient": (503, "Not now: the same request may succeed later"),
    "upstream": (502, "Another system failed"),
}
_RETRYABLE: frozenset[ErrorClass] = frozenset({"rate", "transient"})
_RETRYABLE_CONFLICTS = frozenset({"in_progress", "merged_meanwhile", "reference_not_there_yet"})
"""Conflicts that pass by themselves: the same request may succeed later."""


class Fault(msgspec.Struct, frozen=True):
    """One thing that is wrong. `pointer` is `/birth_date`: the name of a parameter or member, as we know it."""

    pointer: str
    code: str
    detail: str


class ProblemBody(msgspec.Struct, frozen=True):
    """RFC 9457, with the members of our own that follow `instance`."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    class_: ErrorClass = msgspec.field(name="class")
    retryable: bool
    request_id: str
    errors: list[Fault] = []
    violated_policies: list[str] | msgspec.UnsetType = msgspec.field(name="violated-policies", default=msgspec.UNSET)


class ApiError(ChartwireError):
    """An answer that is a problem. `code` stands in problems.yaml. `headers` go with it, `violated` names limits."""

    def __init__(
        self,
        message: str,
        *,
        code: str,
        error_class: ErrorClass = "validation",
        faults: Sequence[Fault] = (),
        headers: Sequence[tuple[bytes, bytes]] = (),
        violated: Sequence[str] = (),
    ) -> None:
        super().__init__(message, code=code)
        self.error_class = error_class
        self.faults = tuple(faults)
        self.headers = tuple(headers)
        self.violated = tuple(violated)


def not_found() -> ApiError:
    """The one answer to an id that is unknown, malformed or of another organisation."""
    return ApiError("nothing that this key may see has this id", code="unknown_id", error_class="not_found")


def bad_parameter(name: str, detail: str) -> ApiError:
    """A known parameter whose value cannot be; `detail` says what can."""
    fault = Fault(f"/{name}", "invalid_parameter", detail)
    return ApiError(f"`{name}` {detail}", code="invalid_parameter", faults=[fault])


def status_of(error: ChartwireError) -> int:
    """The HTTP status of an error."""
    return _CODES.get(error.code, _CLASSES[error.error_class])[0]


def problem_body(error: ChartwireError, request_id: str) -> ProblemBody:
    """The problem that tells of an error. ApiError and FaultsError carry places."""
    status, title = _CODES.get(error.code, _CLASSES[error.error_class])
    return ProblemBody(
        type=_type_of(error.code, status),
        title=title,
        status=status,
        detail=_detail(error),
        instance=f"/api/v1/requests/{request_id}",
        code=error.code,
        class_=error.error_class,
        retryable=_retryable(error),
        request_id=request_id,
        errors=_faults(error),
        violated_policies=_violated(error),
    )


def _type_of(code: str, status: int) -> str:
    """What opens a place of the catalogue: that of the code, else that of the status."""
    return _TYPES.get(code) or f"/docs/problems#{code if code in _CODES else f'status-{status}'}"


def problem_headers(error: ChartwireError) -> list[tuple[bytes, bytes]]:
    """Headers that a problem needs: the error's own, WWW-Authenticate on 401, Retry-After on what is retryable."""
    headers = list(error.headers) if isinstance(error, ApiError) else []
    status = status_of(error)
    if status == 401:
        told = b'Bearer realm="chartwire"'
        headers.append((b"www-authenticate", told if error.code == "credential_missing" else told + _INVALID_TOKEN))
    if _retryable(error) and not any(name == b"retry-after" for name, _ in headers):
        headers.append((b"retry-after", b"%d" % RETRY_AFTER_S))
    return headers


def catalogue() -> list[dict[str, Any]]:
    """Every code with its status and title, for the documentation."""
    return [{"code": code, "status": status, "title": title} for code, (status, title) in sorted(_CODES.items())]


_INVALID_TOKEN = b', error="invalid_token"'


def _faults(error: ChartwireError) -> list[Fault]:
    if isinstance(error, FaultsError):
        return [Fault(*one) for one in error.faults]
    return list(error.faults) if isinstance(error, ApiError) else []


def _violated(error: ChartwireError) -> list[str] | msgspec.UnsetType:
    return list(error.violated) if isinstance(error, ApiError) and error.violated else msgspec.UNSET


def _retryable(error: ChartwireError) -> bool:
    return error.error_class in _RETRYABLE or error.code in _RETRYABLE_CONFLICTS


def _detail(error: ChartwireError) -> str:
    if error.code.startswith("sql_"):
        return "the database could not do this; the log has the reason under this request id"
    return error.message
