"""`make bench`: every measurement in turn; figures on stdout, in bench/results.json and docs/performance.md.

Names given as arguments choose some: `make bench ARGS="lanes path"`. The results of the others are kept.
"""

import importlib
import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

from bench import report
from bench.report import RESULTS

NAMES = (
    "hl7v2",
    "validate",
    "fhir_validate",
    "mapping",
    "mllp",
    "lanes",
    "path",
    "stages",
    "delivery",
    "fairness",
    "api",
    "writes",
    "fhir",
    "messages",
    "latency",
    "day",
    "memory",
)


def main() -> None:
    """Run and record."""
    chosen = sys.argv[1:] or list(NAMES)
    results: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in chosen:
        rows = importlib.import_module(f"bench.{name}").rows()
        results[name] = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "machine": _machine(), "rows": rows}
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
        _show(name, rows)
    report.write(results)


def _machine() -> str:
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} cores, Python {platform.python_version()}, load {load:.1f}, commit {commit.stdout.strip()}"
    )


def _show(name: str, rows: list[dict[str, Any]]) -> None:
    print(f"\n{name}")
    for row in rows:
        figures = "  ".join(f"{key}={value}" for key, value in row.items() if key not in {"name", "what"})
        print(f"  {row.get('name') or row.get('what')}: {figures}")


main()
