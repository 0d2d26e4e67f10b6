"""`chartwire hl7 get`: fields of a message as a JSON object path -> unescaped value, null where absent.

A value that the sender cleared (`""`) is shown as `""` written out, two quotation marks, apart from an absent one.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from chartwire.app import console
from chartwire.core.errors import ChartwireError, ValidationError
from chartwire.formats.hl7v2 import compile_path, parse, split


def run(args: argparse.Namespace) -> int:
    """The command, in its two forms."""
    if args.batch:
        return _batch()
    paths = [*args.paths, *args.rest]
    if args.file is None or not paths:
        console.complain(args, "usage", "name a file and at least one path, such as: chartwire hl7 get FILE 'PID-5.1'")
        return console.USAGE
    _, values = read_fields(args.file, args.message, paths)
    print(json.dumps(values, ensure_ascii=False, indent=2))
    return console.OK


def read_fields(file: Path, number: int, paths: list[str]) -> tuple[int, dict[str, str | None]]:
    """How many messages the file holds, and the values of message `number` (from 1) by path.

    Raises OSError, ParseError (file or path) and ValidationError (`no_such_message`).
    """
    for path in paths:
        compile_path(path)
    messages = list(split(file.read_bytes()))
    if not 1 <= number <= len(messages):
        raise ValidationError(
            f"{file} holds {len(messages)} message(s), none is number {number}", code="no_such_message"
        )
    document = parse(messages[number - 1])
    return len(messages), {path: document.get(path) for path in paths}


def _batch() -> int:
    """One answer line a request line. Files that cannot be read get an `error`; a malformed request means exit 1."""
    sound = True
    for line in sys.stdin:
        if line.strip():
            answer = _answer(line)
            sound = sound and answer["file"] is not None
            print(json.dumps(answer, ensure_ascii=False), flush=True)
    return console.OK if sound else console.PROBLEMS


def _answer(line: str) -> dict[str, Any]:
    try:
        request = json.loads(line)
        file, number, paths = str(request["file"]), int(request.get("message") or 1), [str(p) for p in request["paths"]]
    except (ValueError, TypeError, KeyError, AttributeError):
        return {"file": None, "error": "each line is a JSON object with file, message and paths"}
    try:
        count, values = read_fields(Path(file), number, paths)
    except ChartwireError as error:
        return {"file": file, "error": error.message}
    except OSError as error:
        return {"file": file, "error": error.strerror or type(error).__name__}
    return {"file": file, "message": number, "messages_in_file": count, "values": values}
