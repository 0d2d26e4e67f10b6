"""`chartwire up`: everything on this machine."""

import argparse
from dataclasses import replace
from pathlib import Path

from chartwire.app import console, logging
from chartwire.app.cli import common_arguments
from chartwire.app.settings import load
from chartwire.app.supervisor import Supervisor


def register(parser: argparse.ArgumentParser) -> None:
    """Arguments of `chartwire up`."""
    common_arguments(parser)
    parser.add_argument("--sandbox", action="store_true", help="with two sample organisations and a webhook receiver")
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="where everything is kept (default .chartwire)")
    parser.add_argument("--port", type=int, metavar="N", help="HTTP port (default 8080; 0: any free one)")
    parser.add_argument("--mllp-port", type=int, metavar="M", help="MLLP port (default 2575; 0: any free one)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """The command: returns after Ctrl-C or SIGTERM."""
    settings = load(args.config)
    given = {"data_dir": args.data_dir, "http_port": args.port, "mllp_port": args.mllp_port}
    settings = replace(settings, **{name: value for name, value in given.items() if value is not None})
    logs = settings.data_dir / "logs"
    logs.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (logs / "up.log").open("ab", buffering=0) as log:
        logging.configure(settings.log_level, "up", stream=log)
        Supervisor(settings, sandbox=args.sandbox, tell=lambda line: print(line, flush=True)).run()
    return console.OK
