"""The `chartwire` command. Each command lives in a module of its own that is imported only when it is asked for.

Exit codes: 0 all well, 1 problems found or the work failed, 2 wrong usage. `--json` prints one JSON document.
"""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, cast

from chartwire.app import console

# name -> (module of chartwire.app.commands, what it does)
COMMANDS = {
    "init": ("init", "make an installation for real patients: settings, keys, units, the first organisation"),
    "up": ("up", "run everything on this machine; --sandbox with sample data"),
    "serve": ("serve", "run one process role against a database"),
    "health": ("health", "whether this installation answers, for health checks"),
    "migrate": ("migrate", "bring the database to the present schema"),
    "org": ("org", "create and list organisations"),
    "key": ("key", "create, list and revoke API keys"),
    "source": ("source", "HL7 v2 feeds: create, list, hold, pause"),
    "hl7": ("hl7", "send, validate, convert, read and route HL7 v2 messages"),
    "fhir": ("fhir", "load FHIR Bundles and resources into a server, validate them"),
    "terminology": ("terminology", "load code systems that you have licensed; list and remove them"),
    "alerts": ("alerts", "what burns, and whom it tells: list, acknowledge, snooze, test a channel"),
    "replay": ("replay", "process a stored message again, as a child of the first"),
    "backup": ("backup", "make backup keys, take and list sealed backups"),
    "restore": ("restore", "bring a backup back into a new data directory, or only check it"),
    "arm": ("arm", "let a restored or copied installation speak again; --off silences one"),
    "retention": ("retention", "remove what is older than its term, and say what went"),
    "disk": ("disk", "what takes space, by organisation, and when the disk will be full"),
    "doctor": ("doctor", "what is not safe, what lags, what is stuck and why, what runs out"),
    "support": ("support", "a bundle for who helps you, without patient data"),
    "config": ("config", "check the settings; what an organisation has set, as files"),
    "sandbox": ("sandbox", "feed simulated clinic messages; the addresses and key of a running one"),
}


class CommandModule(Protocol):
    """What a module of chartwire.app.commands offers."""

    def register(self, parser: argparse.ArgumentParser) -> None:
        """Add arguments, and set the default `run` to a function of the parsed arguments that gives the exit code."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line (default: this process's); gives the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    name = words[0] if words else ""
    if name == "--version":
        return _version(words[1:])
    if name not in COMMANDS:
        return _overview(name)
    parser = argparse.ArgumentParser(prog=f"chartwire {name}", description=COMMANDS[name][1])
    module = cast("CommandModule", importlib.import_module(f"chartwire.app.commands.{COMMANDS[name][0]}"))
    module.register(parser)
    try:
        args = _parsed(parser, words[1:])
    except SystemExit as stop:
        return console.OK if stop.code in (None, 0) else console.USAGE
    return _run(args)


def _parsed(parser: argparse.ArgumentParser, words: list[str]) -> argparse.Namespace:
    """Parse; positional words behind an option, which argparse leaves over, go to a command that has a place `rest`."""
    args, left = parser.parse_known_args(words)
    if left and (not hasattr(args, "rest") or any(word.startswith("-") for word in left)):
        parser.error(f"unrecognized arguments: {' '.join(left)}")
    if left:
        args.rest = left
    return args


def common_arguments(parser: argparse.ArgumentParser) -> None:
    """`--json`, and where settings come from; for every command."""
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--config", type=Path, metavar="FILE", help="TOML file with settings")


def _run(args: argparse.Namespace) -> int:
    from chartwire.core.errors import ChartwireError

    try:
        code: int = args.run(args)
    except BrokenPipeError:  # whoever reads, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return console.OK
    except (ChartwireError, OSError) as error:
        console.complain(args, *console.told(error))
        return console.PROBLEMS
    except KeyboardInterrupt:
        return 130
    return code


def _version(rest: list[str]) -> int:
    from importlib.metadata import version

    number = version("chartwire")
    console.say(argparse.Namespace(json="--json" in rest), {"version": number}, f"chartwire {number}")
    return console.OK


def _overview(name: str) -> int:
    asked = name in ("", "-h", "--help", "help")
    out = sys.stdout if asked and name else sys.stderr
    if not asked:
        import difflib

        near = difflib.get_close_matches(name, COMMANDS, n=1)
        print(f"chartwire: there is no command {name}" + (f"; did you mean {near[0]}?" if near else ""), file=out)
    print("usage: chartwire COMMAND [--json] ...   (chartwire COMMAND --help explains one; --version)\n", file=out)
    for command, (_, meaning) in COMMANDS.items():
        print(f"  {command:<10}{meaning}", file=out)
    return console.OK if asked and name else console.USAGE


if __name__ == "__main__":
    sys.exit(main())
