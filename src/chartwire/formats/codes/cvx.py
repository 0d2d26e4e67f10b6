"""CVX, codes of vaccines administered (https://www2a.cdc.gov/vaccines/iis/iisstandards): text with bars, or CSV."""

from collections.abc import Iterable, Iterator, Mapping

from chartwire.core.errors import ParseError
from chartwire.formats.codes.concepts import Concept, Lines, reader

SYSTEM = "http://hl7.org/fhir/sid/cvx"


def read(files: Mapping[str, Lines]) -> Iterator[Concept]:
    """One concept a row: code, short description, full name, notes, status. A line of heads is passed over."""
    for number, row in enumerate(_table(files["codes"]()), 1):
        cells = [cell.strip() for cell in row]
        if len(cells) < 3:
            raise ParseError(
                "CVX has a code, a short and a full name a row", code="code_table", location=f"line {number}"
            )
        if cells[0].isdigit():
            status = cells[4] if len(cells) > 4 else ""
            properties = {"status": status} if status else {}
            yield Concept(cells[0].zfill(2), cells[1] or cells[2], (), properties, status.casefold() == "inactive")


def _table(lines: Iterable[str]) -> Iterator[list[str]]:
    """Rows, split at what the first line is split at."""
    told = iter(line for line in lines if line.strip())
    first = next(told, "")
    separator = "|" if "|" in first else ","
    for line in (first, *told):
        yield from reader([line], separator)
