"""`chartwire support bundle`: what somebody who helps needs to know, without patient data."""

import argparse
import asyncio
from dataclasses import replace
from pathlib import Path

from chartwire.app import console
from chartwire.app.cli import common_arguments
from chartwire.app.settings import load
from chartwire.app.support.bundle import listed, write_bundle
from chartwire.core.errors import ConflictError


def register(parser: argparse.ArgumentParser) -> None:
    """Arguments of `chartwire support`."""
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    bundle = actions.add_parser("bundle", help="write versions, settings, findings, counts and logs into one archive")
    common_arguments(bundle)
    bundle.add_argument("--out", type=Path, default=Path("chartwire-support.tar.gz"), metavar="FILE",
                        help="default: chartwire-support.tar.gz; never overwritten")  # fmt: skip
    bundle.add_argument("--data-dir", type=Path, metavar="DIR", help="of the installation that is meant")
    bundle.add_argument("--dry-run", action="store_true", help="only list what would be in it")
    bundle.set_defaults(run=_bundle)


def _bundle(args: argparse.Namespace) -> int:
    settings = load(args.config)
    if args.data_dir:
        settings = replace(settings, data_dir=args.data_dir)
    if args.dry_run:
        rows = [{"file": part.name, "tells": part.tells} for part in listed(settings)]
        console.say(args, rows, console.table(rows, ("file", "tells")))
        return console.OK
    if args.out.exists():
        raise ConflictError(f"{args.out} is there already: name another file", code="file_exists")
    manifest = asyncio.run(write_bundle(settings, args.out))
    table = console.table(manifest["contents"], ("file", "bytes", "error"))
    console.say(args, manifest, f"{table}\nwritten to {args.out}. {manifest['promise']}")
    return console.OK
