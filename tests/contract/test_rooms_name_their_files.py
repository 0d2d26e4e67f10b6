"""Whoever comes into a room is told of each file in it: by its README, or by the docstring of a package in it."""

import ast
import re
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "chartwire"
ROOMS = sorted(readme.parent for readme in SOURCE.glob("*/README.md"))
ONE_NOUN_A_FILE = {
    "alerts/channels",
    "alerts/probes",
    "api/portal",
    "api/rest",
    "app/commands",
    "app/configuration",
    "app/doctor",
    "app/support",
}
"""Folders whose files are alike; their room says what they have in common."""


def told_by(folder: Path) -> str:
    """What a folder says about itself."""
    readme, package = folder / "README.md", folder / "__init__.py"
    said = readme.read_text("utf-8") if readme.exists() else ""
    return said + (ast.get_docstring(ast.parse(package.read_text("utf-8"))) or "" if package.exists() else "")


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_a_room_names_its_files(room: Path) -> None:
    untold = []
    for file in sorted(room.rglob("*.py")):
        if file.name == "__init__.py" or str(file.parent.relative_to(SOURCE)) in ONE_NOUN_A_FILE:
            continue
        folders = [parent for parent in file.parents if parent.is_relative_to(room)]
        if not any(re.search(rf"\b{re.escape(file.name)}\b", told_by(folder)) for folder in folders):
            untold.append(str(file.relative_to(room)))
    assert untold == []
