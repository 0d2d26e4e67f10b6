"""`chartwire hl7 validate`: what is wrong with messages, how to mend it, and what Chartwire would make of them.

Takes files, folders (walked; files that hold no message are passed over) and `-` for standard input. For each message:
its issues, the ACK it would get, how many resources it would become, and the fields that no rule read. No database.
"""

import argparse
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import yaml

from chartwire.alerts.words import counted
from chartwire.app import console
from chartwire.app.junit import Case, write_junit
from chartwire.channels.harness import Harness, Trial, desk_source
from chartwire.channels.source_form import read_form, source_of
from chartwire.core.errors import NotFoundError, ParseError, ValidationError
from chartwire.core.source import Source
from chartwire.formats.hl7v2.validate import SEVERITIES, Issue, rule_issue
from chartwire.mapping import load_maps
from chartwire.mllp.verdicts import preview

STDIN = "-"
_HEADS = (b"MSH", b"M\x00S\x00H", b"\x00M\x00S\x00H")
_HEAD_BYTES = 3000
_encoder = msgspec.json.Encoder(decimal_format="number")


@dataclass(slots=True)
class _Run:
    """What has been seen: for the summary, the JSON document and JUnit."""

    fails_on: tuple[str, ...]
    rows: list[dict[str, Any]] = field(default_factory=list)
    cases: list[Case] = field(default_factory=list)
    severities: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    files: int = 0
    failed: int = 0

    def failures(self, trial: Trial) -> list[Issue]:
        """The issues that make a message fail; a negative answer is one too."""
        found = [issue for issue in trial.issues if issue.severity in self.fails_on]
        ack = trial.ack
        if not found and ack is not None and ack.state == "dead":
            found.append(rule_issue("answer_negative", ack.location or "MSH", code=ack.code or "no", reason=ack.text))
        return found


def run(args: argparse.Namespace) -> int:
    """The command: exit 1 when a message has an issue of the severity that fails, or would be refused.

    Raises NotFoundError (`no_message`) where there is none: a test that looks at nothing has not passed.
    """
    source = _source(args)
    seen = _Run(SEVERITIES[: SEVERITIES.index(args.fail_on) + 1])
    harness = Harness(load_maps(), preview, version=args.hl7_version)
    if args.bundles:
        args.bundles.mkdir(parents=True, exist_ok=True)
    for name, data in _inputs([*args.inputs, *args.rest]):
        seen.files += 1
        trials = _trials(harness, data, source, anonymous=args.source_settings is None)
        for trial in trials:
            _note(args, seen, name, trial)
    if not seen.cases:
        raise NotFoundError(f"there is no message in {', '.join([*args.inputs, *args.rest])}", code="no_message")
    if args.junit:
        args.junit.write_bytes(write_junit("chartwire hl7 validate", seen.cases))
    summary = {
        "files": seen.files,
        "messages": len(seen.cases),
        "failed": seen.failed,
        "issues": {severity: seen.severities[severity] for severity in SEVERITIES},
        "answers": dict(seen.answers),
    }
    console.say(args, {"summary": summary, "messages": seen.rows}, _summary_text(seen))
    return console.PROBLEMS if seen.failed else console.OK


def _source(args: argparse.Namespace) -> Source:
    if args.source_settings is None:
        return desk_source(authority=args.authority, timezone=args.timezone)
    text = args.source_settings.read_text("utf-8")
    try:
        values = tomllib.loads(text) if args.source_settings.suffix == ".toml" else yaml.safe_load(text)
    except (tomllib.TOMLDecodeError, yaml.YAMLError):
        values = None
    if not isinstance(values, dict):
        raise ValidationError(f"{args.source_settings}: not a source in JSON, YAML or TOML", code="bad_source_settings")
    return replace(source_of(read_form(values), UUID(int=0), UUID(int=0)), live=False)


def _inputs(given: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """Name and content of every input, in order."""
    for word in given:
        path = Path(word)
        if word == STDIN:
            yield word, sys.stdin.buffer.read()
        elif path.is_dir():
            for file in sorted(path.rglob("*")):
                if file.is_file() and (data := file.read_bytes()) and _holds_message(data):
                    yield str(file), data
        elif path.exists():
            yield word, path.read_bytes()
        else:
            raise NotFoundError(f"{word}: there is no such file or folder", code="no_such_file")


def _holds_message(data: bytes) -> bool:
    return any(head in data[:_HEAD_BYTES] for head in _HEADS)


def _trials(harness: Harness, data: bytes, source: Source, *, anonymous: bool) -> Iterator[Trial]:
    try:
        yield from harness.run(data, source, anonymous=anonymous)
    except ParseError as error:
        issue = rule_issue("unreadable", error.location or "MSH", reason=error.message)
        yield Trial(1, issues=[issue], refused={"code": error.code, "reason": error.message})


def _note(args: argparse.Namespace, seen: _Run, name: str, trial: Trial) -> None:
    """Show one message, write its Bundle, and keep what the end of the run needs of it."""
    failures = seen.failures(trial)
    seen.failed += bool(failures)
    seen.severities.update(issue.severity for issue in trial.issues)
    if trial.ack is not None:
        seen.answers[trial.ack.code or "none"] += 1
    seen.cases.append(Case(name, f"message {trial.index} {trial.event}".rstrip(), [*map(_line, failures)]))
    if args.bundles and trial.bundle is not None:
        plain = "__".join(part for part in Path(name).parts if part not in ("/", ".."))
        (args.bundles / f"{plain}.{trial.index}.json").write_bytes(_encoder.encode(trial.bundle))
    if args.json:
        row = {"file": name, **asdict(trial), "failed": bool(failures)}
        seen.rows.append(msgspec.to_builtins(row, str_keys=True, builtin_types=()))
    else:
        print("\n".join(_message_text(name, trial, args.show)))


def _message_text(name: str, trial: Trial, show: str) -> Iterator[str]:
    yield " ".join(filter(None, (f"{name} [{trial.index}]", trial.event, trial.version, *_fate(trial))))
    shown = SEVERITIES[: SEVERITIES.index(show) + 1]
    for issue in trial.issues:
        if issue.severity in shown:
            yield f"  {issue.severity:<11} {_line(issue)}"
            yield f"  {'':<11}   -> {issue.mend}"
    if trial.refused:
        yield f"  no FHIR: {trial.refused['reason']}"
    if trial.unread:
        yield f"  unread: {', '.join(trial.unread)}"


def _fate(trial: Trial) -> Iterator[str]:
    """What becomes of a message, in a few words."""
    if trial.ack is not None:
        yield f"- ACK {trial.ack.code or 'none'} ({trial.ack.state})"
        yield f"{trial.ack.condition} {trial.ack.location}: {trial.ack.text}" if trial.ack.condition else ""
    if trial.bundle is not None:
        yield f"- {counted(len(trial.bundle.get('entry', ())), 'resource')}"
    if trial.coverage is not None:
        yield f"- {trial.coverage:.0%} of the fields read"


def _line(issue: Issue) -> str:
    return f"{issue.location:<14} {issue.rule}: {issue.text}"


def _summary_text(seen: _Run) -> str:
    counts = ", ".join(_counted(seen.severities[severity], severity) for severity in SEVERITIES)
    answers = ", ".join(f"{count} x {code}" for code, count in sorted(seen.answers.items())) or "none"
    messages = f"{counted(len(seen.cases), 'message')} in {counted(seen.files, 'file')}"
    return f"{messages}, {seen.failed} failed; {counts}; answers: {answers}"


def _counted(number: int, severity: str) -> str:
    return f"{number} {severity}" if severity == "information" else counted(number, severity)
