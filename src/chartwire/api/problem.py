"""What the API answers when it does not give what was asked for: RFC 9457 problems, and which error becomes which.

No field carries patient data: a problem names places (parameter names that we know, pointers) and rules, never what
was sent.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from chartwire.core.errors import ChartwireError, ErrorClass, FaultsError

RETRY_AFTER_S = 2

# code -> status and title; a code that is not here takes the status of its error class.
_CODES: dict[str, tuple[int, str]] = {
    "alert_over": (409, "The alert is over"),
    "another_person": (409, "The external id names another person"),
    "audit_unavailable": (503, "The access could not be recorded"),
    "body_malformed": (400, "The body is not JSON"),
    "body_too_large": (413, "The body is too large"),
    "channel_exists": (409, "An alert channel has this name"),
    "channel_in_use": (409, "Alert rules name this channel"),
    "credential_invalid": (401, "The key is not valid"),
    "credential_missing": (401, "A key is needed"),
    "duplicate": (409, "Another record has this number"),
    "duplicate_parameter": (400, "A parameter was given twice"),
    "custom_field_exists": (409, "A custom field has this name"),
    "custom_field_in_use": (409, "Values of this custom field exist"),
    "custom_fields_max": (422, "There are as many custom fields as there may be"),
    "gone": (410, "The resource was deleted"),
    "idempotency_key_needed": (400, "An Idempotency-Key is needed"),
    "idempotency_key_reused": (422, "The Idempotency-Key came with another request"),
    "illegal_move": (409, "The appointment cannot go there from its status"),
    "in_progress": (409, "A request with this Idempotency-Key is under way"),
    "internal": (500, "A fault in Chartwire"),
    "invalid_parameter": (400, "A parameter has a value that it cannot have"),
    "invalid_body": (422, "The body has values that it cannot have"),
    "media_type_unsupported": (415, "The body is of a type that is not understood"),
    "merged": (409, "The patient was merged into another"),
    "merged_meanwhile": (409, "A patient was merged or unmerged meanwhile"),
    "method_not_allowed": (405, "This address does not do that"),
    "not_acceptable": (406, "No type that was asked for can be given"),
    "not_found": (404, "There is nothing here"),
    "outranked": (409, "A source of higher rank sets this"),
    "page_token_expired": (400, "The page token has expired"),
    "page_token_invalid": (400, "The page token is not valid"),
    "page_token_mismatch": (400, "The page token belongs to another request"),
    "not_merged": (409, "The patient was not merged into another"),
    "not_available": (503, "This part of Chartwire is not running"),
    "parking_full": (409, "As many writes are parked as may be"),
    "precondition_failed": (412, "The object has changed since it was read"),
    "quota_exceeded": (429, "Too many requests"),
    "reference_failed": (409, "An item that this one refers to failed"),
    "reference_not_there_yet": (409, "A record that is named is not there yet"),
    "rule_exists": (409, "An alert rule has this name"),
    "scope_missing": (403, "The key may not do this"),
    "version_mismatch": (409, "The object has changed meanwhile"),
    "tls_required": (403, "The key came in the clear"),
    "too_much_since_merge": (409, "Too much came since the merge"),
    "unknown_id": (404, "Nothing has this id"),
    "unknown_parameter": (400, "A parameter is not known"),
    "version_unknown": (400, "There is no such version of the API"),
}
_TYPES = {"quota_exceeded": "https://iana.org/assignments/http-problem-types#quota-exceeded"}
"""Problem types that are registered; all others lead to our own page."""
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
    """An answer that is a problem. `code` is one of _CODES; `headers` go with it. `violated` names rate limits."""

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
        type=_TYPES.get(error.code) or f"/docs/problems#{error.code}",
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
