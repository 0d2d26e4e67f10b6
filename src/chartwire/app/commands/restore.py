"""`chartwire restore`: from a backup directory and the recovery key to a data directory that `chartwire up` takes."""

import argparse
import asyncio
import sys
from dataclasses import asdict
from pathlib import Path

from chartwire.app import console
from chartwire.app.backup.checking import Plan, Until, plan, read_until
from chartwire.app.backup.keys import read_recovery_key
from chartwire.app.backup.repository import Repository
from chartwire.app.backup.restore import Tell, recover, refuse_newer, unseal
from chartwire.core.errors import ValidationError
from chartwire.store.replication import show_lsn


def register(parser: argparse.ArgumentParser) -> None:
    """Arguments of `chartwire restore`."""
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--from", dest="source", type=Path, required=True, metavar="DIR", help="backup directory")
    parser.add_argument("--key-file", type=Path, required=True, metavar="FILE", help="the recovery key")
    parser.add_argument("--data-dir", type=Path, metavar="NEW", help="a new or empty data directory")
    parser.add_argument("--until", default="latest", help="latest, an instant with its zone, or a position (0/3000060)")
    parser.add_argument("--verify", action="store_true", help="only check that it could be restored")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """The command. The installation that it makes is disarmed: see `chartwire arm`."""
    if (args.data_dir is None) != args.verify:
        raise ValidationError("name a --data-dir to restore into, or --verify", code="usage")
    repository, until = Repository(args.source.absolute()), read_until(args.until)
    key = read_recovery_key(args.key_file)

    def tell(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    tell("checking the backup")
    found = plan(repository, key, until)
    refuse_newer(found.base)
    for fault in found.passed_over:
        tell(f"passed over: {fault}")
    if args.verify:
        told = {"base": found.base.label, "log_until": show_lsn(found.end), "segments": len(found.segments),
                "passed_over": found.passed_over}  # fmt: skip
        console.say(args, told, f"sound: base backup {found.base.label}, log until {told['log_until']}")
        return console.OK
    data_dir = args.data_dir.absolute()
    unseal(repository, key, found, data_dir, tell)
    return _recovered(args, found, until, data_dir, tell)


def _recovered(args: argparse.Namespace, found: Plan, until: Until, data_dir: Path, tell: Tell) -> int:
    report = asyncio.run(recover(found, until, data_dir, tell))
    until_text = report.last_commit.isoformat() if report.last_commit else "the base backup"
    rows = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in report.rows.items())
    text = (
        f"restored into {data_dir} up to the commit of {until_text} ({report.lsn}): {rows}.\n"
        "It is disarmed: `chartwire up` takes messages and sends nothing until `chartwire arm`. Settings and TLS files "
        f"of the backup lie in {data_dir / 'restored'}."
    )
    console.say(args, asdict(report) | {"data_dir": str(data_dir), "armed": False}, text)
    return console.OK
