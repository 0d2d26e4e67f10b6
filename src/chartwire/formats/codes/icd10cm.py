"""ICD-10-CM (https://www.cdc.gov/nchs/icd/icd-10-cm): the tabular order file, in columns of fixed width."""

from collections.abc import Iterator, Mapping

from chartwire.core.errors import ParseError
from chartwire.formats.codes.concepts import Concept, Lines

SYSTEM = "http://hl7.org/fhir/sid/icd-10-cm"
_CATEGORY_CHARACTERS = 3


def read(files: Mapping[str, Lines]) -> Iterator[Concept]:
    """Codes with their dot, each below the longest code that it begins with. `billable` is the file's own mark."""
    known: set[str] = set()
    for number, line in enumerate(files["order"](), 1):
        if line.strip():
            code, mark, name = line[6:14].strip(), line[14:15], line[77:].strip() or line[16:77].strip()
            if not (code and name and mark in {"0", "1"}):
                raise ParseError("the order file has other columns", code="code_table", location=f"line {number}")
            known.add(code)
            above = next((code[:size] for size in range(len(code) - 1, 2, -1) if code[:size] in known), None)
            yield Concept(_dotted(code), name, (_dotted(above),) if above else (), {"billable": mark})


def _dotted(code: str) -> str:
    category, rest = code[:_CATEGORY_CHARACTERS], code[_CATEGORY_CHARACTERS:]
    return f"{category}.{rest}" if rest else category
