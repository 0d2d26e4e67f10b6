"""Every error that can reach an answer of the API has its place in the catalogue of problems, with the status of its class."""

import ast
from pathlib import Path

import chartwire
from chartwire.api.problem import ApiError, catalogue, problem_body
from chartwire.core.errors import ConflictError, NotFoundError, TransientError

SOURCE = Path(chartwire.__file__).parent
BEHIND_THE_API = ("api", "alerts", "channels", "delivery", "record", "trust", "store/pool.py", "store/errors.py")
CLASSES = {"ApiError": None, "FaultsError": 422, "ValidationError": 422, "NotFoundError": 404, "ConflictError": 409,
           "TransientError": 503}  # fmt: skip
NOT_TOLD = {"master_key_malformed", "source_not_known_yet", "intake_full", "ledger_expired", "merge_carried",
            "bad_policy"}  # fmt: skip
"""At the start, in workers and listeners, on the command line."""


def coded_errors():
    """(code, class of the error) of every error that the rooms behind the API make by name."""
    for place in BEHIND_THE_API:
        for path in (SOURCE / place).rglob("*.py") if (SOURCE / place).is_dir() else [SOURCE / place]:
            for call in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in CLASSES:
                    for one in call.keywords:
                        if one.arg == "code" and isinstance(one.value, ast.Constant):
                            yield one.value.value, call.func.id


def test_every_code_that_the_api_can_name_stands_in_the_catalogue():
    known = {one["code"] for one in catalogue()}
    assert {code for code, _ in coded_errors()} - known - NOT_TOLD == set()


def test_a_code_of_the_catalogue_has_the_status_of_the_error_that_it_names():
    statuses = {one["code"]: one["status"] for one in catalogue()}
    wrong = {
        (code, kind) for code, kind in coded_errors() if CLASSES[kind] not in {None, statuses.get(code, CLASSES[kind])}
    }
    assert wrong == set()


def test_the_catalogue_names_no_code_that_nothing_makes():
    text = "".join(path.read_text("utf-8") for path in SOURCE.rglob("*.py"))
    assert [one["code"] for one in catalogue() if f'"{one["code"]}"' not in text] == []


def test_the_type_of_a_problem_without_an_entry_leads_to_its_status():
    told = [problem_body(error, "r").type for error in (
        TransientError("x", code="sql_57014"), NotFoundError("x", code="unheard_of"), ConflictError("x", code="merged"),
        ApiError("x", code="quota_exceeded", error_class="rate"),
    )]  # fmt: skip
    assert told[:3] == ["/docs/problems#status-503", "/docs/problems#status-404", "/docs/problems#merged"]
    assert told[3].startswith("https://iana.org/")
