"""What a code system consists of, and the tables in which publishers write it."""

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from chartwire.core.errors import ParseError

Lines = Callable[[], Iterable[str]]
"""Opens a file; the lines of text in it, each call from the beginning."""


@dataclass(frozen=True, slots=True)
class Concept:
    """A code, what it is called, which concepts subsume it, and what its publisher says besides.

    The same code may come again with further parents: what came first is what it is called.
    """

    code: str
    display: str
    parents: tuple[str, ...] = ()
    properties: Mapping[str, str] = field(default_factory=dict)
    inactive: bool = False


def reader(lines: Iterable[str], dialect: str) -> Iterator[list[str]]:
    """Rows of a table: with a comma CSV with quotation marks, anything else separates and quotes nothing."""
    if dialect == ",":
        return csv.reader(lines)
    return csv.reader(lines, delimiter=dialect, quoting=csv.QUOTE_NONE)


def rows(lines: Iterable[str], columns: tuple[str, ...], *, what: str, dialect: str = ",") -> Iterator[tuple[str, ...]]:
    """The named columns of a table whose first line names all of them, by row.

    Columns are found in any case. Raises ParseError (`code_table`) for a table that lacks one, and for a row cut short.
    """
    table = reader(lines, dialect)
    heads = [head.strip().lstrip("\ufeff").casefold() for head in next(table, [])]
    missing = [column for column in columns if column.casefold() not in heads]
    if missing:
        raise ParseError(f"{what} has no column {missing[0]}", code="code_table", location="line 1")
    places = [heads.index(column.casefold()) for column in columns]
    for number, row in enumerate(table, 2):
        if row:
            if len(row) <= max(places):
                raise ParseError(f"{what}: a row is cut short", code="code_table", location=f"row {number}")
            yield tuple(row[place].strip() for place in places)
