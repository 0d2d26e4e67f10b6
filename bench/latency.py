"""How long answers take with everything running as `chartwire up --sandbox` runs it, one webhook endpoint included.

First the start: from the command on an empty data directory to the first ACK. Then a steady feed of 300 messages a
second, on which ACKs and webhooks are timed on one clock; then 64 connections that send as fast as they are answered.
"""

import asyncio
import statistics
import time
from typing import Any

import uvloop

from bench.installation import Installation, analyze, counts, installation, open_messages
from bench.processes import ServerClock, cpu_s, percentile
from bench.sender import Acks, Receiver, clinic_messages, send
from chartwire.store.pool import Pool

PER_S = 300
SECONDS = 20
CONNECTIONS = 16
SATURATION_CONNECTIONS = 64
SATURATION_MESSAGES = 15_000
_WARM_UP_MESSAGES = 1_500
_SETTLE_TIMEOUT_S = 90.0


def rows() -> list[dict[str, Any]]:
    """Start, ACK and webhook latencies at 300/s, ACK latency at saturation."""
    with installation() as running:
        start = {
            "name": "start on an empty data directory",
            "first_ack_s": round(running.first_ack_s, 2),
            "target_s": 15,
            "up_with_samples_s": round(running.up_s, 2),
        }
        return [start, *uvloop.run(_measure(running))]


async def _measure(running: Installation) -> list[dict[str, Any]]:
    receiver, admin = Receiver(), running.admin()
    url = await receiver.serve()
    await asyncio.to_thread(running.only_endpoint, url)
    steady = clinic_messages(_WARM_UP_MESSAGES + PER_S * SECONDS, seed=7, step_s=60 / PER_S)
    try:
        await send(running.mllp_port, steady[:_WARM_UP_MESSAGES], connections=CONNECTIONS, per_s=PER_S / 2)
        await _settle(admin, running, receiver)
        await analyze(admin)
        before, clock = len(receiver.arrivals), _Clock(running)
        used = clock.read()
        acks = await send(running.mllp_port, steady[_WARM_UP_MESSAGES:], connections=CONNECTIONS, per_s=PER_S)
        settled_s = await _settle(admin, running, receiver)
        cost = {name: round((s - used[name]) / len(acks.at) * 1e3, 3) for name, s in clock.read().items()}
        found = [_ack_row(acks, settled_s), _webhook_row(acks, receiver.arrivals[before:])]
        found.append({"name": f"CPU a message at {PER_S}/s, webhooks included, ms", **cost})
        found.append(await _saturated(running.mllp_port))
        return found
    finally:
        receiver.close()
        await admin.close()


class _Clock:
    """CPU seconds so far by role; `bench` is this process: sender and receiver."""

    def __init__(self, running: Installation) -> None:
        self._roles = running.roles()
        self._server = ServerClock(running.postmaster)

    def read(self) -> dict[str, float]:
        used = {name: cpu_s(pid) for name, pid in self._roles.items()}
        return used | {"postgres": self._server.cpu_s(), "bench": time.process_time()}


def _ack_row(acks: Acks, settled_s: float) -> dict[str, Any]:
    return {
        "name": f"ACK at {PER_S}/s",
        "per_s": round(len(acks.latencies_ms) / acks.seconds),
        "p50_ms": round(percentile(acks.latencies_ms, 0.5), 1),
        "p99_ms": round(percentile(acks.latencies_ms, 0.99), 1),
        "target_p99_ms": 25,
        "settled_after_s": round(settled_s, 1),
    }


def _webhook_row(acks: Acks, arrivals: list[tuple[bytes, float]]) -> dict[str, Any]:
    """Every webhook counts, not only the first of its message."""
    waits = [(at - acks.at[message]) * 1e3 for message, at in arrivals if message in acks.at]
    told = {message for message, _ in arrivals if message in acks.at}
    return {
        "name": f"ACK to webhook at {PER_S}/s",
        "webhooks_per_message": round(len(waits) / len(acks.at), 2),
        "messages_told": len(told),
        "p50_ms": round(percentile(waits, 0.5), 1),
        "p99_ms": round(percentile(waits, 0.99), 1),
        "target_p50_ms": 100,
        "target_p99_ms": 500,
        "mean_ms": round(statistics.fmean(waits), 1) if waits else 0.0,
    }


async def _saturated(port: int) -> dict[str, Any]:
    crowd = clinic_messages(SATURATION_MESSAGES, seed=8, step_s=0.2)
    acks = await send(port, crowd, connections=SATURATION_CONNECTIONS)
    return {
        "name": f"ACK at saturation, {SATURATION_CONNECTIONS} connections, every process running",
        "per_s": round(len(acks.latencies_ms) / acks.seconds),
        "p50_ms": round(percentile(acks.latencies_ms, 0.5), 1),
        "p99_ms": round(percentile(acks.latencies_ms, 0.99), 1),
        "target_p99_ms": 100,
    }


async def _settle(admin: Pool, running: Installation, receiver: Receiver) -> float:
    """Wait until every message is processed and every webhook delivered; answers the seconds it took."""
    began = time.perf_counter()
    while time.perf_counter() - began < _SETTLE_TIMEOUT_S:
        if not await open_messages(admin, running.org):
            found = await counts(admin, running.org)
            if not found.get("delivery pending") and not found.get("delivery retrying"):
                return time.perf_counter() - began
        await asyncio.sleep(0.1)
    raise AssertionError(f"not settled, {receiver.count} webhooks came")


if __name__ == "__main__":
    for row in rows():
        print(row)
