"""`chartwire terminology`: code systems that the operator has licensed, for validation, search and `$expand`."""

import argparse
import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import Any

from chartwire.app import console
from chartwire.app.cli import common_arguments
from chartwire.app.code_files import CodeFiles
from chartwire.app.services import services
from chartwire.app.settings import load
from chartwire.channels.sources import ensure_installation
from chartwire.formats.codes import RELEASES, Release, recognised
from chartwire.store import terminology

_COLUMNS = ("system", "version", "concepts", "loaded_at")


def register(parser: argparse.ArgumentParser) -> None:
    """Arguments of `chartwire terminology`."""
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    titles = ", ".join(release.title for release in RELEASES)
    loading = actions.add_parser("load", help=f"load {titles} from the publisher's files, in place of what was loaded")
    common_arguments(loading)
    loading.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="files, folders, zip archives")
    loading.add_argument("--version", default="", help="what to call the version where no file name tells it")
    loading.set_defaults(run=_load, rest=[])
    listing = actions.add_parser("list", help="show what is loaded")
    common_arguments(listing)
    listing.set_defaults(run=_list)
    removing = actions.add_parser("remove", help="load a system no more")
    common_arguments(removing)
    removing.add_argument("system", help="its URL, as `list` shows it")
    removing.set_defaults(run=_remove)


def _load(args: argparse.Namespace) -> int:
    """Exit code 1, and nothing loaded, where no file is known."""
    with CodeFiles([*args.paths, *map(Path, args.rest)]) as files:
        found = recognised(files.files)
        if not found:
            wanted = "; ".join(f"{release.title}: {' and '.join(_needed(release))}" for release in RELEASES)
            console.complain(args, "no_code_system", f"no file of a code system is there. Known are {wanted}")
            return console.PROBLEMS
        rows = asyncio.run(_loaded(args, files, found))
    console.say(args, rows, console.table(rows, ("system", "version", "concepts")))
    return console.OK


async def _loaded(
    args: argparse.Namespace, files: CodeFiles, found: list[tuple[Release, dict[str, str]]]
) -> list[dict[str, Any]]:
    rows = []
    async with services(load(args.config), size=2) as shared:
        await ensure_installation(shared.pool)
        for release, roles in found:
            version = args.version or max(map(release.version_of, roles.values()))
            concepts = release.read({role: files.files[name] for role, name in roles.items()})
            count = await terminology.replace(shared.pool, release.system, version, concepts)
            rows.append({"system": release.system, "version": version, "concepts": count})
    return rows


def _needed(release: Release) -> list[str]:
    """Words for the files that a release must have."""
    return [role for role in release.files if role not in release.optional]


def _list(args: argparse.Namespace) -> int:
    async def work() -> list[dict[str, Any]]:
        async with services(load(args.config), size=2) as shared:
            found = await terminology.systems(shared.pool)
        return [{name: value for name, value in asdict(one).items() if name in _COLUMNS} for one in found.values()]

    rows = asyncio.run(work())
    console.say(args, rows, console.table(rows, _COLUMNS))
    return console.OK


def _remove(args: argparse.Namespace) -> int:
    """Exit code 1 where no such system is loaded."""

    async def work() -> bool:
        async with services(load(args.config), size=2) as shared:
            return await terminology.forget(shared.pool, args.system)

    if not asyncio.run(work()):
        console.complain(args, "not_loaded", f"{args.system} is not loaded: `chartwire terminology list`")
        return console.PROBLEMS
    console.say(args, {"system": args.system}, "")
    return console.OK
