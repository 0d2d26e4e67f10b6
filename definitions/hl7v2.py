"""Makes the tables of the HL7 v2 validator: `python -m definitions.hl7v2` writes them, `--check` compares only.

What two dictionaries say of a version becomes one, the more lenient word winning where they differ, and everything that
several versions share stands once. Only facts are kept (codes, names, cardinalities, lengths); no prose.

The file is gzipped JSON: pools of lines (`segments`, `types`, `structures`), and for each version which line is whose.
Tables hold the codes of all versions: HL7 lets a message use those of a later one. A segment is its fields joined by
`|`, a field `type,usage,maximum,length,table` with what is usual left out (usage R required, W withdrawn; maximum *
unbounded, else 1). A structure reads `MSH SFT* PV1? PROCEDURE(PR1 ROL*)* CHOICE[OBR RQD]`.
"""

import argparse
import gzip
import hashlib
import json
import re
import sys
from importlib.metadata import version as installed
from itertools import zip_longest
from pathlib import Path
from typing import Any

import yaml

from definitions.sources import UNBOUNDED, VERSIONS, Dictionary, Hl7apy, Node, Part, dictionary_tables

HERE = Path(__file__).parent
OUT = HERE.parent / "src" / "chartwire" / "formats" / "hl7v2" / "definitions"
_EVENT = re.compile(r"\b[A-Z][A-Z0-9]{2}\b")
_STRUCTURES_TABLE = 354
_OPEN = re.compile(r"\.\.|^nn+$|[a-z]{4}.* | and |^$|<")
_UNTOLD = Part("")
_MANY = "\n"
_ID_FOR_ALL_TABLES = {"2.1", "2.2", "2.3", "2.3.1"}
"""Versions before data type IS had come into use for all tables that sites fill."""


class Pool:
    """Lines that are written once."""

    def __init__(self) -> None:
        self.lines: dict[str, int] = {}

    def place(self, line: str) -> int:
        return self.lines.setdefault(line, len(self.lines))


class Maker:
    """Goes through the versions and fills the pools."""

    def __init__(self) -> None:
        self.by_hand: dict[str, Any] = yaml.safe_load((HERE / "hl7v2.yaml").read_text("utf-8"))
        self.pools = {kind: Pool() for kind in ("segments", "types", "structures")}
        self.names: dict[str, list[str]] = {}
        self.segment_names: dict[str, str] = {}
        self.known_tables = dictionary_tables()
        self.codes: dict[int, set[str]] = {number: {*values} for number, values in self.known_tables.items()}
        self.used_tables: set[int] = set()
        self.hl7_tables: set[int] = set()
        self.events = self._events()
        self.segments: dict[str, dict[str, list[Part]]] = {}
        self.types: dict[str, list[Part]] = {}

    def _events(self) -> dict[str, str]:
        """The structure of each event, by table 0354."""
        return {
            f"{name.partition('_')[0]}_{event}": name
            for name, events in self.known_tables[_STRUCTURES_TABLE].items()
            for event in _EVENT.findall(events)
        }

    def make(self) -> dict[str, Any]:
        """The whole content of the file."""
        for version in VERSIONS:
            self._read_segments(version)
        self._smooth()
        versions = {version: self._version(version) for version in VERSIONS}
        return {
            "pools": {kind: [*pool.lines] for kind, pool in self.pools.items()},
            "versions": versions,
            "tables": self._tables(),
            "open_segments": self.by_hand["open_segments"],
            "names": {name: "|".join(parts) for name, parts in sorted(self.names.items())},
            "segment_names": dict(sorted(self.segment_names.items())),
            "hl7_tables": sorted(self.hl7_tables),
        }

    def _read_segments(self, version: str) -> None:
        mine, other = Hl7apy(version), Dictionary(version)
        segments = {name: _merged(parts, other.segments.get(name, [])) for name, parts in mine.segments.items()}
        segments |= {name: parts for name, parts in other.segments.items() if name not in segments}
        if not other.segments:
            before = [*self.segments.values()][-1]
            segments = {name: _as_before(parts, before.get(name, [])) for name, parts in segments.items()}
        self.segments[version] = segments

    def _read_types(self, mine: Hl7apy, other: Dictionary) -> dict[str, list[Part]]:
        """Up to 2.5.1 hl7apy calls no component required: there the other word counts alone."""
        types = {name: _merged(parts, other.types.get(name, [])) for name, parts in mine.types.items()}
        if any(part.minimum for parts in mine.types.values() for part in parts):
            return types
        return {
            name: [
                part._replace(minimum=told.minimum)
                for part, told in zip_longest(parts, other.types.get(name, [])[: len(parts)], fillvalue=_UNTOLD)
            ]
            for name, parts in types.items()
        }

    def _smooth(self) -> None:
        """What one version alone says against those before and after it is a slip of the dictionaries."""
        for before, version, after in zip(VERSIONS, VERSIONS[1:], VERSIONS[2:], strict=False):
            for name, parts in self.segments[version].items():
                beside = [self.segments[other].get(name, []) for other in (before, after)]
                for place, neighbours in enumerate(zip(*beside, strict=False)):
                    if place < len(parts):
                        parts[place] = _beside(parts[place], *neighbours)

    def _version(self, version: str) -> dict[str, Any]:
        mine, other, segments = Hl7apy(version), Dictionary(version), self.segments[version]
        types = self._read_types(mine, other)
        if not other.segments:
            types = {name: _with_tables(parts, self.types.get(name, [])) for name, parts in types.items()}
        self.types = types
        structures, events = self._structures(version, mine, other)
        self._name(segments, types, other)
        self._note_tables(version, mine, [*segments.values(), *types.values()])
        return {
            "segments": self._placed("segments", {name: _line(parts) for name, parts in segments.items()}),
            "types": self._placed("types", {name: _line(parts) for name, parts in types.items()}),
            "structures": self._placed("structures", structures),
            "events": events,
        }

    def _placed(self, kind: str, lines: dict[str, str]) -> dict[str, int]:
        return {name: self.pools[kind].place(line) for name, line in sorted(lines.items())}

    def _structures(self, version: str, mine: Hl7apy, other: Dictionary) -> tuple[dict[str, str], dict[str, str]]:
        structures = dict(mine.structures)
        aliases = self.events | self.by_hand["events"].get(version, {})
        known = self.segments[version].keys()
        for name, node in other.structures.items():
            if name not in structures and aliases.get(name) not in structures and {*node.segments()} <= known:
                structures[name] = node
        events = {event: name for event, name in sorted(aliases.items()) if name in structures and event != name}
        texts = {name: _text(node) for name, node in structures.items()}
        return texts | self.by_hand["structures"].get(version, {}), events

    def _name(self, segments: dict[str, list[Part]], types: dict[str, list[Part]], other: Dictionary) -> None:
        """The latest name that hl7-dictionary has for a part, else what hl7apy calls it."""
        for name, parts in [*segments.items(), *types.items()]:
            known = self.names.setdefault(name, [])
            known += [part.name for part in parts[len(known) :]]
            for place, part in enumerate((other.segments.get(name) or other.types.get(name) or [])[: len(known)]):
                known[place] = part.name or known[place]
        self.segment_names |= other.segment_names

    def _note_tables(self, version: str, mine: Hl7apy, lists: list[list[Part]]) -> None:
        for number, codes in mine.tables.items():
            self.codes.setdefault(number, set()).update(codes)
        parts = [part for parts in lists for part in parts if part.table]
        self.used_tables |= {part.table for part in parts}
        if version not in _ID_FOR_ALL_TABLES:
            self.hl7_tables |= {part.table for part in parts if part.type == "ID"}

    def _tables(self) -> dict[str, str]:
        found = {}
        for number in sorted(self.used_tables & self.codes.keys() - {*self.by_hand["site_tables"]}):
            codes = {code.strip() for listed in self.codes[number] for code in listed.split(",")}
            if len(codes) > 1 and not any(map(_OPEN.search, codes)):
                found[f"{number:04d}"] = _MANY.join(sorted(codes))
        return found


def _merged(ours: list[Part], theirs: list[Part]) -> list[Part]:
    """Two words on the same parts. A longer list knows parts that the other one skipped, and then counts alone."""
    if len(theirs) > len(ours):
        return theirs
    pairs = zip(ours, theirs, strict=False)
    return [_lenient(one, other) for one, other in pairs] + ours[len(theirs) :]


def _lenient(one: Part, other: Part) -> Part:
    bounds = {one.maximum, other.maximum}
    most = UNBOUNDED if UNBOUNDED in bounds else max(bounds)
    if one.maximum == 0:
        most = 0
    return Part(
        one.type if one.type or most == 0 else "" if one.name else other.type,
        min(one.minimum, other.minimum),
        most,
        other.length,
        one.table or other.table,
        other.name or one.name,
    )


def _beside(part: Part, *neighbours: Part) -> Part:
    """A part no stricter than it was in the versions before and after."""
    if part.maximum == 0 or any(other.maximum == 0 for other in neighbours):
        return part
    repeats = all(other.maximum == UNBOUNDED for other in neighbours)
    least = max(other.minimum for other in neighbours)
    return part._replace(minimum=min(part.minimum, least), maximum=UNBOUNDED if repeats else part.maximum)


def _as_before(parts: list[Part], before: list[Part]) -> list[Part]:
    """From 2.8 on only hl7apy speaks. It leaves out withdrawn fields at the end, and requires some that were not."""
    pairs = zip(parts, before, strict=False)
    told = [one._replace(minimum=min(one.minimum, older.minimum)) for one, older in pairs]
    return told + parts[len(before) :] + [older for older in before[len(parts) :] if older.maximum == 0]


def _with_tables(parts: list[Part], before: list[Part]) -> list[Part]:
    """From 2.8 on hl7apy names no tables of components: the version before tells them, where the type is the same."""
    if any(part.table for part in parts):
        return parts
    tables = [older.table if older.type == part.type else 0 for part, older in zip(parts, before, strict=False)]
    return [part._replace(table=table) for part, table in zip(parts, tables, strict=False)] + parts[len(tables) :]


def _line(parts: list[Part]) -> str:
    return "|".join(map(_word, parts))


def _word(part: Part) -> str:
    usage = "W" if part.maximum == 0 else "R" if part.minimum else ""
    most = (
        "*"
        if part.maximum == UNBOUNDED or (part.maximum and not part.type)
        else str(part.maximum)
        if part.maximum > 1
        else ""
    )
    table = f"{part.table:04d}" if part.table else ""
    return ",".join((part.type, usage, most, str(part.length or ""), table)).rstrip(",")


def _text(node: Node) -> str:
    return " ".join(map(_node, node.children))


def _node(node: Node) -> str:
    mark = {(1, 1): "", (0, 1): "?", (0, UNBOUNDED): "*"}.get((node.minimum, node.maximum), "+")
    if not node.children:
        return f"{node.name}{mark}"
    opening, closing = "[]" if node.choice else "()"
    return f"{node.name}{opening}{_text(node)}{closing}{mark}"


def content() -> bytes:
    """The file before it is compressed; the same sources give the same bytes."""
    return json.dumps(Maker().make(), separators=(",", ":"), ensure_ascii=False).encode()


def main() -> int:
    """Write the tables and their note, or compare them with what is there."""
    parser = argparse.ArgumentParser(description="make the tables of the HL7 v2 validator")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where the tables differ")
    only_check = parser.parse_args().check
    data = content()
    digest = hashlib.sha256(data).hexdigest()
    if only_check:
        return int(gzip.decompress((OUT / "hl7v2.json.gz").read_bytes()) != data)
    OUT.mkdir(exist_ok=True)
    (OUT / "hl7v2.json.gz").write_bytes(gzip.compress(data, 9, mtime=0))
    note = (HERE / "NOTICE.txt").read_text("utf-8")
    (OUT / "NOTICE.txt").write_text(f"{note}hl7apy {installed('hl7apy')}\nsha256 of the JSON: {digest}\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
