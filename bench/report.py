"""Figures as a page: fills the tables of docs/performance.md from bench/results.json.

A table stands between `<!-- name -->` and `<!-- end -->`; what is around it is written by hand. `targets` and `budget`
are put together here; every other name is a measurement, whose rows become tables as they are.
"""

import json
import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, Literal, NamedTuple

RESULTS = Path(__file__).parent / "results.json"
PAGE = Path(__file__).parent.parent / "docs" / "performance.md"
_PLACE = re.compile(r"<!-- (\w+) -->\n.*?<!-- end -->", re.DOTALL)
_HIDDEN = {"name", "what"}

Results = dict[str, dict[str, Any]]


class Target(NamedTuple):
    """A figure of one row (`row`: how its name begins) beside what it should be."""

    what: str
    limit: float
    unit: str
    sense: Literal["at least", "at most", "below"]
    bench: str
    row: str
    key: str


TARGETS = (
    Target(
        "parse, decode, ten fields beside python-hl7 0.4.5", 30, "x", "at least", "hl7v2", "python-hl7", "times_ours"
    ),
    Target("the same beside hl7apy 1.3.5", 500, "x", "at least", "hl7v2", "hl7apy", "times_ours"),
    Target("parse and validate an ADT message", 4_000, "/s", "at least", "validate", "ADT^A01, 9 segments", "per_s"),
    Target("validate a FHIR resource by R4", 7_000, "/s", "at least", "fhir_validate", "validate by R4, off", "per_s"),
    Target("the same by US Core", 3_000, "/s", "at least", "fhir_validate", "validate by R4 and", "per_s"),
    Target("1 MB of separators in one field", 150, "ms", "at most", "hl7v2", "1 MB of ~^&", "ms"),
    Target(
        "durable ACKs, 64 connections stop-and-wait",
        12_000,
        "/s",
        "at least",
        "mllp",
        "durable ACKs, chartwire",
        "per_s",
    ),
    Target(
        "the same, share of a bare receiver", 0.5, "", "at least", "mllp", "durable ACKs, chartwire", "ratio_to_floor"
    ),
    Target("whole path, two workers", 600, "/s", "at least", "path", "whole path", "per_s"),
    Target("10,000 lanes, no-op jobs", 30_000, "/s", "at least", "lanes", "drain", "jobs_per_s"),
    Target("ACK p99 at 300/s, everything running", 25, "ms", "at most", "latency", "ACK at 300/s", "p99_ms"),
    Target("ACK p99 at saturation", 100, "ms", "at most", "latency", "ACK at saturation", "p99_ms"),
    Target("ACK to webhook p50 at 300/s", 100, "ms", "at most", "latency", "ACK to webhook", "p50_ms"),
    Target("ACK to webhook p99 at 300/s", 500, "ms", "at most", "latency", "ACK to webhook", "p99_ms"),
    Target(
        "logged deliveries to a keep-alive sink", 2_000, "/s", "at least", "delivery", "route, send, log: 1 ", "per_s"
    ),
    Target("p95 of 180 endpoints while 20 others hang", 1_000, "ms", "at most", "fairness", "180 of 200", "p95_ms"),
    Target("from `up` to the first ACK", 15, "s", "at most", "latency", "start", "first_ack_s"),
    Target("batch of 100 writes", 1500, "items/s", "at least", "writes", "batch", "per_s"),
    Target("reviews in 1,000 messages of a simulated day", 1, "", "below", "day", "a day", "reviews_per_1000"),
    Target("largest process idle (the worker)", 200, "MB", "at most", "memory", "worker", "idle_mb"),
    Target("largest process under load (the worker)", 400, "MB", "at most", "memory", "worker", "max_mb"),
)

BUDGET = (
    Target("accept, light checks, inbox, ACK", 0.06, "ms", "at most", "stages", "accept", "cpu_ms"),
    Target("parse ADT and read what maps need", 0.05, "ms", "at most", "path", "ADT", "parse_ms"),
    Target("map ADT with lineage", 0.35, "ms", "at most", "path", "ADT", "map_ms"),
    Target("extract index values, one resource", 0.08, "ms", "at most", "stages", "index values", "cpu_ms"),
    Target("save one resource with its index rows", 0.10, "ms", "at most", "stages", "save", "cpu_ms"),
    Target(
        "route + logged delivery, one endpoint", 0.08, "ms", "at most", "delivery", "route, send, log: 1 ", "cpu_ms"
    ),
    Target("FHIR read", 0.15, "ms", "at most", "api", "read FHIR", "cpu_ms"),
    Target("REST read", 0.15, "ms", "at most", "api", "read patient", "cpu_ms"),
    Target("REST create", 0.9, "ms", "at most", "writes", "create", "cpu_ms"),
    Target("REST update", 1.1, "ms", "at most", "writes", "update", "cpu_ms"),
    Target("search by identifier", 0.30, "ms", "at most", "api", "search by MRN", "cpu_ms"),
    *(
        Target(what, limit, "ms", "at most", "fhir", row, "cpu_ms")
        for what, limit, row in (
            ("FHIR search by identifier", 0.30, "search by identifier, 8"),
            ("FHIR Observations of a subject and category, by date", 0.5, "Observation by subject"),
            ("FHIR _revinclude", 0.4, "_revinclude"),
            ("FHIR create with validation", 0.9, "create, 8"),
            ("FHIR update", 1.1, "update"),
            ("FHIR transaction, a resource", 0.7, "Synthea-like transaction of 170, 1 "),
            ("$everything of 17 resources", 4.0, "$everything"),
        )
    ),
    Target("audit row (part of the three above)", 0.03, "ms", "at most", "stages", "audit row", "cpu_ms"),
)


def write(results: Results) -> None:
    """Fill every table of the page that there are figures for."""
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(_PLACE.sub(lambda place: _filled(place, results), page), encoding="utf-8")


def _filled(place: "re.Match[str]", results: Results) -> str:
    name = place[1]
    if name in ("targets", "budget"):
        body = _compared(TARGETS if name == "targets" else BUDGET, results)
    elif name in results:
        body = _measured(results[name])
    else:
        return place[0]
    return f"<!-- {name} -->\n{body}\n<!-- end -->"


def _compared(targets: tuple[Target, ...], results: Results) -> str:
    lines = ["| what | target | measured | met |", "|---|---|---|---|"]
    for target in targets:
        figure = _figure(target, results)
        met = "" if figure is None else ("yes" if _met(target, figure) else "**no**")
        shown = "not measured" if figure is None else f"{figure:,g} {target.unit}".strip()
        lines.append(f"| {target.what} | {target.sense} {target.limit:,g} {target.unit} | {shown} | {met} |")
    return "\n".join(lines)


def _figure(target: Target, results: Results) -> float | None:
    for row in results.get(target.bench, {}).get("rows", ()):
        if _name(row).startswith(target.row) and row.get(target.key) is not None:
            return float(row[target.key])
    return None


def _met(target: Target, figure: float) -> bool:
    if target.sense == "at least":
        return figure >= target.limit
    return figure <= target.limit if target.sense == "at most" else figure < target.limit


def _measured(result: dict[str, Any]) -> str:
    tables = "\n\n".join(_tables(result["rows"]))
    return f"{result['at'][:16].replace('T', ' ')} UTC; {result['machine']}.\n\n{tables}"


def _tables(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Rows that tell the same figures share a table."""
    for keys, alike in groupby(rows, key=lambda row: tuple(key for key in row if key not in _HIDDEN)):
        head = ["", *(key.replace("_", " ").replace(" per s", "/s").replace("per s", "/s") for key in keys)]
        lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
        lines += ["| " + " | ".join([_name(row), *(_shown(row[key]) for key in keys)]) + " |" for row in alike]
        yield "\n".join(lines)


def _name(row: dict[str, Any]) -> str:
    return str(row.get("name") or row.get("what"))


def _shown(value: Any) -> str:
    if isinstance(value, int | float):
        return f"{value:,}"
    return "" if value is None else str(value) if value else "none"


if __name__ == "__main__":
    write(json.loads(RESULTS.read_text()))
