"""`chartwire config`: the settings in force; what an organisation has set, as files: export, plan, apply."""

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from chartwire.app import console
from chartwire.app.cli import common_arguments
from chartwire.app.knobs import Settings
from chartwire.app.settings import SettingsError, described, load, unreadable
from chartwire.core.access import Access
from chartwire.core.errors import ChartwireError, ValidationError

T = TypeVar("T")
PENDING, FAILED = 1, 2
"""Exit codes of `plan`: there are changes to apply; the file or the installation does not allow a plan."""


def register(parser: argparse.ArgumentParser) -> None:
    """Arguments of `chartwire config`."""
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    check = actions.add_parser("check", help="show the settings in force; exit 1 when some cannot be used")
    check.set_defaults(run=_check)
    export = actions.add_parser("export", help="write what an organisation has set as a file, without secrets")
    export.add_argument("--out", type=Path, metavar="FILE", help="default: standard output")
    export.set_defaults(run=_export)
    plan = actions.add_parser("plan", help="show what a file would change; exit 0 nothing, 1 something, 2 it cannot")
    plan.set_defaults(run=_plan)
    apply = actions.add_parser("apply", help="make an organisation as a file says, whole or not at all")
    apply.add_argument("--expect", metavar="DIGEST", help="refuse unless the state is that of this plan")
    apply.set_defaults(run=_apply)
    for action in (check, export, plan, apply):
        common_arguments(action)
    for action in (export, plan, apply):
        action.add_argument("--org", required=True, metavar="ORG_ID", help="as `org list` shows it")
        action.add_argument("--data-dir", type=Path, metavar="DIR", help="of the installation that is meant")
    for action in (plan, apply):
        action.add_argument("file", type=Path, metavar="FILE", help="YAML or TOML, as `config export` writes it")
        action.add_argument("--var", action="append", default=[], metavar="NAME=VALUE",
                            help="instead of what the file's vars give NAME")  # fmt: skip


def _check(args: argparse.Namespace) -> int:
    try:
        settings = load(args.config)
        if problems := unreadable(settings):
            raise SettingsError(problems)
    except SettingsError as error:
        console.say(args, {"ok": False, "problems": error.problems}, "\n".join(error.problems))
        return console.PROBLEMS
    shown = described(settings)
    text = "\n".join(f"{name} = {value}" for name, value in shown.items())
    console.say(args, {"ok": True, "settings": shown}, text)
    return console.OK


def _export(args: argparse.Namespace) -> int:
    from chartwire.app.configuration.applying import standing_of
    from chartwire.app.configuration.files import write_text

    async def work(access: Access, desk: Any) -> dict[str, Any]:
        async with desk.pool.transaction(access.org) as tx:
            standing = await standing_of(tx, access, desk.kinds)
        return {kind.section: [kind.exported(held) for held in standing[kind.section]] for kind in desk.kinds}

    sections = _at_the_desk(args, "config export", work)
    text = write_text(sections)
    if args.out is None:
        console.say(args, sections, text.rstrip())
        return console.OK
    args.out.write_text(text, encoding="utf-8")
    counts = {name: len(entries) for name, entries in sections.items()}
    told = ", ".join(f"{count} {name}" for name, count in counts.items())
    console.say(args, {"file": str(args.out), "exported": counts}, f"{args.out}: {told}")
    return console.OK


def _plan(args: argparse.Namespace) -> int:
    from chartwire.app.configuration.applying import planned
    from chartwire.app.configuration.telling import change_row, changes_text

    async def work(access: Access, desk: Any) -> Any:
        return await planned(desk.pool, access, desk.kinds, desk.read(args.file, _variables(args)), desk.resolve)

    try:
        changes, digest = _at_the_desk(args, "config plan", work)
    except (ChartwireError, OSError) as error:
        code, message = getattr(error, "code", "system"), getattr(error, "message", str(error))
        console.complain(args, code, message)
        return FAILED
    text = changes_text(changes, f"digest {digest}: `config apply ... --expect {digest}` applies just this")
    console.say(args, {"changes": [change_row(one) for one in changes], "digest": digest}, text)
    return PENDING if changes else console.OK


def _apply(args: argparse.Namespace) -> int:
    from chartwire.app.configuration.applying import apply
    from chartwire.app.configuration.telling import change_row, changes_text

    async def work(access: Access, desk: Any) -> Any:
        wanted = desk.read(args.file, _variables(args))
        return await apply(desk.pool, access, desk.kinds, wanted, desk.resolve, expect=args.expect)

    done = _at_the_desk(args, "config apply", work)
    secrets = [(name, *pair) for name, one in done.told.items() for pair in one.items()]
    told = [f"{name} {member} {value} (shown only now)" for name, member, value in secrets]
    text = "\n".join([changes_text(done.changes, "applied"), *told])
    rows = [change_row(one) for one in done.changes]
    console.say(args, {"applied": rows, "digest": done.digest, "secrets": done.told}, text)
    return console.OK


def _at_the_desk(args: argparse.Namespace, what: str, work: Callable[[Access, Any], Awaitable[T]]) -> T:
    """Run `work` with an operator's access and everything that configuration needs of the installation."""
    from dataclasses import replace

    from chartwire.app.configuration.desk import desk_of
    from chartwire.app.identifiers import read_id
    from chartwire.app.services import operator_access

    settings: Settings = load(args.config)
    if args.data_dir:
        settings = replace(settings, data_dir=args.data_dir)
    access = operator_access(read_id(args.org, "organisation"), what)
    directory = args.file.parent if hasattr(args, "file") else Path()

    async def run() -> T:
        async with desk_of(settings, directory) as desk:
            return await work(access, desk)

    return asyncio.run(run())


def _variables(args: argparse.Namespace) -> dict[str, str]:
    pairs = [text.partition("=") for text in args.var]
    if not all(mark and name for name, mark, _ in pairs):
        raise ValidationError("--var wants NAME=VALUE", code="bad_option")
    return {name: value for name, _, value in pairs}
