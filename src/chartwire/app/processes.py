"""Child processes that are kept running: started, watched, started again with a growing pause, ended in order."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import structlog

from chartwire.app.child import Order
from chartwire.core.clock import monotonic
from chartwire.core.errors import TransientError
from chartwire.core.telemetry import Counter

READY_TIMEOUT_S = 60.0
_BACKOFF_FIRST_S, _BACKOFF_MAX_S = 0.1, 10.0
_STEADY_S = 60.0
_STARTS_MAX = 3
_TAIL_BYTES = 8192
_LOG_BYTES_MAX = 16 * 1024 * 1024
_log = structlog.get_logger(__name__)
_restarts = Counter("chartwire_process_restarts_total", "Processes that ended and were started again.", ("name",))


class KeptProcess:
    """One child that is to run until `stop`. `ready` is set while it answers; `report` is what it said then."""

    def __init__(self, order: Order, log: Path) -> None:
        self.order = order
        self.ready = asyncio.Event()
        self._hopeless = asyncio.Event()
        self.report: dict[str, Any] = {}
        self.restarts = 0
        self._log_path = log
        self._process: asyncio.subprocess.Process | None = None
        self._ending = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        running = self._process is not None and self._process.returncode is None
        return self._process.pid if running and self._process else None

    def start(self) -> None:
        """Begin keeping it running."""
        self._task = asyncio.get_running_loop().create_task(self._keep())

    async def wait_ready(self) -> None:
        """Wait until it answers. Raises TransientError (`role_failed`) that says why not, as far as its log tells."""
        waiting = {asyncio.create_task(event.wait()) for event in (self.ready, self._hopeless)}
        done, pending = await asyncio.wait(waiting, timeout=READY_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        if not self.ready.is_set():
            what = "ended again and again" if done else f"did not answer within {READY_TIMEOUT_S:.0f} s"
            raise TransientError(
                f"{self.order.process} {what}: {_last_words(self._log_path)}; see {self._log_path}", code="role_failed"
            )

    async def stop(self, timeout_s: float) -> None:
        """SIGTERM, then SIGKILL after `timeout_s`; not started again."""
        self._ending.set()
        self.signal(signal.SIGTERM)
        if self._task is not None:
            done, _ = await asyncio.wait({self._task}, timeout=timeout_s)
            if not done:
                _log.warning("process_killed", name=self.order.process, timeout_s=timeout_s)
                self.signal(signal.SIGKILL)
                await asyncio.wait({self._task}, timeout=5)
                self._task.cancel()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if it runs."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    def kill(self) -> None:
        """End it now, without asking; not started again."""
        self._ending.set()
        self.signal(signal.SIGKILL)

    async def _keep(self) -> None:
        backoff_s = _BACKOFF_FIRST_S
        while not self._ending.is_set():
            began = monotonic()
            code = await self._run_once()
            self.ready.clear()
            if self._ending.is_set():
                return
            if monotonic() - began > _STEADY_S:
                backoff_s = _BACKOFF_FIRST_S
            self.restarts += 1
            _restarts.add(1, self.order.process)
            if not self.report and self.restarts >= _STARTS_MAX:
                self._hopeless.set()
            _log.error(
                "process_ended", name=self.order.process, exit_code=code, restarts=self.restarts, delay_s=backoff_s
            )
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), backoff_s)
            backoff_s = min(backoff_s * 2, _BACKOFF_MAX_S)

    async def _run_once(self) -> int:
        _rotate(self._log_path)
        with self._log_path.open("ab") as log:
            self._process = process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "chartwire.app.child",
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=log,
                start_new_session=True,  # Ctrl-C is for the supervisor, which ends its children in order
                env=_environment(first=self.restarts == 0),
            )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(ConnectionError):
            process.stdin.write(json.dumps(asdict(self.order)).encode() + b"\n")
            await process.stdin.drain()
        if self._ending.is_set():
            process.terminate()
        while line := await process.stdout.readline():
            self._hear(line)
        code = await process.wait()
        process.stdin.close()
        return code

    def _hear(self, line: bytes) -> None:
        try:
            self.report = json.loads(line)["ready"]
        except (ValueError, KeyError, TypeError):
            return
        self.ready.set()


def _rotate(log: Path) -> None:
    """Put a large log aside, over the one put aside before: two files of bounded size are kept."""
    if log.exists() and log.stat().st_size > _LOG_BYTES_MAX:
        log.replace(log.with_suffix(".log.1"))


def _last_words(log: Path) -> str:
    """The reason that the last line of a child's log gives, or its kind of error."""
    try:
        lines = log.read_bytes()[-_TAIL_BYTES:].splitlines()
        told = json.loads(lines[-1])
    except (OSError, IndexError, ValueError):
        return "it left no reason"
    return str(told.get("reason") or told.get("exception") or told.get("event"))


async def stop_in_order(groups: list[list[KeptProcess]], timeout_s: float, tell: Callable[[str], None]) -> None:
    """End group after group, the members of one together."""
    for group in groups:
        if group:
            tell("stopping " + ", ".join(kept.order.process for kept in group))
            await asyncio.gather(*(kept.stop(timeout_s) for kept in group))


def _environment(*, first: bool) -> dict[str, str]:
    """The parent's, without settings: those come with the order, secrets through the pipe. A crash point hits once."""
    kept = ("CHARTWIRE_PG_BIN", "CHARTWIRE_PG_USER") + (("CHARTWIRE_CRASHPOINT",) if first else ())
    return {name: value for name, value in os.environ.items() if name in kept or not name.startswith("CHARTWIRE_")}
