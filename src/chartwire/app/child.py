"""One role as a child process of the supervisor: `python -m chartwire.app.child`.

Its first line of standard input is the order as JSON; the pipe stays open as a lifeline. When it closes, or the parent
is gone, the process ends: no orphan outlives its supervisor. When the role answers it writes `{"ready": ...}` to
standard output, once. SIGTERM asks for an orderly end; logs go to standard error.
"""

import asyncio
import ctypes
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import structlog

from chartwire.app.ending import Ending, end_alone, end_as_told
from chartwire.app.notify import ServiceManager
from chartwire.app.settings import from_values
from chartwire.core import garbage

_PR_SET_PDEATHSIG = 1
_GC_THRESHOLDS = 10_000, 20, 50
"""A batch of messages makes thousands of objects that live as long as the batch: looking for cycles among them every
700 finds nothing and costs one twentieth of the mapping's time."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a child is to do: `role` (app/roles.py), its name in logs and metrics, settings in force, and extras."""

    role: str
    process: str
    parent: int
    settings: dict[str, Any]
    extras: dict[str, Any] = field(default_factory=dict)


def main() -> int:
    """Read the order, work until told to end."""
    line = _first_line()
    if not line:
        return 1
    order = Order(**json.loads(line))
    die_with(order.parent)
    from chartwire.app import logging
    from chartwire.app.roles import ROLES

    settings = from_values(order.settings)
    logging.configure(settings.log_level, order.process)
    try:
        return run_role(ROLES[order.role], order, settings, _announce)
    except Exception as error:  # its text may quote a message: the log gets kind and places, and our own sentences
        reason = getattr(error, "message", None) or getattr(error, "strerror", None)
        structlog.get_logger().error("role_failed", role=order.role, reason=reason, exc_info=error)
        return 1


def run_role(
    role: Any, order: Order, settings: Any, ready: Callable[[dict[str, Any]], None], *, lifeline: bool = True
) -> int:
    """Run a role in an event loop until SIGTERM, SIGINT or, with `lifeline`, the end of standard input.

    Without a lifeline the process stands alone: it has a delay and a deadline of its own, and a service manager.
    """
    import uvloop

    async def run() -> None:
        ending = Ending()
        if lifeline:
            end_as_told(ending)
            watching = (asyncio.get_running_loop(), ending, settings.stop_timeout_s)
            threading.Thread(target=_watch_lifeline, args=watching, daemon=True).start()
            await role(order, settings, ending, ready)
        else:
            end_alone(ending, settings.drain_delay_s, settings.stop_timeout_s)
            await _tell_manager(role, order, settings, ending, ready)

    uvloop.run(run())
    return 0


async def _tell_manager(
    role: Any, order: Order, settings: Any, ending: Ending, ready: Callable[[dict[str, Any]], None]
) -> None:
    """Run the role, and let the service manager know how it stands."""
    manager = ServiceManager()

    def answers(report: dict[str, Any]) -> None:
        ready(report)
        manager.ready(f"{order.process} is ready")

    async def tell_the_end() -> None:
        await ending.leaving.wait()
        manager.stopping()

    beside = [asyncio.create_task(manager.keep_beating()), asyncio.create_task(tell_the_end())]
    try:
        await role(order, settings, ending, answers)
    finally:
        for task in beside:
            task.cancel()


def _first_line() -> bytes:
    """The order. Read without a buffer: the lifeline's thread must not hold a lock when the interpreter ends."""
    line = b""
    while not line.endswith(b"\n") and (piece := os.read(0, 65_536)):
        line += piece
    return line


def _announce(report: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps({"ready": report}) + "\n")
    sys.stdout.flush()
    garbage.settle()


def die_with(parent: int) -> None:
    """Ask the kernel to end this process with its parent (Linux), and end now when it is gone already."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _watch_lifeline(loop: asyncio.AbstractEventLoop, ending: Ending, timeout_s: float) -> None:
    """Wait for the end of standard input; then stop in order, and after `timeout_s` without further asking."""
    while os.read(0, 1):
        pass
    if not loop.is_closed():
        loop.call_soon_threadsafe(ending.end)
    threading.Event().wait(timeout_s)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
