"""`python -m bench.fhir`: one table. With `--url` any FHIR server, filled over HTTP with the same data."""

import argparse
import asyncio
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.fhir import RESOURCES, ROUNDS, SECONDS, measure
from bench.fhir.filling import fill_by_http
from bench.fhir.phases import PHASES, Phase, World
from bench.fhir.running import run
from bench.fhir.wire import Server
from bench.processes import server_pids


def main() -> None:
    """Measure and show."""
    args = _arguments()
    phases = [phase for phase in PHASES if not args.phase or any(name in phase.name for name in args.phase)]
    if args.url:
        rows = asyncio.run(_elsewhere(args, phases))
    else:
        rows = measure(args.resources, phases, args.seconds, args.rounds)
    for row in rows:
        print(json.dumps(row))


async def _elsewhere(args: argparse.Namespace, phases: list[Phase]) -> list[dict[str, Any]]:
    server = Server(args.url.rstrip("/"), args.authorization)
    if args.world.exists():
        world = World(**json.loads(args.world.read_text()))
    else:
        world = await fill_by_http(server, args.resources)
        args.world.write_text(json.dumps(asdict(world)))
    return await run(
        server,
        world,
        phases,
        lambda: [pid for root in args.pid for pid in server_pids(root)],
        seconds=args.seconds,
        rounds=args.rounds,
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.fhir", description=__doc__)
    parser.add_argument("--resources", type=int, default=RESOURCES, help=f"how many are there ({RESOURCES})")
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"of a round ({SECONDS:g})")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"the best counts ({ROUNDS})")
    parser.add_argument("--phase", action="append", default=[], metavar="NAME", help="only those whose name holds this")
    parser.add_argument("--url", help="FHIR base of a running server; without it Chartwire is started")
    parser.add_argument("--authorization", default="", metavar="HEADER", help="such as `Bearer ...`")
    parser.add_argument("--pid", type=int, action="append", default=[], help="a process of that server, with children")
    parser.add_argument("--world", type=Path, default=Path("bench-world.json"), help="ids that the server gave")
    return parser.parse_args()


main()
