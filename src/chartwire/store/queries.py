"""Named SQL: every statement of the product is a named, described query in `store/sql/*.sql`.

A file is a list of entries:

    -- name: claim_lanes
    -- Takes up to $2 ready lanes of one organisation, oldest first.
    select ...;

`q.claim_lanes` is the text of that query, ready for `tx.fetch(q.claim_lanes, ...)`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

SQL_DIRECTORY = Path(__file__).parent / "sql"
_NAME_LINE = re.compile(r"^--\s*name:\s*(\S+)\s*$")
_SNAKE = re.compile(r"[a-z][a-z0-9_]*")


class QueryFileError(Exception):
    """A `.sql` file that breaks the form above; the text names file, line and rule."""


@dataclass(frozen=True, slots=True)
class Query:
    """One entry of a `.sql` file."""

    name: str
    description: str
    sql: str


class Queries(Mapping[str, str]):
    """The SQL text of every query by name, read only, as attribute (`q.claim_lanes`) or item (`q["claim_lanes"]`)."""

    __slots__ = ("_by_name", "_texts")

    def __init__(self, queries: Iterable[Query]) -> None:
        self._by_name = {query.name: query for query in queries}
        self._texts = {name: query.sql for name, query in self._by_name.items()}

    def __getitem__(self, name: str) -> str:
        return self._texts[name]

    def __getattr__(self, name: str) -> str:
        try:
            return self._texts[name]
        except KeyError:
            raise AttributeError(f"no query is named {name}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)

    def description(self, name: str) -> str:
        """The line that describes a query. Raises KeyError when there is none of this name."""
        return self._by_name[name].description

    def text(self, name_or_sql: str) -> str:
        """The SQL of a query named so, else the argument itself, which then is SQL."""
        return self._texts.get(name_or_sql, name_or_sql)


def load(directory: Path = SQL_DIRECTORY) -> Queries:
    """Every query of `directory/*.sql`. Raises QueryFileError for a name used twice, or an entry out of form."""
    queries: dict[str, Query] = {}
    for path in sorted(directory.glob("*.sql")):
        for query in _parse(path.name, path.read_text(encoding="utf-8")):
            if query.name in queries:
                raise QueryFileError(f"{path.name}: query {query.name} is defined twice")
            queries[query.name] = query
    return Queries(queries.values())


def _parse(file_name: str, text: str) -> Iterator[Query]:
    lines = text.splitlines()
    starts = [number for number, line in enumerate(lines) if _NAME_LINE.match(line)]
    first = starts[0] if starts else len(lines)
    for number, line in enumerate(lines[:first], start=1):
        if line.strip() and not line.startswith("--"):
            raise QueryFileError(f"{file_name}:{number}: SQL before the first `-- name:` line")
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        yield _entry(f"{file_name}:{start + 1}", lines[start:end])


def _entry(place: str, lines: list[str]) -> Query:
    match = _NAME_LINE.match(lines[0])
    name = match.group(1) if match else ""
    if not _SNAKE.fullmatch(name):
        raise QueryFileError(f"{place}: query name {name!r} is not snake_case")
    if len(lines) < 2 or not lines[1].startswith("-- "):
        raise QueryFileError(f"{place}: query {name} has no descriptive comment line")
    body = "\n".join(lines[1:]).strip()
    statement = "\n".join(line for line in lines[1:] if not line.lstrip().startswith("--")).strip()
    if not statement:
        raise QueryFileError(f"{place}: query {name} has no SQL")
    return Query(name, lines[1].removeprefix("-- ").strip(), body.rstrip(";"))


q = load()
