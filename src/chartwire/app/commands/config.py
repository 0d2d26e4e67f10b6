"""`chartwire config`: the settings in force; what an organisation has set, as files: export, plan, apply."""

import argparse
from collections.abc import Callable
from pathlib import Path

from chartwire.app import console
from chartwire.app.cli import common_arguments
from chartwire.app.settings import SettingsError, described, load, unreadable


def register(parser: argparse.ArgumentParser) -> None:
    """Arguments of `chartwire config`."""
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    check = actions.add_parser("check", help="show the settings in force; exit 1 when some cannot be used")
    check.set_defaults(run=_check)
    export = actions.add_parser("export", help="write what an organisation has set as a file, without secrets")
    export.add_argument("--out", type=Path, metavar="FILE", help="default: standard output")
    export.set_defaults(run=_lazily("export"))
    plan = actions.add_parser("plan", help="show what a file would change; exit 0 nothing, 1 something, 2 it cannot")
    plan.set_defaults(run=_lazily("plan"))
    apply = actions.add_parser("apply", help="make an organisation as a file says, whole or not at all")
    apply.add_argument("--expect", metavar="DIGEST", help="refuse unless the state is that of this plan")
    apply.set_defaults(run=_lazily("apply"))
    for action in (check, export, plan, apply):
        common_arguments(action)
    for action in (export, plan, apply):
        action.add_argument("--org", required=True, metavar="ORG_ID", help="as `org list` shows it")
        action.add_argument("--data-dir", type=Path, metavar="DIR", help="of the installation that is meant")
    for action in (plan, apply):
        action.add_argument("file", type=Path, metavar="FILE", help="YAML or TOML, as `config export` writes it")
        action.add_argument("--var", action="append", default=[], metavar="NAME=VALUE",
                            help="instead of what the file's vars give NAME")  # fmt: skip


def _check(args: argparse.Namespace) -> int:
    try:
        settings = load(args.config)
        if problems := unreadable(settings):
            raise SettingsError(problems)
    except SettingsError as error:
        console.say(args, {"ok": False, "problems": error.problems}, "\n".join(error.problems))
        return console.PROBLEMS
    shown = described(settings)
    text = "\n".join(f"{name} = {value}" for name, value in shown.items())
    console.say(args, {"ok": True, "settings": shown}, text)
    return console.OK


def _lazily(action: str) -> Callable[[argparse.Namespace], int]:
    def run(args: argparse.Namespace) -> int:
        from chartwire.app.commands import config_files

        return config_files.ACTIONS[action](args)

    return run
