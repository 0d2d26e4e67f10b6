"""Makes what Chartwire knows of FHIR R4 and US Core: `python -m definitions.fhir R4.tgz US-CORE.tgz...`.

R4.tgz is the npm package hl7.fhir.r4.examples 4.0.1 (it holds all definitions of the specification), US-CORE.tgz are
the packages of the guide, oldest first. Files are gzipped JSON; the same packages give the same bytes. `--check` writes
nothing and compares.
"""

import argparse
import gzip
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from definitions.fhir.packages import Package
from definitions.fhir.search import compartments, search_parameters
from definitions.fhir.structures import Structures
from definitions.fhir.terminology import terminology
from definitions.fhir.types import types

HERE = Path(__file__).parent
OUT = HERE.parent.parent / "src" / "chartwire" / "formats" / "fhir" / "data"


def contents(packages: list[Package]) -> dict[str, Any]:
    """The files by name."""
    base, *guides = packages
    return {
        "types": types(base.structures()),
        "search": {"parameters": search_parameters(base, guides), "compartments": compartments(base)},
        "structures": Structures().make(packages),
        "terminology": terminology(packages),
    }


def main() -> int:
    """Write the files and their note, or compare them with what is there."""
    parser = argparse.ArgumentParser(description="make the tables of FHIR R4 and US Core")
    parser.add_argument("packages", nargs="+", type=Path, help="the tgz of R4, then those of US Core, oldest first")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a file differs")
    arguments = parser.parse_args()
    packages = [Package(path) for path in arguments.packages]
    files = {
        name: json.dumps(content, separators=(",", ":"), ensure_ascii=False, default=float).encode()
        for name, content in contents(packages).items()
    }
    if arguments.check:
        return int(any(gzip.decompress((OUT / f"{name}.json.gz").read_bytes()) != data for name, data in files.items()))
    OUT.mkdir(exist_ok=True, parents=True)
    for name, data in files.items():
        (OUT / f"{name}.json.gz").write_bytes(gzip.compress(data, 9, mtime=0))
    hashes = [f"{name}.json sha256 {hashlib.sha256(data).hexdigest()}" for name, data in files.items()]
    lines = [*(package.note() for package in packages), *hashes]
    (OUT / "NOTICE.txt").write_text((HERE / "NOTICE.txt").read_text("utf-8") + "\n".join(lines) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
