"""`chartwire config check`: which settings are in force, and what is wrong with them."""

import argparse

from chartwire.app import console
from chartwire.app.cli import common_arguments
from chartwire.app.settings import SettingsError, described, load, unreadable


def register(parser: argparse.ArgumentParser) -> None:
    """Arguments of `chartwire config`."""
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    check = actions.add_parser("check", help="show the settings in force; exit 1 when some cannot be used")
    common_arguments(check)
    check.set_defaults(run=_check)


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
