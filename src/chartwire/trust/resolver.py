"""Names to addresses: one question at a time per name, outside the event loop, remembered for seconds."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address

from chartwire.core.clock import monotonic
from chartwire.core.limits import OUTBOUND_DNS_CACHE_NAMES_MAX, OUTBOUND_DNS_CACHE_S, OUTBOUND_DNS_THREADS_MAX
from chartwire.trust.addresses import Address

Lookup = Callable[[str], Awaitable[list[Address]]]


class Resolver:
    """Asks `lookup` (default: the system resolver, which also reads `127.1` and `0x7f000001` as it dials them).

    A slow name server holds the callers of that name only: each name occupies one thread at most. Answers keep
    OUTBOUND_DNS_CACHE_S seconds; failures are not kept. Judging the addresses is the caller's, at every use.
    """

    def __init__(self, lookup: Lookup | None = None) -> None:
        self._threads = ThreadPoolExecutor(OUTBOUND_DNS_THREADS_MAX, thread_name_prefix="outbound-dns")
        self._lookup = lookup or self._ask_system
        self._known: dict[str, tuple[float, list[Address]]] = {}
        self._asking: dict[str, asyncio.Task[list[Address]]] = {}

    async def addresses(self, host: str) -> list[Address]:
        """Every address of `host`, at least one. Raises OSError when there is none."""
        known = self._known.get(host)
        if known is not None and known[0] > monotonic():
            return known[1]
        task = self._asking.get(host)
        if task is None:
            task = self._asking[host] = asyncio.create_task(self._ask(host))
            task.add_done_callback(lambda done: self._asked(host, done))
        return await asyncio.shield(task)

    def close(self) -> None:
        """Forget what is being asked; a thread that waits for a silent name server ends by the system's timeout."""
        for task in self._asking.values():
            task.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _ask(self, host: str) -> list[Address]:
        found = await self._lookup(host)
        if not found:
            raise OSError("the name has no address")
        if len(self._known) >= OUTBOUND_DNS_CACHE_NAMES_MAX:
            self._known.clear()
        self._known[host] = (monotonic() + OUTBOUND_DNS_CACHE_S, found)
        return found

    def _asked(self, host: str, task: asyncio.Task[list[Address]]) -> None:
        del self._asking[host]
        if not task.cancelled():
            task.exception()  # marks it as seen when every caller has given up waiting

    async def _ask_system(self, host: str) -> list[Address]:
        loop = asyncio.get_running_loop()
        rows = await loop.run_in_executor(self._threads, _system_rows, host)
        return list(dict.fromkeys(ip_address(row) for row in rows))


def _system_rows(host: str) -> list[str]:
    rows = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return [str(row[4][0]) for row in rows]
