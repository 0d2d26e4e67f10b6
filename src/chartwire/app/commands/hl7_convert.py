"""`chartwire hl7 convert IN --out DIR`: one FHIR Bundle a message, and `refused.json` with what was refused and why.

A Bundle is named by the path under IN with `/` as `__` plus `.json`; further messages of one file get `.2.json`,
`.3.json`. Resource ids are uuid5 of the source key, so that the same input gives the same output. No database.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from chartwire.app import console
from chartwire.channels.harness import desk_source
from chartwire.core.errors import ChartwireError, NotFoundError, ParseError
from chartwire.core.source import Source
from chartwire.formats.hl7v2 import parse, split
from chartwire.mapping import Mapper, load_maps, to_bundle

REFUSED = "refused.json"
_encoder = msgspec.json.Encoder(decimal_format="number")


def run(args: argparse.Namespace) -> int:
    """The command: exit 1 when something was refused."""
    source = desk_source(authority=args.authority, timezone=args.timezone)
    if not args.input.exists():
        raise NotFoundError(f"{args.input}: there is no such file or folder", code="no_such_file")
    args.out.mkdir(parents=True, exist_ok=True)
    mapper, refused, converted = load_maps(), list[dict[str, Any]](), 0
    for file, name in _files(args.input, args.out):
        done, problems = _convert_file(mapper, source, file, name, args.out)
        converted += done
        refused += problems
    _write(args.out / REFUSED, refused)
    summary = {"converted": converted, "refused": len(refused), "out": str(args.out)}
    lines = [f"{row['file']} [{row['message']}]: {row['reason']}" for row in refused]
    lines.append(f"{converted} converted, {len(refused)} refused ({args.out / REFUSED})")
    console.say(args, summary, "\n".join(lines))
    return console.PROBLEMS if refused else console.OK


def _files(given: Path, out: Path) -> Iterator[tuple[Path, str]]:
    """Every file under IN with its name in the output, in order; what an earlier run wrote under IN is left out."""
    if given.is_file():
        yield given, given.name
        return
    inside = out.resolve()
    for path in sorted(given.rglob("*")):
        if path.is_file() and inside not in path.resolve().parents:
            yield path, "__".join(path.relative_to(given).parts)


def _convert_file(mapper: Mapper, source: Source, file: Path, name: str, out: Path) -> tuple[int, list[dict[str, Any]]]:
    try:
        messages = list(split(file.read_bytes()))
    except ChartwireError as error:
        return 0, [_refusal(name, 1, error)]
    converted, refused = 0, list[dict[str, Any]]()
    for number, message in enumerate(messages, start=1):
        suffix = ".json" if number == 1 else f".{number}.json"
        try:
            _write(out / f"{name}{suffix}", to_bundle(mapper.convert(parse(message), source, anonymous=True)))
            converted += 1
        except ChartwireError as error:
            refused.append(_refusal(name, number, error))
    return converted, refused


def _refusal(name: str, number: int, error: ChartwireError) -> dict[str, Any]:
    row: dict[str, Any] = {"file": name, "message": number, "code": error.code, "reason": error.message}
    for detail in ("location", "position", "field", "rule"):
        value = getattr(error, detail, None)
        if value not in (None, "") and not (detail == "position" and not isinstance(error, ParseError)):
            row[detail] = value
    return row


def _write(path: Path, content: object) -> None:
    path.write_bytes(msgspec.json.format(_encoder.encode(content), indent=2) + b"\n")
