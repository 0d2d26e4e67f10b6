"""Reading and validating FHIR: official examples and those of US Core, resources a second of processor time.

The examples stand in ../shared; where that is absent, the good resources of the validator's own tests are taken.
"""

import json
import sys
import tarfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import yaml

from chartwire.formats.fhir.reading import Json, read_resource
from chartwire.formats.fhir.validate import check

HERE = Path(__file__).resolve().parents[1]
SHARED = HERE.parent / "shared"
R4 = SHARED / "corpora" / "fhir-r4-examples" / "fhir"
US_CORE = SHARED / "definitions" / "us-core-610.tgz"
OWN = HERE / "tests" / "unit" / "formats" / "fhir" / "defects.yaml"
SECONDS = 1.0
TURNS = 5
_LARGE = 100_000


def rows() -> list[dict[str, Any]]:
    """Resources a second, best of five turns, of one core."""
    official, guide = _official(), _us_core()
    plain = [_without_profiles(resource) for resource in guide]
    texts = [json.dumps(resource, default=str).encode() for resource in official]
    return [
        _row("read strictly, official examples", texts, read_resource),
        _row("validate by R4, official examples", official, check),
        _row("validate by R4, US Core examples", plain, check),
        _row("validate by R4 and US Core 6.1.0, US Core examples", guide, check),
    ]


def _official() -> list[Json]:
    if not R4.is_dir():
        return [case["good"] for case in yaml.safe_load(OWN.read_text("utf-8")).values()]
    found = (path.read_bytes() for path in sorted(R4.glob("*.json")))
    return [read_resource(data) for data in found if len(data) < _LARGE]


def _us_core() -> list[Json]:
    if not US_CORE.exists():
        return [case["good"] for case in yaml.safe_load(OWN.read_text("utf-8")).values() if "meta" in case["good"]]
    with tarfile.open(US_CORE) as archive:
        members = (member for member in archive if "/example/" in member.name and "-" in Path(member.name).name)
        texts = [file.read() for member in members if (file := archive.extractfile(member)) is not None]
    return [read_resource(text) for text in texts if len(text) < _LARGE]


def _without_profiles(resource: Json) -> Json:
    meta = {name: value for name, value in resource.get("meta", {}).items() if name != "profile"}
    return {name: value for name, value in resource.items() if name != "meta"} | ({"meta": meta} if meta else {})


def _row(name: str, given: Iterable[Any], operation: Callable[[Any], object]) -> dict[str, Any]:
    given = list(given)
    for one in given:
        operation(one)
    best = 0.0
    for _ in range(TURNS):
        done, begin = 0, time.process_time()
        while time.process_time() - begin < SECONDS / TURNS:
            for one in given:
                operation(one)
            done += len(given)
        best = max(best, done / (time.process_time() - begin))
    return {"name": name, "resources": len(given), "per_s": round(best), "us": round(1e6 / best)}


if __name__ == "__main__":
    for row in rows():
        sys.stdout.write(json.dumps(row) + "\n")
