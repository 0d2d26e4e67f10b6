"""Structured logs: one JSON line an occurrence, none a message, and no patient data by construction.

Three guards: only keys on the list below are written, of any other only the name; of an exception only its type and the
places that it passed (its text may quote a value); of what libraries log through the standard library only logger,
level and place, with the text of our own loggers' templates.
"""

import logging
import os
import sys
import traceback
from pathlib import Path
from typing import Any, BinaryIO
from uuid import UUID

import orjson
import structlog
from structlog.typing import EventDict, WrappedLogger

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
LOGGED_KEYS = frozenset(
    {
        "age_s", "attempt", "attempts", "backoff_s", "bytes", "channel", "code", "connections", "correlation_id",
        "count", "credential_id", "dead_owners", "tls", "error", "notice", "rule_id",
        "delay_s", "deliveries", "delivery_id", "destination_id",
        "duration_ms", "error_class", "error_code", "event", "event_id", "events", "exception", "exit_code", "fence",
        "field", "host", "in_flight", "jobs", "kind", "lane_id", "lanes", "level", "limit", "listener", "location",
        "logger", "message_id", "messages", "method", "migration", "mode", "name", "org_id", "outcome", "partition",
        "path", "peer", "phase", "pid", "place", "port", "process", "reason", "refused_keys", "request_id",
        "resource_id", "resource_type", "restarts", "review_id", "role", "route", "rule", "seconds", "signal",
        "source", "source_id", "state", "status", "table", "timeout_s", "timestamp", "trace_id", "type", "version",
        "where", "worker_id",
    }
)  # fmt: skip
# Under these only a name is written (of an exception's type, say), never a sentence.
_NAMES_ONLY = frozenset({"error"})
_TEXT_CHARS_MAX = 300
_FRAMES_MAX = 12


def configure(level: str, process: str, *, stream: BinaryIO | None = None) -> None:
    """Set up logging for this process, named `process` in each line, to `stream` (default: standard error)."""
    out = stream or sys.stderr.buffer
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _named(process),
            without_exception_text,
            only_known_keys,
            structlog.processors.JSONRenderer(serializer=_serialised),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.BytesLoggerFactory(file=out),
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers = [_LibraryHandler()]
    root.setLevel(max(LEVELS[level], logging.WARNING))
    logging.getLogger("chartwire").setLevel(LEVELS[level])


def only_known_keys(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Drop what is not on the list, and name it under `refused_keys`; shorten texts; bytes are never written."""
    kept: EventDict = {}
    refused = []
    for key, value in event.items():
        if key in LOGGED_KEYS and _is_writable(key, value):
            kept[key] = _plain(value)
        else:
            refused.append(key)
    if refused:
        kept["refused_keys"] = sorted(refused)
    return kept


def _is_writable(key: str, value: object) -> bool:
    if key in _NAMES_ONLY:
        return isinstance(value, str) and value.isidentifier()
    return not isinstance(value, bytes | bytearray | memoryview | dict)


def without_exception_text(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace `exc_info` by the exception's type and the places in the code that it passed, innermost last."""
    given = event.pop("exc_info", None)
    if given is True:
        given = sys.exc_info()
    error = given[1] if isinstance(given, tuple) else given
    if isinstance(error, BaseException):
        event["exception"] = type(error).__name__
        event["where"] = places(error)
    return event


def places(error: BaseException) -> list[str]:
    """`file:line function` of the innermost frames, file names without their directories."""
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES_MAX:]
    return [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]


def _named(process: str) -> structlog.typing.Processor:
    pid = os.getpid()

    def add(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event["process"] = process
        event["pid"] = pid
        return event

    return add


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(part) for part in value]
    text = str(value) if isinstance(value, str | UUID) else type(value).__name__
    return text if len(text) <= _TEXT_CHARS_MAX else text[:_TEXT_CHARS_MAX] + "..."


def _serialised(event: EventDict, **_options: Any) -> bytes:
    return orjson.dumps(event)


class _LibraryHandler(logging.Handler):
    """Brings records of the standard library's logging into the same stream, without their arguments."""

    def emit(self, record: logging.LogRecord) -> None:
        ours = record.name.partition(".")[0] in ("chartwire", "simulators")
        text = record.msg if ours and isinstance(record.msg, str) else "library_log"
        structlog.get_logger().log(
            record.levelno,
            text,
            logger=record.name,
            place=f"{record.filename}:{record.lineno}",
            exc_info=record.exc_info,
        )
