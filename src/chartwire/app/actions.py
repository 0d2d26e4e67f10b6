"""Actions of a command (`chartwire fhir load`): each a module of its own, which is imported when it runs."""

import argparse
import importlib
from collections.abc import Callable
from typing import Protocol, cast

from chartwire.app.cli import common_arguments


class ActionModule(Protocol):
    """What a module of chartwire.app.commands that is an action offers."""

    def run(self, args: argparse.Namespace) -> int:
        """Do it; gives the exit code."""


def add_action(
    actions: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, module: str, meaning: str
) -> argparse.ArgumentParser:
    """The parser of an action that `module` of chartwire.app.commands carries out, with the common arguments."""
    parser = actions.add_parser(name, help=meaning, description=meaning)
    common_arguments(parser)
    parser.set_defaults(run=_lazily(module))
    return parser


def _lazily(module: str) -> Callable[[argparse.Namespace], int]:
    def run(args: argparse.Namespace) -> int:
        return cast("ActionModule", importlib.import_module(f"chartwire.app.commands.{module}")).run(args)

    return run
