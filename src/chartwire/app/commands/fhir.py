"""`chartwire fhir`: load, reindex, validate."""

import argparse
from pathlib import Path

from chartwire.app.actions import add_action

SEVERITIES = ("error", "warning", "information")


def register(parser: argparse.ArgumentParser) -> None:
    """Arguments of `chartwire fhir`."""
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    _register_load(actions)
    _register_reindex(actions)
    _register_validate(actions)


def _register_reindex(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    reindex = add_action(actions, "reindex", "fhir_reindex", "bring all resources into the FHIR search index, now")
    reindex.add_argument("--org", metavar="ORG_ID", help="of this organisation only")
    reindex.add_argument("--check", action="store_true", help="only count; exit code 1 where something is left")


def _register_validate(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    meaning = "check resources by R4 and by profiles; exit code 1 where one has an error"
    validate = add_action(actions, "validate", "fhir_validate", meaning)
    validate.add_argument("inputs", nargs="+", metavar="IN", help="files, folders that are walked, or - for stdin")
    validate.set_defaults(rest=[])
    validate.add_argument(
        "--profile",
        action="append",
        default=[],
        metavar="URL",
        help="canonical that each must meet, too; |version may follow",
    )
    validate.add_argument("--strict", action="store_true", help="a profile that is not known here is an error")
    validate.add_argument("--fail-on", choices=SEVERITIES[:2], default="error", help="what makes exit code 1")
    validate.add_argument("--show", choices=SEVERITIES, default="warning", help="how grave an issue is to be shown")
    validate.add_argument("--junit", type=Path, metavar="FILE", help="write JUnit XML, one test case a resource")


def _register_load(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    load = add_action(actions, "load", "fhir_load", "load Bundles and resources into a server; goes on where it ended")
    load.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="files (.json, .ndjson, .gz) and folders")
    load.add_argument("--url", help="base URL of the FHIR server (default: of the running sandbox)")
    load.add_argument("--key-file", type=Path, metavar="FILE", help="holds the API key (default: the sandbox's key)")
    load.add_argument("--data-dir", type=Path, metavar="DIR", help="of the sandbox that is meant")
    load.add_argument("--connections", type=int, default=4, metavar="N", help="requests at the same time (default 4)")
    load.add_argument("--batch", type=int, default=100, metavar="N", help="resources a request, where they come singly")
    load.add_argument("--timeout", type=float, default=300.0, help="seconds to wait for each answer (default 300)")
    load.add_argument("--state", type=Path, default=Path("fhir-load.state"), metavar="FILE",
                      help="remembers by hash what was loaded (default fhir-load.state)")  # fmt: skip
    load.add_argument("--errors", type=Path, default=Path("fhir-load.errors.ndjson"), metavar="FILE",
                      help="OperationOutcomes of what was refused (default fhir-load.errors.ndjson)")  # fmt: skip
    load.add_argument("--fresh", action="store_true", help="forget what was loaded before, send everything")
