"""`chartwire up`: everything on this machine."""

import argparse
import json
import sys
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
    """The command: returns after Ctrl-C or SIGTERM. With `--json`, one line of JSON when everything answers."""
    settings = load(args.config)
    given = {"data_dir": args.data_dir, "http_port": args.port, "mllp_port": args.mllp_port}
    settings = replace(settings, **{name: value for name, value in given.items() if value is not None})
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    logs = settings.data_dir / "logs"
    logs.mkdir(mode=0o700, exist_ok=True)
    with (logs / "up.log").open("ab", buffering=0) as log:
        logging.configure(settings.log_level, "up", stream=log)
        progress = sys.stderr if args.json else sys.stdout
        supervisor = Supervisor(
            settings,
            sandbox=args.sandbox,
            tell=lambda line: print(line, file=progress, flush=True),
            announce=lambda data, text: print(json.dumps(data) if args.json else text, flush=True),
        )
        supervisor.run()
    return console.OK
