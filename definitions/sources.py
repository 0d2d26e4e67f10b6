"""The two dictionaries of HL7 v2 that the tables are made from, read into the same plain records.

hl7apy 1.3.5 (PyPI, MIT; the bench extra installs it) has structures, segments and data types of 2.1 to 2.8.2 and tables
from 2.3.1 on, but no lengths. hl7-dictionary 1.0.1 (npm, MIT; ../shared/corpora/v2-dictionary-hl7dict) has 2.1 to 2.7.1
with lengths and names, and one set of tables for all versions.
"""

import gzip
import importlib
import json
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

DICTIONARY = Path(__file__).resolve().parents[2] / "shared" / "corpora" / "v2-dictionary-hl7dict"
VERSIONS = ("2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.8", "2.8.1", "2.8.2")
UNBOUNDED = -1
_SEGMENT = re.compile(r"[A-Z][A-Z0-9]{2}")
_MISTAKEN_REPETITIONS = 20
_WITHDRAWN = 4
_REQUIRED = 2
_LOCAL_TABLE = 9999


class Part(NamedTuple):
    """A field of a segment or a component of a data type. `maximum` 0 is withdrawn, `length` and `table` 0 unknown."""

    type: str
    minimum: int = 0
    maximum: int = 1
    length: int = 0
    table: int = 0
    name: str = ""


class Node(NamedTuple):
    """A segment or, with children, a group of a structure. The segment `ANY` stands for any."""

    name: str
    minimum: int
    maximum: int
    children: "tuple[Node, ...]" = ()
    choice: bool = False

    def segments(self) -> Iterator[str]:
        """The segments in it."""
        if not self.children:
            yield self.name
        for child in self.children:
            yield from child.segments()


class Hl7apy:
    """One version as hl7apy has it."""

    def __init__(self, version: str) -> None:
        self._package = f"hl7apy.v{version.replace('.', '_')}"

    def _facts(self, module: str, name: str) -> Mapping[str, Any]:
        try:
            found: Mapping[str, Any] = getattr(importlib.import_module(f"{self._package}.{module}"), name)
        except ModuleNotFoundError:
            return {}
        return found

    @cached_property
    def segments(self) -> dict[str, list[Part]]:
        rows = self._facts("segments", "SEGMENTS").items()
        return {name: self._parts(row) for name, row in rows if _SEGMENT.fullmatch(name)}

    @cached_property
    def types(self) -> dict[str, list[Part]]:
        rows = self._facts("datatypes", "DATATYPES_STRUCTS").items()
        return {name: self._parts(("sequence", row)) for name, row in rows}

    @cached_property
    def tables(self) -> dict[int, list[str]]:
        rows = self._facts("tables", "TABLES").items()
        return {int(name[3:]): [*codes] for name, (_, codes) in rows if name[3:].isdigit()}

    @cached_property
    def structures(self) -> dict[str, Node]:
        rows = self._facts("messages", "MESSAGES").items()
        return {name: _structure(name, row, 1, 1) for name, row in rows if name == name.upper()}

    def _parts(self, row: Any) -> list[Part]:
        """The parts by number. From 2.8 on withdrawn fields are skipped; the names of the others tell their numbers."""
        # Behind a word stand the children, or nothing; one segment of 2.1 lacks the word.
        children = row if not isinstance(row[0], str) else row[1] if len(row) > 1 else ()
        found: list[Part] = []
        for name, facts, (minimum, maximum), _ in children:
            number = int(name.rpartition("_")[2])
            found += [Part("", maximum=0)] * (number - len(found) - 1)
            kind = facts[2] or ""
            kind = "" if kind in {"varies", "WD", "wd"} else kind
            found.append(Part(kind, minimum, maximum, table=_table(facts[4]), name=_words(facts[3] or name)))
        return found


def _table(name: str | None) -> int:
    digits = (name or "")[3:]
    return int(digits) if digits.isdigit() and int(digits) != _LOCAL_TABLE else 0


def _structure(name: str, row: Any, minimum: int, maximum: int, prefix: str = "") -> Node:
    kind, children = row
    prefix = prefix or f"{name}_"
    nodes = []
    for child, facts, (least, most), what in children:
        if what == "GRP":
            nodes.append(_structure(child, facts, least, most, prefix))
        elif _SEGMENT.fullmatch(child) or child == "ANYHL7SEGMENT":
            nodes.append(Node(child[:3], least, most if _SEGMENT.fullmatch(child) else UNBOUNDED))
    # Groups of the EHC messages are sequences whose members hl7apy gives as alternatives.
    choice = kind == "choice" and not prefix.startswith("EHC")
    return Node(name.removeprefix(prefix), minimum, maximum, tuple(nodes), choice)


def _words(name: str) -> str:
    words = name.replace("_", " ").strip()
    return words[:1] + words[1:].lower() if words.isupper() else words


class Dictionary:
    """One version as hl7-dictionary has it; without a file for the version it is empty."""

    def __init__(self, version: str) -> None:
        file = DICTIONARY / f"v{version}.json.gz"
        nothing: dict[str, Any] = {"segments": {}, "fields": {}, "messages": {}}
        self._raw: dict[str, Any] = read_json(file) if file.is_file() else nothing

    @cached_property
    def segments(self) -> dict[str, list[Part]]:
        return {name: [*map(_part, row["fields"])] for name, row in self._raw["segments"].items()}

    @cached_property
    def types(self) -> dict[str, list[Part]]:
        rows = self._raw["fields"].items()
        return {name: [*map(_part, row["subfields"])] for name, row in rows if row["subfields"]}

    @cached_property
    def structures(self) -> dict[str, Node]:
        return {
            name: _group({**row["segments"], "name": name, "min": 1, "max": 1, "children": row["segments"]["segments"]})
            for name, row in self._raw["messages"].items()
            if "_" in name and row["segments"]["segments"]
        }

    @cached_property
    def segment_names(self) -> dict[str, str]:
        return {name: row["desc"] for name, row in self._raw["segments"].items()}


def dictionary_tables() -> dict[int, dict[str, str]]:
    """Codes and what they say, by table, of all versions in one."""
    return {int(number): row["values"] for number, row in read_json(DICTIONARY / "tables.json.gz").items()}


def read_json(file: Path) -> dict[str, Any]:
    """A gzipped JSON object."""
    found: dict[str, Any] = json.loads(gzip.decompress(file.read_bytes()))
    return found


def _part(row: Mapping[str, Any]) -> Part:
    most = row["rep"] or UNBOUNDED
    if most > _MISTAKEN_REPETITIONS:
        most = 1
    return Part(
        "" if row["datatype"] == "VARIES" else row["datatype"],
        int(row["opt"] == _REQUIRED),
        0 if row["opt"] == _WITHDRAWN else most,
        row.get("len") or 0,
        row.get("table") or 0,
        " ".join(row["desc"].split()),
    )


def _group(row: Mapping[str, Any]) -> Node:
    children = tuple(map(_group, row.get("children", ())))
    return Node(row["name"], min(row["min"], 1), row["max"] if row["max"] == 1 else UNBOUNDED, children)
