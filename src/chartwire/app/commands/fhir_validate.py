"""`chartwire fhir validate`: what is wrong with FHIR resources, by R4 and by profiles, and how to mend it.

Takes files, folders (walked; `.json`, `.ndjson`, `.gz`) and `-` for standard input. A Bundle is one resource: what its
entries hold is checked along. No database, no server.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from chartwire.alerts.words import counted
from chartwire.app import console
from chartwire.app.fhir_files import phases, texts
from chartwire.app.junit import Case, write_junit
from chartwire.core.errors import NotFoundError, ParseError
from chartwire.formats.fhir.reading import read_resource
from chartwire.formats.fhir.validate import SEVERITIES, Issue, check

STDIN: Final = "-"


@dataclass(slots=True)
class _Run:
    """What has been seen: for the summary, the JSON document and JUnit."""

    fails_on: tuple[str, ...]
    rows: list[dict[str, Any]] = field(default_factory=list)
    cases: list[Case] = field(default_factory=list)
    severities: Counter[str] = field(default_factory=Counter)
    failed: int = 0


def run(args: argparse.Namespace) -> int:
    """The command: exit 1 when a resource has an issue of the severity that fails.

    Raises NotFoundError (`no_resource`) where there is none: a test that looks at nothing has not passed.
    """
    seen = _Run(SEVERITIES[: SEVERITIES.index(args.fail_on) + 1])
    for place, data in _inputs([*args.inputs, *args.rest]):
        kind, issues = _judged(data, args)
        _note(args, seen, place, kind, issues)
    if not seen.cases:
        raise NotFoundError(f"there is no resource in {', '.join([*args.inputs, *args.rest])}", code="no_resource")
    if args.junit:
        args.junit.write_bytes(write_junit("chartwire fhir validate", seen.cases))
    counts = {severity: seen.severities[severity] for severity in SEVERITIES}
    summary = {"resources": len(seen.cases), "failed": seen.failed, "issues": counts}
    said = ", ".join(f"{count} {severity}" for severity, count in counts.items())
    text = f"{counted(len(seen.cases), 'resource')}, {seen.failed} failed; {said}"
    console.say(args, {"summary": summary, "resources": seen.rows}, text)
    return console.PROBLEMS if seen.failed else console.OK


def _inputs(words: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """Place and text of every resource, in the order in which the inputs were named."""
    for word in words:
        if word == STDIN:
            yield word, sys.stdin.buffer.read()
        else:
            for phase in phases([Path(word)]):
                for path in phase:
                    yield from texts(path)


def _judged(data: bytes, args: argparse.Namespace) -> tuple[str, list[Issue]]:
    """The type of a resource and its issues; what is none is an error."""
    try:
        resource = read_resource(data, bytes_max=sys.maxsize)
    except ParseError as error:
        return "?", [Issue("error", "structure", error.location or "Resource", error.code, error.message)]
    return resource["resourceType"], check(resource, args.profile, strict=args.strict)


def _note(args: argparse.Namespace, seen: _Run, place: str, kind: str, issues: list[Issue]) -> None:
    """Show one resource, and keep what the end of the run needs of it."""
    failures = [issue for issue in issues if issue.severity in seen.fails_on]
    seen.failed += bool(failures)
    seen.severities.update(issue.severity for issue in issues)
    seen.cases.append(Case(place, kind, [*map(_line, failures)]))
    if args.json:
        told = [asdict(issue) for issue in issues]
        seen.rows.append({"file": place, "type": kind, "failed": bool(failures), "issues": told})
        return
    shown = SEVERITIES[: SEVERITIES.index(args.show) + 1]
    lines = [f"  {issue.severity:<11} {_line(issue)}" for issue in issues if issue.severity in shown]
    if lines:
        print("\n".join([f"{place} {kind}", *lines]))


def _line(issue: Issue) -> str:
    by = f" [{issue.profile}]" if issue.profile else ""
    return f"{issue.rule}: {issue.text}{by}"
