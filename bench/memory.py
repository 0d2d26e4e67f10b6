"""Memory of each process of `chartwire up --sandbox`: idle, and over many messages; flat or rising.

The feed is held back while too many messages wait, so that every process works all the time. `python -m bench.memory
500000` measures longer than `make bench` does.
"""

import argparse
import asyncio
import time
from collections.abc import Sequence
from typing import Any

import uvloop

from bench.installation import Installation, counts, installation, open_messages
from bench.processes import rss_mb, server_mb
from bench.sender import Acks, Receiver, clinic_messages, send
from chartwire.store.pool import Pool

MESSAGES = 20_000
CONNECTIONS = 16
IDLE_S = 3.0
IDLE_TARGET_MB, LOAD_TARGET_MB = 200, 400
_WAITING_MAX = 600
_PORTION = 2_000
_LOOK_EVERY_S = 1.0
_SETTLE_TIMEOUT_S = 120.0


def rows(count: int = MESSAGES) -> list[dict[str, Any]]:
    """One row a process: MB idle, at the end and at most, and how much it rises over the second half of the run."""
    with installation() as running:
        return uvloop.run(_measure(running, count))


async def _measure(running: Installation, count: int) -> list[dict[str, Any]]:
    receiver, admin = Receiver(), running.admin()
    url = await receiver.serve()
    await asyncio.to_thread(running.only_endpoint, url)
    await asyncio.sleep(IDLE_S)
    idle = _sizes(running)
    watch = _Watch(running, admin)
    looking = asyncio.create_task(watch.look())
    began = time.perf_counter()
    for start in range(0, count, _PORTION):
        # Portions of a seed each: other people come, as in a year of a clinic.
        portion = clinic_messages(min(_PORTION, count - start), seed=100 + start, step_s=12)
        await send(running.mllp_port, portion, connections=CONNECTIONS, hold=watch.is_enough, acks=watch.acks)
    while watch.waiting and time.perf_counter() - began < count / 10 + _SETTLE_TIMEOUT_S:
        await asyncio.sleep(_LOOK_EVERY_S)
    spent = time.perf_counter() - began
    looking.cancel()
    found = await counts(admin, running.org)
    await admin.close()
    receiver.close()
    whole = {
        "name": f"{count} messages through everything",
        "per_s": round(count / spent),
        "webhooks_received": receiver.count,
        "dead": found.get("message dead", 0),
        "reviews": sum(number for name, number in found.items() if name.startswith("review")),
    }
    return [whole, *(_row(name, idle[name], watch.samples) for name in idle)]


def _row(name: str, idle_mb: float, samples: "list[tuple[int, dict[str, float]]]") -> dict[str, Any]:
    series = [(sent, sizes[name]) for sent, sizes in samples if name in sizes]
    late = series[len(series) // 2 :]
    return {
        "name": name,
        "idle_mb": round(idle_mb),
        "end_mb": round(series[-1][1]),
        "max_mb": round(max(size for _, size in series)),
        "rise_mb_per_10000": round(_slope(late) * 10_000, 1),
        "target_mb": f"{IDLE_TARGET_MB} idle, {LOAD_TARGET_MB} under load",
    }


def _slope(series: Sequence[tuple[int, float]]) -> float:
    """MB a message, by least squares."""
    if len(series) < 2:
        return 0.0
    mean_x = sum(x for x, _ in series) / len(series)
    mean_y = sum(y for _, y in series) / len(series)
    spread = sum((x - mean_x) ** 2 for x, _ in series)
    return sum((x - mean_x) * (y - mean_y) for x, y in series) / spread if spread else 0.0


class _Watch:
    """Looks every second at the processes and at how many messages wait."""

    def __init__(self, running: Installation, admin: Pool) -> None:
        self.acks = Acks()
        self.waiting = 0
        self.samples: list[tuple[int, dict[str, float]]] = []
        self._running, self._admin = running, admin

    def is_enough(self) -> bool:
        """Whether the feed is to pause: the worker has enough to do."""
        return self.waiting > _WAITING_MAX

    async def look(self) -> None:
        while True:
            self.waiting = await open_messages(self._admin, self._running.org)
            self.samples.append((len(self.acks.latencies_ms), _sizes(self._running)))
            await asyncio.sleep(_LOOK_EVERY_S)


def _sizes(running: Installation) -> dict[str, float]:
    sizes = {name: rss_mb(pid) for name, pid in running.roles().items()}
    return sizes | {"postgres, all processes, shared pages once": server_mb(running.postmaster)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("messages", type=int, nargs="?", default=MESSAGES)
    for row in rows(parser.parse_args().messages):
        print(row, flush=True)
