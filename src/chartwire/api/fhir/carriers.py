"""Large Bundles are carried by a process of their own, so that they hold up no other request.

The process has connections of its own and does all of it: reading, settling, writing, answering. What it is handed and
gives back are bytes. It is started by the first large Bundle, and ends when none came for a while, or with its owner.
"""

import asyncio
import multiprocessing
import os
import resource
import signal
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass

import uvloop

from chartwire.api.http import Answer, Request
from chartwire.api.problem import ApiError
from chartwire.core.access import Access
from chartwire.core.errors import TransientError
from chartwire.core.limits import (
    BUNDLE_BYTES_LARGE,
    BUNDLE_ENTRIES_LARGE,
    BUNDLES_WAITING_MAX,
    CARRIER_IDLE_S,
    CARRIER_MEMORY_MAX,
    CARRIER_NICENESS,
)

Carry = Callable[[Request], Awaitable[Answer]]
"""Answers a Bundle; what goes wrong is an answer too, since errors do not travel between processes."""
Prepare = Callable[[], AbstractAsyncContextManager[Carry]]
"""Opens what a carrier needs in its own process; it is handed over by pickling, so it is a function of a module."""


@dataclass(frozen=True, slots=True)
class Load:
    """A request as it is handed to a carrier."""

    path: str
    route: str
    headers: Mapping[bytes, bytes]
    content: bytes
    access: Access
    request_id: str
    trace_id: str
    client: str
    body_bytes_max: int

    @classmethod
    def of(cls, request: Request, content: bytes) -> "Load":
        """What a carrier needs of a request."""
        return cls(
            request.path,
            request.route,
            request.headers,
            content,
            request.access,
            request.request_id,
            request.trace_id,
            request.client,
            request.body_bytes_max,
        )

    def request(self) -> Request:
        """The request, as its carrier sees it."""
        request = Request({"method": "POST", "path": self.path, "headers": self.headers.items()}, _nothing_more)
        request.route, request.access, request.client = self.route, self.access, self.client
        request.request_id, request.trace_id = self.request_id, self.trace_id
        request.body_bytes_max = self.body_bytes_max
        request.fill(self.content, self.headers.get(b"content-type", b""))
        return request


def is_large(content: bytes, entries: int) -> bool:
    """Whether a Bundle is for a carrier."""
    return entries > BUNDLE_ENTRIES_LARGE or len(content) > BUNDLE_BYTES_LARGE


class Carriers:
    """At most `processes` carriers of one API process, started when they are needed. `close` them at the end."""

    def __init__(self, prepare: Prepare, processes: int = 1) -> None:
        self._prepare = prepare
        self._processes = processes
        self._executor: ProcessPoolExecutor | None = None
        self._under_way = 0
        self._free = asyncio.Semaphore(processes)
        self._rest: asyncio.TimerHandle | None = None

    async def carry(self, request: Request) -> Answer:
        """The answer to a large Bundle. Raises TransientError: too many wait (`carriers_busy`), or its carrier ended
        before it answered (`commit_unknown`)."""
        if self._under_way >= self._processes + BUNDLES_WAITING_MAX:
            raise ApiError("as many large Bundles wait as may", code="carriers_busy", error_class="transient")
        load = Load.of(request, await request.content())
        self._under_way += 1
        try:
            async with self._free:  # who waits is not in the executor: its end would be theirs
                return await self._carried(load)
        finally:
            self._under_way -= 1
            self._rest_later()

    async def close(self) -> None:
        """Let what is under way end, and the processes with it."""
        if self._rest is not None:
            self._rest.cancel()
        if self._executor is not None:
            await asyncio.to_thread(self._executor.shutdown, wait=True, cancel_futures=True)
            self._executor = None

    async def _carried(self, load: Load) -> Answer:
        executor = self._started()
        try:
            return await asyncio.get_running_loop().run_in_executor(executor, _carry, load)
        except BrokenProcessPool:
            if self._executor is executor:
                self._executor = None
            raise TransientError(
                "the process that carried the Bundle ended, perhaps after the commit", code="commit_unknown"
            ) from None

    def _started(self) -> ProcessPoolExecutor:
        if self._rest is not None:
            self._rest.cancel()
        if self._executor is None:
            context = multiprocessing.get_context("spawn")
            self._executor = ProcessPoolExecutor(self._processes, context, _begin, (self._prepare,))
        return self._executor

    def _rest_later(self) -> None:
        if not self._under_way:
            self._rest = asyncio.get_running_loop().call_later(CARRIER_IDLE_S, self._end_idle)

    def _end_idle(self) -> None:
        if self._executor is not None:
            self._executor.shutdown(wait=False)
            self._executor = None


# In the carrier's process ---------------------------------------------------------------------------------------------


class _Carrier:
    """What one carrier keeps between Bundles: its event loop, its connections."""

    def __init__(self, prepare: Prepare) -> None:
        self._runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        self._opened = AsyncExitStack()
        self._carry = self._runner.run(self._opened.enter_async_context(prepare()))

    def run(self, load: Load) -> Answer:
        return self._runner.run(self._answer(load))

    async def _answer(self, load: Load) -> Answer:
        return await self._carry(load.request())


_carriers: list[_Carrier] = []


def _begin(prepare: Prepare) -> None:
    """Make this process a carrier. Its owner ends it: signals to the whole group are for that. What a Bundle needs
    beyond the memory that it may have fails (MemoryError), before the machine looks for something to kill."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    os.nice(CARRIER_NICENESS)
    resource.setrlimit(resource.RLIMIT_DATA, (CARRIER_MEMORY_MAX, CARRIER_MEMORY_MAX))
    _carriers.append(_Carrier(prepare))


def _carry(load: Load) -> Answer:
    return _carriers[0].run(load)


async def _nothing_more() -> dict[str, object]:
    return {"type": "http.disconnect"}
