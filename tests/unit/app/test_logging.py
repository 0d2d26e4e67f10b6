"""The log's guards: known keys only, no texts of exceptions, nothing of what libraries say."""

import ast
import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from chartwire.app.logging import LOGGED_KEYS, configure

SOURCES = Path(__file__).parents[3] / "src" / "chartwire"
CANARY = "Zyxwvut-Canary"
LEVEL_METHODS = {"debug", "info", "warning", "error", "exception", "critical"}


@pytest.fixture
def log() -> Iterator[io.BytesIO]:
    stream = io.BytesIO()
    root, handlers, level = logging.getLogger(), logging.getLogger().handlers, logging.getLogger().level
    configure("info", "worker-0", stream=stream)
    yield stream
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def lines(log: io.BytesIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


def test_a_key_that_is_not_on_the_list_is_named_but_its_value_is_not_written(log: io.BytesIO) -> None:
    structlog.get_logger().info("saved", patient_name=CANARY, count=3)
    (line,) = lines(log)
    assert line["refused_keys"] == ["patient_name"]
    assert line["count"] == 3
    assert CANARY not in log.getvalue().decode()


def test_an_exception_leaves_its_kind_and_places_and_not_its_text(log: io.BytesIO) -> None:
    try:
        raise KeyError(CANARY)
    except KeyError:
        structlog.get_logger().exception("step_failed", message_id="0190")
    (line,) = lines(log)
    assert line["exception"] == "KeyError"
    assert line["where"][-1].startswith("test_logging.py:")
    assert CANARY not in log.getvalue().decode()


def test_bytes_and_mappings_are_never_written_even_under_a_known_key(log: io.BytesIO) -> None:
    structlog.get_logger().info("odd", reason=CANARY.encode(), state={"name": CANARY})
    assert lines(log)[0]["refused_keys"] == ["reason", "state"]
    assert CANARY not in log.getvalue().decode()


def test_an_error_is_named_by_its_kind_and_never_by_a_sentence(log: io.BytesIO) -> None:
    structlog.get_logger().error("failed", error="ValueError")
    structlog.get_logger().error("failed", error=f"bad value {CANARY}")
    first, second = lines(log)
    assert first["error"] == "ValueError"
    assert second["refused_keys"] == ["error"]


def test_what_a_library_logs_is_reduced_to_its_place(log: io.BytesIO) -> None:
    logging.getLogger("asyncio").error("Task exception was never retrieved: %r", CANARY)
    logging.getLogger("asyncio").error(f"future: <{CANARY}>")
    first, second = lines(log)
    assert (first["logger"], first["event"]) == ("asyncio", "library_log")
    assert second["place"].startswith("test_logging.py:")
    assert CANARY not in log.getvalue().decode()


def test_every_key_that_our_code_logs_is_on_the_list() -> None:
    unknown = {
        f"{path.relative_to(SOURCES)}:{call.lineno} {keyword.arg}"
        for path in SOURCES.rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in LEVEL_METHODS
        for keyword in call.keywords
        if keyword.arg not in LOGGED_KEYS and keyword.arg not in {"exc_info", None}
    }
    assert not unknown
