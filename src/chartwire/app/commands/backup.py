"""`chartwire backup`: keys, a backup now, what there is. With the setting `backup_dir` `up` keeps one by itself."""

import argparse
import asyncio
from pathlib import Path
from typing import Any

from chartwire.app import console
from chartwire.app.backup.keys import create_keys, read_server_key
from chartwire.app.backup.once import once
from chartwire.app.backup.repository import Base, Repository
from chartwire.app.backup.state import read_state
from chartwire.app.cli import common_arguments
from chartwire.app.knobs import Settings
from chartwire.app.services import database_address
from chartwire.app.settings import load
from chartwire.core.errors import ValidationError


def register(parser: argparse.ArgumentParser) -> None:
    """Arguments of `chartwire backup`."""
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    key = actions.add_parser("key", help="make the pair of keys; FILE is the recovery key, to be kept elsewhere")
    common_arguments(key)
    key.add_argument("--out", type=Path, required=True, metavar="FILE", help="where the recovery key goes")
    key.set_defaults(run=_key)
    run = actions.add_parser("run", help="take a base backup of the running embedded database now")
    common_arguments(run)
    run.add_argument("--to", type=Path, metavar="DIR", help="backup directory (default: the setting backup_dir)")
    run.set_defaults(run=_run)
    listing = actions.add_parser("list", help="show the base backups and how far the log reaches")
    common_arguments(listing)
    listing.add_argument("--from", dest="source", type=Path, metavar="DIR", help="backup directory")
    listing.set_defaults(run=_list)


def _key(args: argparse.Namespace) -> int:
    key = create_keys(load(args.config).data_dir, args.out)
    text = (
        f"recovery key {key.key_id} written to {args.out}\n"
        "Move it to another machine or print it: without it no backup can be read, and with it anybody can."
    )
    console.say(args, {"key_id": key.key_id, "recovery_key": str(args.out)}, text)
    return console.OK


def _run(args: argparse.Namespace) -> int:
    settings = load(args.config)
    directory = _directory(settings, args.to)
    address = database_address(settings)
    base = asyncio.run(once(settings, address.admin, directory))
    text = f"{base.label}: {base.size} bytes, restorable from {base.end_lsn} on"
    console.say(args, _shown(base), text)
    return console.OK


def _list(args: argparse.Namespace) -> int:
    settings = load(args.config)
    repository = Repository(_directory(settings, args.source))
    bases, faults = repository.look(read_server_key(settings.data_dir))
    rows = [_shown(base) for base in bases]
    table = console.table(rows, ("label", "bytes", "chartwire", "start_lsn", "end_lsn", "key_id"))
    table += "".join(f"\nunusable: {fault.message}" for fault in faults)
    state = read_state(settings)
    if state and state["log_until"]:
        table += f"\nlog received until {state['log_until']}, {state['log_at']}"
    console.say(args, {"bases": rows, "unusable": [fault.message for fault in faults], "state": state}, table)
    return console.PROBLEMS if faults else console.OK


def _directory(settings: Settings, named: Path | None) -> Path:
    if named is None and not settings.backup_dir:
        raise ValidationError("name the backup directory, or set backup_dir", code="no_backup_dir")
    return (named or Path(settings.backup_dir)).absolute()


def _shown(base: Base) -> dict[str, Any]:
    return {
        "label": base.label,
        "bytes": base.size,
        "chartwire": base.chartwire,
        "started_at": base.started_at,
        "finished_at": base.finished_at,
        "start_lsn": base.start_lsn,
        "end_lsn": base.end_lsn,
        "key_id": base.key_id,
    }
