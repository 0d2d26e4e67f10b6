"""Errors of the FHIR door as OperationOutcome, one to one with the problems of the practice API."""

from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from chartwire.api.http import FHIR_JSON, Answer, Request
from chartwire.api.problem import ApiError, Fault, ProblemBody, problem_body, problem_headers, status_of
from chartwire.core.errors import ChartwireError, ErrorClass
from chartwire.formats.fhir.validate import Issue

_ISSUE_CODES: dict[ErrorClass, str] = {
    "auth": "forbidden",
    "validation": "invalid",
    "not_found": "not-found",
    "conflict": "conflict",
    "rate": "throttled",
    "transient": "transient",
    "upstream": "exception",
}
_BY_STATUS = {401: "login", 410: "deleted", 405: "not-supported", 406: "not-supported", 415: "not-supported"}


class InvalidResourceError(ApiError):
    """A resource that breaks rules: with every issue that the validator found."""

    def __init__(self, issues: Sequence[Issue]) -> None:
        told = next(issue.text for issue in issues if issue.severity == "error")
        super().__init__(told, code="resource_invalid")
        self.issues = tuple(issues)


def outcome_of(issues: Iterable[Issue]) -> bytes:
    """What the validator says, as an OperationOutcome: place as expression, rule as details.coding."""
    told = [_told(issue) for issue in issues]
    return orjson.dumps({"resourceType": "OperationOutcome", "issue": told or [_ALL_WELL]})


def _told(issue: Issue) -> dict[str, Any]:
    return {
        "severity": issue.severity,
        "code": issue.code,
        "details": {"coding": [{"system": f"{_HOME}/rules", "code": issue.rule}]},
        "diagnostics": f"{issue.text} (asked for by {issue.profile})" if issue.profile else issue.text,
        "expression": [issue.location],
    }


_HOME = "https://chartwire.org"
_ALL_WELL = {"severity": "information", "code": "informational", "diagnostics": "nothing was found wrong"}


def _placed(fault: Fault, problem: ProblemBody) -> dict[str, Any]:
    """Where one of the faults of a problem is, and what is wrong there."""
    place = fault.pointer.removeprefix("/")
    told = problem.detail if fault.detail in problem.detail else f"`{place}` {fault.detail}"
    return {"diagnostics": told} | ({"expression": [place]} if place else {})


def operation_outcome(request: Request, error: ChartwireError) -> Answer:
    """The answer to a failed FHIR request: class as issue.code, our code as details.coding, places as expression."""
    if isinstance(error, InvalidResourceError):
        return Answer(outcome_of(error.issues), status_of(error), FHIR_JSON)
    problem = problem_body(error, request.request_id)
    issue = {
        "severity": "error",
        "code": _BY_STATUS.get(problem.status, _ISSUE_CODES[problem.class_]),
        "details": {
            "coding": [{"system": f"{_HOME}/problems", "code": problem.code}],
            "text": problem.title,
        },
        "diagnostics": problem.detail,
    }
    issues = [issue | _placed(fault, problem) for fault in problem.errors] or [issue]
    body = orjson.dumps({"resourceType": "OperationOutcome", "issue": issues})
    return Answer(body, problem.status, FHIR_JSON, problem_headers(error))
