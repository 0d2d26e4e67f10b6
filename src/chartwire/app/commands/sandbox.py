"""`chartwire sandbox`: a simulated clinic day, sent to a listener through real sockets; how a shell reaches it."""

import argparse
import asyncio
import random
import shlex
import signal
from datetime import datetime
from itertools import count as counting
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from chartwire.app import console
from chartwire.app.cli import common_arguments
from chartwire.app.sandbox_file import read_sandbox
from chartwire.app.settings import load
from simulators.feed import Feed, Tally
from simulators.hospital import Hospital, Mix
from simulators.segments import Profile

_NUMBERS = counting(1)


def register(parser: argparse.ArgumentParser) -> None:
    """Arguments of `chartwire sandbox`."""
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    feed = actions.add_parser("feed", help="send realistic ADT, SIU and ORU messages until Ctrl-C")
    common_arguments(feed)
    feed.add_argument(
        "--rate", type=float, default=5.0, help="messages a second; 0: as fast as answers come (default 5)"
    )
    feed.add_argument("--count", type=int, help="stop after so many messages")
    feed.add_argument("--speed", type=float, default=60.0, help="simulated seconds a second (default 60)")
    feed.add_argument("--seed", type=int, help="repeat a run: the same seed, start and options give the same messages")
    feed.add_argument("--start", type=datetime.fromisoformat, help="simulated start, ISO 8601 (default: now)")
    feed.add_argument("--connections", type=int, default=4, help="MLLP connections (default 4)")
    feed.add_argument("--results", type=int, default=0, help="results a report; 0: 1 to 30 (default)")
    feed.add_argument("--mix", default="60,25,15", help="shares of ADT,SIU,ORU (default 60,25,15)")
    feed.add_argument("--host", default="127.0.0.1", help="where the listener is (default 127.0.0.1)")
    feed.add_argument("--port", type=int, help="default: the running sandbox's plain port")
    feed.add_argument("--data-dir", type=Path, help="where the sandbox lies (default: the setting data_dir)")
    feed.set_defaults(run=_feed)
    env = actions.add_parser("env", help='addresses and key of the running sandbox, for a shell: eval "$(... env)"')
    common_arguments(env)
    env.add_argument("--data-dir", type=Path, help="where the sandbox lies (default: the setting data_dir)")
    env.set_defaults(run=_env)


def _feed(args: argparse.Namespace) -> int:
    shares = [float(part) for part in args.mix.split(",") if _is_share(part)]
    if len(shares) != 3 or sum(shares) <= 0 or args.rate < 0 or args.speed <= 0 or args.connections < 1:
        console.complain(args, "usage", "--mix takes three shares such as 60,25,15; --rate and --speed are positive")
        return console.USAGE
    port = args.port
    if port is None:
        port = _sandbox(args)["mllp_port"]
    seed = args.seed if args.seed is not None else random.SystemRandom().randrange(10_000)
    zone = ZoneInfo("America/Los_Angeles")
    start = (args.start.replace(tzinfo=args.start.tzinfo or zone)) if args.start else datetime.now(zone)
    step_s = args.speed / args.rate if args.rate else 12.0
    mix = Mix(shares[0], shares[1], shares[2], args.results)
    hospital = Hospital(Profile(), seed=seed, start=start, step_s=step_s, mix=mix)
    tally = asyncio.run(_run(args, hospital, port))
    _report(args, tally, seed)
    return (
        console.OK if tally.refused == 0 and (args.count is None or tally.answered == args.count) else console.PROBLEMS
    )


def _env(args: argparse.Namespace) -> int:
    told = _sandbox(args)
    names = {
        "CHARTWIRE": told["base_url"].rstrip("/"),
        "KEY": told["api_key"],
        "ORG": told["org_id"],
        "SINK": told["webhook_sink_url"].rstrip("/"),
    }
    console.say(args, names, "\n".join(f"export {name}={shlex.quote(value)}" for name, value in names.items()))
    return console.OK


def _sandbox(args: argparse.Namespace) -> dict[str, Any]:
    return read_sandbox(args.data_dir or load(args.config).data_dir)


async def _run(args: argparse.Namespace, hospital: Hospital, port: int) -> Tally:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    feed = Feed(args.host, port, rate=args.rate, connections=args.connections)

    def progress(tally: Tally) -> None:
        if next(_NUMBERS) % 10 == 0 and not args.json:
            print(f"{tally.answered} answered, {tally.refused} refused, {tally.resent} resent", flush=True)

    return await feed.run(hospital.messages(), count=args.count, stop=stop, progress=progress)


def _report(args: argparse.Namespace, tally: Tally, seed: int) -> None:
    data = {
        "seed": seed,
        "answered": tally.answered,
        "refused": tally.refused,
        "resent": tally.resent,
        "codes": dict(tally.codes),
        "events": dict(sorted(tally.events.items())),
        "ack_ms": {"p50": round(tally.latency_ms(0.5), 2), "p99": round(tally.latency_ms(0.99), 2)},
    }
    events = ", ".join(f"{event} {number}" for event, number in sorted(tally.events.items()))
    console.say(
        args,
        data,
        f"seed {seed}: {tally.answered} answered ({events}); {tally.refused} refused, {tally.resent} resent; "
        f"ACK p50 {tally.latency_ms(0.5):.1f} ms, p99 {tally.latency_ms(0.99):.1f} ms",
    )


def _is_share(text: str) -> bool:
    try:
        return float(text) >= 0
    except ValueError:
        return False
