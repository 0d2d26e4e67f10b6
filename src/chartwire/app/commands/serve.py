"""`chartwire serve --role ROLE`: one process role against a database, for service managers and containers."""

import argparse
import os
import socket

from chartwire.app import console, logging
from chartwire.app.child import Order, run_role
from chartwire.app.cli import common_arguments
from chartwire.app.roles import ROLES
from chartwire.app.settings import load, to_values

_SERVED = ("api", "listener", "worker")


def register(parser: argparse.ArgumentParser) -> None:
    """Arguments of `chartwire serve`."""
    common_arguments(parser)
    parser.add_argument("--role", required=True, choices=_SERVED, help="what this process does")
    parser.add_argument("--name", help="its name in logs and metrics (default: role, host and process id)")
    parser.add_argument("--shared-ports", action="store_true", help="several processes here listen on the same ports")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """The command: returns after SIGTERM or Ctrl-C. Logs go to standard error, the ready line to standard output."""
    settings = load(args.config)
    name = args.name or f"{args.role}-{socket.gethostname()}-{os.getpid()}"
    logging.configure(settings.log_level, name)
    processes = 2 if args.shared_ports else 1
    order = Order(args.role, name, os.getppid(), to_values(settings), {"processes": processes})

    def ready(report: dict[str, object]) -> None:
        console.say(args, {"ready": name, **report}, f"{name} is ready")

    return run_role(ROLES[args.role], order, settings, ready, lifeline=False)
