"""`chartwire config export`, `plan` and `apply`: what an organisation has set, as files."""

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from chartwire.app import console
from chartwire.app.configuration.applying import Applied, apply, planned, standing_of
from chartwire.app.configuration.desk import Desk, desk_of
from chartwire.app.configuration.files import as_written, write_text
from chartwire.app.configuration.planning import Change
from chartwire.app.configuration.telling import change_row, changes_text
from chartwire.app.identifiers import read_id
from chartwire.app.services import operator_access
from chartwire.app.settings import load
from chartwire.core.access import Access
from chartwire.core.errors import ChartwireError, ValidationError

T = TypeVar("T")
PENDING, FAILED = 1, 2
"""Exit codes of `plan`: there are changes to apply; the file or the installation does not allow a plan."""


def _export(args: argparse.Namespace) -> int:
    async def work(access: Access, desk: Desk) -> dict[str, Any]:
        async with desk.pool.transaction(access.org) as tx:
            standing = await standing_of(tx, access, desk.kinds)
        sections = {kind.section: [kind.exported(held) for held in standing[kind.section]] for kind in desk.kinds}
        return as_written(sections, desk.kinds)

    written = _at_the_desk(args, "config export", work)
    text = write_text(written)
    if args.out is None:
        console.say(args, written, text.rstrip())
        return console.OK
    args.out.write_text(text, encoding="utf-8")
    counts = {name: len(told) for name, told in written.items()}
    told = ", ".join(f"{count} {name}" for name, count in counts.items())
    console.say(args, {"file": str(args.out), "exported": counts}, f"{args.out}: {told}")
    return console.OK


def _plan(args: argparse.Namespace) -> int:
    async def work(access: Access, desk: Desk) -> tuple[list[Change], str]:
        return await planned(desk.pool, access, desk.kinds, desk.read(args.file, _variables(args)), desk.resolve)

    try:
        changes, digest = _at_the_desk(args, "config plan", work)
    except (ChartwireError, OSError) as error:
        code, message = console.told(error)
        console.complain(args, code, message)
        return FAILED
    text = changes_text(changes, f"digest {digest}: `config apply ... --expect {digest}` applies just this")
    console.say(args, {"changes": [change_row(one) for one in changes], "digest": digest}, text)
    return PENDING if changes else console.OK


def _apply(args: argparse.Namespace) -> int:
    async def work(access: Access, desk: Desk) -> Applied:
        wanted = desk.read(args.file, _variables(args))
        return await apply(desk.pool, access, desk.kinds, wanted, desk.resolve, expect=args.expect)

    done = _at_the_desk(args, "config apply", work)
    secrets = [(name, *pair) for name, one in done.told.items() for pair in one.items()]
    told = [f"{name} {member} {value} (shown only now)" for name, member, value in secrets]
    text = "\n".join([changes_text(done.changes, "applied"), *told])
    rows = [change_row(one) for one in done.changes]
    console.say(args, {"applied": rows, "digest": done.digest, "secrets": done.told}, text)
    return console.OK


def _at_the_desk(args: argparse.Namespace, what: str, work: Callable[[Access, Desk], Awaitable[T]]) -> T:
    """Run `work` with an operator's access and everything that configuration needs of the installation."""
    settings = load(args.config)
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


ACTIONS: dict[str, Callable[[argparse.Namespace], int]] = {"export": _export, "plan": _plan, "apply": _apply}
