"""`chartwire health`: whether the API of this installation answers, for container health checks and scripts."""

import argparse
import asyncio
import ssl
from pathlib import Path
from urllib.parse import urlsplit

from chartwire.app import console
from chartwire.app.cli import common_arguments
from chartwire.app.knobs import Settings
from chartwire.app.services import local_url_of, reachable
from chartwire.app.settings import load
from chartwire.core.errors import TransientError
from chartwire.trust.addresses import OPERATOR
from chartwire.trust.outbound import Outbound
from chartwire.trust.outcomes import ConnectFailedError

_ANSWER_BYTES_MAX = 16_384


def register(parser: argparse.ArgumentParser) -> None:
    """Arguments of `chartwire health`."""
    common_arguments(parser)
    parser.add_argument("--live", action="store_true", help="ask whether it runs, not whether it is ready for work")
    parser.add_argument("--timeout", type=float, default=5.0, metavar="SECONDS", help="how long to wait (default 5)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """The command: 0 when the answer is 200, else 1."""
    settings = load(args.config)
    path = "/health/live" if args.live else "/health/ready"
    status, body = asyncio.run(_asked(settings, path, args.timeout))
    console.say(args, {"status": status, "url": local_url_of(settings) + path, "answer": body}, body)
    return console.OK if status == 200 else console.PROBLEMS


async def _asked(settings: Settings, path: str, timeout_s: float) -> tuple[int, str]:
    """Status and body of a GET on this machine. Raises TransientError where nothing answers in time."""
    place = urlsplit(local_url_of(settings))
    host = reachable(place.hostname or "")
    tls = _own_certificate(settings) if settings.http_tls_cert else None
    door = Outbound(tls=tls)
    request = f"GET {path} HTTP/1.1\r\nHost: {place.netloc}\r\nAccept: application/json\r\nConnection: close\r\n\r\n"
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await door.open_stream(host, place.port or 0, tls or False, OPERATOR)
            writer.write(request.encode("ascii"))
            answer = await reader.read(_ANSWER_BYTES_MAX)
            while answer and (more := await reader.read(_ANSWER_BYTES_MAX)):
                answer += more
            writer.close()
    except (TimeoutError, OSError, ConnectFailedError):
        raise TransientError(f"nothing answered at {place.netloc} within {timeout_s:g} s", code="no_answer") from None
    finally:
        await door.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    words = head.split(None, 2)
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else 0, body.decode("utf-8", "replace")


def _own_certificate(settings: Settings) -> ssl.SSLContext:
    """Trusts this installation's own certificate, under whatever name: it is asked by its address on this machine."""
    context = ssl.create_default_context(cafile=str(Path(settings.http_tls_cert)))
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context
