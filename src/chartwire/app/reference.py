"""`python -m chartwire.app.reference`: docs/reference/cli.md, made from the commands' own arguments."""

import argparse
import importlib
from collections.abc import Iterator

from chartwire.app.cli import COMMANDS

_HEAD = """# Command line

Made from the commands themselves by `python -m chartwire.app.reference`; do not edit.

`chartwire COMMAND --help` says the same. In a checkout it is `.venv/bin/chartwire`, once `make run` or `make test` has
installed. Every command knows `--json` (one JSON document on standard output) and `--config FILE` (settings).
Exit codes: 0 all well, 1 problems found or the work failed, 2 wrong usage. A failure is one sentence on standard error.
"""
_COMMON = frozenset({"help", "json", "config"})


def page() -> str:
    """The page as Markdown."""
    lines = [_HEAD]
    for name, (module, meaning) in COMMANDS.items():
        parser = argparse.ArgumentParser(prog=f"chartwire {name}")
        importlib.import_module(f"chartwire.app.commands.{module}").register(parser)
        lines += [f"## {name}", "", f"{meaning[0].upper()}{meaning[1:]}.", ""]
        for command, help_text, leaf in _leaves(parser, f"chartwire {name}", ""):
            lines += [f"### `{_usage(command, leaf)}`", ""]
            if help_text:
                lines += [f"{help_text[0].upper()}{help_text[1:]}.", ""]
            rows = [_row(action) for action in leaf._actions if action.dest not in _COMMON]
            if rows:
                lines += ["| argument | meaning |", "|---|---|", *rows, ""]
    return "\n".join(lines).rstrip() + "\n"


def _leaves(
    parser: argparse.ArgumentParser, command: str, help_text: str
) -> Iterator[tuple[str, str, argparse.ArgumentParser]]:
    branches = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not branches:
        yield command, help_text, parser
    for branch in branches:
        helps = {choice.dest: choice.help or "" for choice in branch._choices_actions}
        for name, child in branch.choices.items():
            yield from _leaves(child, f"{command} {name}", helps.get(name, ""))


def _usage(command: str, parser: argparse.ArgumentParser) -> str:
    words = [command]
    for action in parser._actions:
        if not action.option_strings:
            name = str(action.metavar or action.dest).upper()
            words.append(f"[{name}]" if action.nargs in ("?", "*") else name + (".." if action.nargs == "+" else ""))
        elif action.required:
            words.append(f"{action.option_strings[0]} {_value(action)}")
    return " ".join(words)


def _row(action: argparse.Action) -> str:
    names = ", ".join(f"`{name}{_spaced(action)}`" for name in action.option_strings)
    shown = names or f"`{str(action.metavar or action.dest).upper()}`"
    return f"| {_in_cell(shown)} | {_in_cell(action.help or '')} |"


def _in_cell(text: str) -> str:
    return text.replace("|", "\\|")


def _spaced(action: argparse.Action) -> str:
    return "" if action.nargs == 0 else f" {_value(action)}"


def _value(action: argparse.Action) -> str:
    if action.choices:
        return "|".join(map(str, action.choices))
    return str(action.metavar or action.dest.upper())


if __name__ == "__main__":
    print(page(), end="")
