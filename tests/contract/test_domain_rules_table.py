"""docs/reference/domain-rules.md: a rule is proved by tests that exist, or says what will bring it."""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
ROWS = [
    line
    for line in (TESTS.parent / "docs" / "reference" / "domain-rules.md").read_text("utf-8").splitlines()
    if line.startswith("| ") and not line.startswith("| rule ")
]
_NAMED = re.compile(r"`([\w/]+\.py)::(\w+)`")


def _tests_of(path: Path) -> set[str]:
    tree = ast.parse(path.read_text("utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_test_that_the_table_names_exists() -> None:
    named = {found for row in ROWS for found in _NAMED.findall(row)}
    files = {file: _tests_of(TESTS / file) if (TESTS / file).exists() else set() for file, _ in named}
    assert sorted(f"{file}::{name}" for file, name in named if name not in files[file]) == []
    assert len(named) > 100


def test_every_rule_has_a_proof_or_says_what_will_bring_it() -> None:
    assert [row for row in ROWS if not _NAMED.search(row) and "not yet: " not in row] == []
