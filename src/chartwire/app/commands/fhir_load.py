"""`chartwire fhir load`: files into a FHIR server, several requests at a time, resumed where it ended."""

import argparse
import asyncio
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from chartwire.app import console
from chartwire.app.fhir_client import FhirClient
from chartwire.app.fhir_files import phases
from chartwire.app.fhir_loading import Ledger, Loader, Tally
from chartwire.app.sandbox_file import read_sandbox
from chartwire.app.settings import load
from chartwire.core.errors import ValidationError
from chartwire.trust.outbound import Outbound

_BAR_CELLS = 24
_TALKS_FHIR = {"Content-Type": "application/fhir+json", "Accept": "application/fhir+json", "Prefer": "return=minimal"}


def run(args: argparse.Namespace) -> int:
    """The command: exit 1 when something was refused or could not be sent."""
    if args.connections < 1 or args.batch < 1:
        raise ValidationError("--connections and --batch are 1 at least", code="usage")
    url, key = _server(args)
    files = phases(args.paths)
    if args.fresh:
        args.state.unlink(missing_ok=True)
    tally = asyncio.run(_load(args, url, key, files))
    console.say(args, _report(tally, args.errors), _sentence(tally, args.errors))
    return console.PROBLEMS if tally.refused or tally.failed else console.OK


def _server(args: argparse.Namespace) -> tuple[str, str]:
    """Base URL and key: as told, else the running sandbox's."""
    key = args.key_file.read_text(encoding="utf-8").strip() if args.key_file else ""
    if args.url and key:
        return args.url.rstrip("/"), key
    settings = load(args.config)
    if args.data_dir:
        settings = replace(settings, data_dir=args.data_dir)
    sandbox = read_sandbox(settings.data_dir)
    url = args.url or f"{sandbox['base_url']}/fhir/R4"
    return url.rstrip("/"), key or sandbox["api_key"]


async def _load(args: argparse.Namespace, url: str, key: str, files: list[list[Path]]) -> Tally:
    headers = {**_TALKS_FHIR, "Authorization": f"Bearer {key}"}
    outbound = Outbound()
    clients = [FhirClient(outbound, url, headers, args.timeout) for _ in range(args.connections)]
    bar = _Bar(sum(map(len, files))) if sys.stderr.isatty() and not args.json else None
    try:
        with Ledger(args.state, args.errors, url) as ledger:
            loader = Loader(clients, ledger, bar.show if bar else lambda _: None)
            await loader.load(files, args.batch)
    finally:
        for client in clients:
            await client.close()
        await outbound.close()
        if bar:
            bar.end()
    return loader.tally


class _Bar:
    """Where the load stands, on one line of a terminal."""

    def __init__(self, files: int) -> None:
        self._files = files

    def show(self, tally: Tally) -> None:
        """Draw the line anew."""
        cells = _BAR_CELLS * tally.files // max(self._files, 1)
        bar = "#" * cells + "-" * (_BAR_CELLS - cells)
        bad = tally.refused + tally.failed
        told = f"[{bar}] {tally.files}/{self._files} files  {tally.loaded} resources  {tally.per_second:.0f}/s"
        sys.stderr.write(f"\r{told}" + (f"  {bad} refused" if bad else "") + "\x1b[K")
        sys.stderr.flush()

    def end(self) -> None:
        """Leave the line."""
        sys.stderr.write("\n")


def _report(tally: Tally, errors: Path) -> dict[str, Any]:
    told = asdict(tally)
    del told["began_s"]
    bad = tally.refused + tally.failed
    return {
        **told,
        "seconds": round(tally.seconds, 3),
        "per_second": round(tally.per_second, 1),
        "errors_file": str(errors) if bad else None,
    }


def _sentence(tally: Tally, errors: Path) -> str:
    before = f", {tally.before} before" if tally.before else ""
    text = f"{tally.loaded} resources of {tally.files} files loaded{before}; {tally.per_second:.0f} a second"
    if tally.refused or tally.failed:
        text += f"\n{tally.refused} refused, {tally.failed} not sent: {errors} tells which and why"
    return text
