"""`chartwire doctor`: what is not safe, what lags, what is stuck and why, what runs out."""

import argparse
import asyncio
from dataclasses import replace
from pathlib import Path

from chartwire.alerts.words import counted
from chartwire.app import console
from chartwire.app.cli import common_arguments
from chartwire.app.doctor.examination import Examination, as_data, examine
from chartwire.app.doctor.findings import Finding
from chartwire.app.knobs import Settings
from chartwire.app.sandbox_file import read_sandbox
from chartwire.app.services import base_url_of
from chartwire.app.settings import load
from chartwire.core.errors import NotFoundError


def register(parser: argparse.ArgumentParser) -> None:
    """Arguments of `chartwire doctor`."""
    common_arguments(parser)
    parser.add_argument("--production", action="store_true", help="ask for all that patients' data need")
    parser.add_argument("--strict", action="store_true", help="exit 1 for warnings too")
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="of the installation that is meant")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """The command: 0 when nothing is wrong, 1 for errors (with --strict for warnings too)."""
    settings = load(args.config)
    if args.data_dir:
        settings = replace(settings, data_dir=args.data_dir)
    made = asyncio.run(examine(settings, production=args.production))
    base_url = _address(settings)
    console.say(args, as_data(made, base_url), _text(made, base_url))
    wrong = made.count("error") + (made.count("warning") if args.strict else 0)
    return console.PROBLEMS if wrong else console.OK


def _address(settings: Settings) -> str:
    """Where the pages are that findings lead to; a running sandbox may have taken any port."""
    try:
        return str(read_sandbox(settings.data_dir)["base_url"])
    except NotFoundError:
        return base_url_of(settings)


def _text(made: Examination, base_url: str) -> str:
    lines = []
    for section in dict.fromkeys(one.section for one in made.findings):
        lines += [section, *(_told(one, base_url) for one in made.findings if one.section == section)]
    running = ", ".join(made.processes) or "none on this machine"
    total = f"{counted(made.count('error'), 'error')}, {counted(made.count('warning'), 'warning')}"
    return "\n".join([*lines, f"{total}; processes: {running}"])


def _told(one: Finding, base_url: str) -> str:
    page = f"{base_url}{one.page}"
    return f"  {one.severity}: {one.what}\n      why:  {one.why}\n      mend: {one.mend}\n      see:  {page}"
