"""Whatever command or route the documentation tells people to use is there, with the options that it names."""

import argparse
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from chartwire.api.table import ROUTES
from chartwire.app.cli import COMMANDS

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
ADVICE = sorted((ROOT / "src" / "chartwire").rglob("advice.yaml"))

_FENCE = re.compile(r"^\s*```.*?^\s*```", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`\n]+)`")
_COMMAND = re.compile(r"(?:^|[\s(/])chartwire((?: +[^\s|;&#><]+)+)", re.MULTILINE)
_OURS = r"(/(?:api/v1|fhir/R4|health|metrics|docs|openapi\.json)[^\s?`\"',;)]*)"
_CALL = re.compile(rf"\b(GET|POST|PUT|PATCH|DELETE) {_OURS}")
_PATH = re.compile(rf"(?:^|\$CHARTWIRE){_OURS}", re.MULTILINE)
_WORD = re.compile(r"[a-z][a-z0-9-]*")


def code_of(page: Path) -> Iterator[str]:
    """What stands in code in a page: fenced blocks with their continued lines joined, and spans."""
    text = page.read_text("utf-8")
    yield from (block.replace("\\\n", " ") for block in _FENCE.findall(text))
    yield from _SPAN.findall(_FENCE.sub("", text))


def fault_of_command(words: list[str]) -> str | None:
    """What is wrong with `chartwire WORDS`, None for nothing."""
    if words[0] == "chartwire":  # behind a user or a directory of this name
        return fault_of_command(words[1:])
    if not _WORD.fullmatch(words[0]):
        return None  # an option of `chartwire` itself, a placeholder, or the name of a user or a file
    if words[0] not in COMMANDS:
        return f"there is no command {words[0]}"
    parser = argparse.ArgumentParser()
    importlib.import_module(f"chartwire.app.commands.{COMMANDS[words[0]][0]}").register(parser)
    rest = words[1:]
    while (branches := _branches(parser)) and rest and _WORD.fullmatch(rest[0]):
        if rest[0] not in branches:
            return f"{words[0]} has no action {rest[0]}"
        parser, rest = branches[rest[0]], rest[1:]
    known = {name for one in (parser, *_branches(parser).values()) for action in one._actions
             for name in action.option_strings}  # fmt: skip
    options = {word.partition("=")[0].strip("[]") for word in rest if word.strip("[").startswith("--")}
    unknown = sorted(options - known)
    return f"{words[0]} has no option {unknown[0]}" if unknown else None


def _branches(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    return {
        name: child
        for action in parser._actions
        if isinstance(action, argparse._SubParsersAction)
        for name, child in action.choices.items()
    }


def is_routed(method: str | None, path: str) -> bool:
    """Whether a route answers; a segment that is a placeholder or an example fits a parameter of the route."""
    wanted = path.rstrip("/.:").split("/")
    return any(
        method in (None, route.method) and _fits(wanted, route.path.split("/"), whole=method is not None)
        for route in ROUTES
    )


def _fits(wanted: list[str], there: list[str], *, whole: bool) -> bool:
    """`whole`: all of the route; else the beginning of one will do, such as `/api/v1`."""
    if "..." in wanted:
        wanted, whole = wanted[: wanted.index("...")], False
    if len(wanted) > len(there) or (whole and len(wanted) != len(there)):
        return False
    return all(one == other or "{" in one[:1] + other[:1] for one, other in zip(wanted, there, strict=False))


@pytest.mark.parametrize("page", [*PAGES, *ADVICE], ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_that_a_page_names_exists_with_its_options(page: Path) -> None:
    faults = [
        f"chartwire{match}: {fault}"
        for code in code_of(page)
        for match in _COMMAND.findall(code)
        if (fault := fault_of_command(match.split())) is not None
    ]
    assert faults == []


@pytest.mark.parametrize("page", [*PAGES, *ADVICE], ids=lambda page: str(page.relative_to(ROOT)))
def test_every_route_that_a_page_names_exists(page: Path) -> None:
    code = list(code_of(page))
    missing = [
        f"{method} {path}" for text in code for method, path in _CALL.findall(text) if not is_routed(method, path)
    ]
    missing += [path for text in code for path in _PATH.findall(text) if not is_routed(None, path)]
    assert missing == []
