"""`chartwire hl7 send`: every message of the files, one after the other, with the answer that each got."""

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any

from chartwire.app import console
from chartwire.app.mllp_client import MllpClient, client_tls
from chartwire.app.sandbox_file import read_sandbox
from chartwire.app.settings import load
from chartwire.core.errors import NotFoundError, ParseError, TransientError
from chartwire.formats.hl7v2 import parse, split
from chartwire.trust.outcomes import ConnectFailedError

_ACCEPTED = frozenset({"AA", "CA"})


def run(args: argparse.Namespace) -> int:
    """The command: exit 1 when a message was refused or got no answer."""
    tls = client_tls(args.ca, args.cert, args.key) if args.tls or args.ca or args.cert else None
    port = _default_port(args) if args.port is None else args.port
    client = MllpClient(args.host, port, tls, args.timeout)
    try:
        answers = asyncio.run(_send_all(client, args.files))
    except ConnectFailedError as error:
        place = f"{args.host}:{port}"
        hint = "start a listener with `chartwire up`, or name another --host and --port"
        raise TransientError(f"{place}: {error.message}; {hint}", code=error.code) from None
    console.say(args, answers, "\n".join(_line(answer) for answer in answers))
    return console.OK if all(answer["code"] in _ACCEPTED for answer in answers) else console.PROBLEMS


def _default_port(args: argparse.Namespace) -> int:
    settings = load(args.config)
    try:
        return int(read_sandbox(settings.data_dir)["mllp_port"])
    except NotFoundError:
        return settings.mllp_port


async def _send_all(client: MllpClient, files: list[Path]) -> list[dict[str, Any]]:
    answers: list[dict[str, Any]] = []
    try:
        for file in files:
            data = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
            for number, message in enumerate(split(data), start=1):
                answers.append({"file": str(file), "message": number} | await _send(client, message))
    finally:
        await client.close()
    return answers


async def _send(client: MllpClient, message: bytes) -> dict[str, Any]:
    answer = await client.exchange(message)
    try:
        document = parse(answer)
    except ParseError as error:
        reason = f"the answer is not HL7 v2: {error.message}"
        return {"code": "", "control_id": None, "ack_control_id": None, "errors": [reason]}
    errors = [_error(segment.value(4), segment.value(2), segment.value(8)) for segment in document.all("ERR")]
    return {
        "code": document.get("MSA-1") or "",
        "control_id": document.get("MSA-2"),
        "ack_control_id": document.get("MSH-10"),
        "errors": errors,
    }


def _error(severity: str | None, location: str | None, text: str | None) -> str:
    return " ".join(part for part in (severity, location, text) if part)


def _line(answer: dict[str, Any]) -> str:
    errors = "".join(f"\n    {error}" for error in answer["errors"])
    return (
        f"{answer['file']} [{answer['message']}] {answer['control_id'] or '-'}: {answer['code'] or 'no code'}{errors}"
    )
