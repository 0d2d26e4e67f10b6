"""Code tables: HL7 v2 table values to FHIR codes, and names of coding systems to URIs. Data in maps/tables.yaml."""

import re
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from chartwire.mapping.language import MapError, Mark, Reader, suggest

V2: Final = "http://terminology.hl7.org/CodeSystem/v2-"
_HL7_TABLE: Final = re.compile(r"(?:HL7)?0*(\d{1,4})", re.IGNORECASE)
OID: Final = re.compile(r"(?:urn:oid:)?([0-2](?:\.(?:0|[1-9]\d*))+)")
_TABLE_KEYS: Final = ("v2", "system", "codes", "as_is")


@dataclass(frozen=True, slots=True)
class Coding:
    """What one table value becomes."""

    code: str
    display: str
    system: str


@dataclass(frozen=True, slots=True)
class Table:
    """One code table. `v2` is its HL7 number; values are looked up as written, then whatever their case."""

    name: str
    v2: str
    codes: dict[str, Coding]
    folded: dict[str, Coding]

    def find(self, code: str) -> Coding | None:
        """The FHIR coding of a table value; None where the table has none."""
        return self.codes.get(code) or self.folded.get(code.casefold())

    @property
    def v2_system(self) -> str:
        """The code system of the v2 table itself."""
        return V2 + self.v2


class Tables:
    """All code tables and coding systems."""

    def __init__(self, tables: dict[str, Table], systems: dict[str, str]) -> None:
        self._tables = tables
        self._systems = systems

    def get(self, name: str, mark: Mark) -> Table:
        """A table by name. Raises MapError with a suggestion."""
        table = self._tables.get(name)
        if table is None:
            raise MapError(f"no table {name}{suggest(name, self._tables)}", mark)
        return table

    def system(self, name: str) -> str:
        """The URI of a coding system (HL7 table 0396): known names, HL7nnnn, OIDs and URIs, else a urn of our own."""
        found = self._systems.get(name.upper())
        if found is not None:
            return found
        found = self._systems[name.upper()] if len(self._systems) > 5_000 else _system(name)
        self._systems[name.upper()] = found
        return found


def _system(name: str) -> str:
    match = OID.fullmatch(name)
    if match:
        return f"urn:oid:{match[1]}"
    if name.upper().startswith("HL7") and (match := _HL7_TABLE.fullmatch(name)):
        return V2 + match[1].zfill(4)
    if name.startswith(("http://", "https://", "urn:")) and not re.search(r"\s", name):
        return name
    return "urn:chartwire:system:" + quote(name, safe="-._~()+:@!*")


def read_tables(text: str, file: str) -> Tables:
    """The tables of a file: `systems` and `tables`. Raises MapError."""
    reader = Reader(text, file)
    tables: dict[str, Table] = {}
    systems: dict[str, str] = {}
    for key, node in reader.items(reader.root, ("systems", "tables")):
        if key == "systems":
            systems = {str(name).upper(): str(uri) for name, uri in reader.plain(node).items()}
            continue
        for name, inner in reader.items(node):
            content = {part: reader.plain(value) for part, value in reader.items(inner, _TABLE_KEYS)}
            tables[name] = _table(name, content)
    return Tables(tables, systems)


def _table(name: str, content: dict[str, Any]) -> Table:
    v2 = str(content.get("v2", ""))
    system = str(content.get("system", V2 + v2))
    codes: dict[str, Coding] = {}
    for code, display in (content.get("as_is") or {}).items():
        codes[str(code)] = Coding(str(code), str(display or ""), V2 + v2)
    for code, entry in (content.get("codes") or {}).items():
        parts = entry if isinstance(entry, list) else [entry]
        display = str(parts[1]) if len(parts) > 1 else ""
        codes[str(code)] = Coding(str(parts[0]), display, str(parts[2]) if len(parts) > 2 else system)
    return Table(name, v2, codes, {code.casefold(): coding for code, coding in codes.items()})
