"""Errors of the FHIR door as OperationOutcome, one to one with the problems of the practice API."""

import orjson

from chartwire.api.http import FHIR_JSON, Answer, Request
from chartwire.api.problem import problem_body, problem_headers
from chartwire.core.errors import ChartwireError, ErrorClass

_ISSUE_CODES: dict[ErrorClass, str] = {
    "auth": "forbidden",
    "validation": "invalid",
    "not_found": "not-found",
    "conflict": "conflict",
    "rate": "throttled",
    "transient": "transient",
    "upstream": "exception",
}
_BY_STATUS = {401: "login", 410: "deleted", 405: "not-supported", 406: "not-supported"}


def operation_outcome(request: Request, error: ChartwireError) -> Answer:
    """The answer to a failed FHIR request: class as issue.code, our code as details.coding, places as expression."""
    problem = problem_body(error, request.request_id)
    issue = {
        "severity": "error",
        "code": _BY_STATUS.get(problem.status, _ISSUE_CODES[problem.class_]),
        "details": {
            "coding": [{"system": "https://chartwire.org/problems", "code": problem.code}],
            "text": problem.title,
        },
        "diagnostics": problem.detail,
    }
    if problem.errors:
        issue["expression"] = [fault.pointer.removeprefix("/") for fault in problem.errors if fault.pointer]
    body = orjson.dumps({"resourceType": "OperationOutcome", "issue": [issue]})
    return Answer(body, problem.status, FHIR_JSON, problem_headers(error))
