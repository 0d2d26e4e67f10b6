"""Phases are run against a server, ours or another: requests a second, milliseconds, CPU of every process of it."""

import asyncio
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from bench.fhir.phases import BY_NAME, Phase, World
from bench.fhir.wire import Server, ask_for
from bench.processes import cpu_s

Row = dict[str, Any]
Pids = Callable[[], Sequence[int]]


async def run(
    server: Server, world: World, phases: Iterable[Phase], pids: Pids, *, seconds: float, rounds: int
) -> list[Row]:
    """One row a phase and number of connections: the best of some rounds by CPU, or by requests where that is unknown."""
    best: dict[str, Row] = {}
    chosen = [(phase, connections) for phase in phases for connections in phase.connections]
    for _, (phase, connections) in itertools.product(range(rounds), chosen):
        row = await _round(server, world, phase, connections, pids, seconds)
        before = best.get(row["what"])
        if before is None or _cost(row) < _cost(before):
            best[row["what"]] = row
    return list(best.values())


async def run_beside(server: Server, world: World, seconds: float) -> Row:
    """What reads take while large transactions are carried, one after the other."""
    large, reads = BY_NAME["Synthea-like transaction of 1,020"], BY_NAME["read"]
    carried, measured = await asyncio.gather(
        ask_for(server, large.asks(world), 1, seconds), ask_for(server, reads.asks(world), 4, seconds)
    )
    return {
        "what": "read beside transactions of 1,020, 4 connections",
        "per_s": round(measured.per_s, 1),
        "p50_ms": round(measured.quantile(0.5), 2),
        "p99_ms": round(measured.quantile(0.99), 2),
        "cpu_ms": None,
        "budget_ms": None,
        "failed": measured.failed + carried.failed,
    }


def _cost(row: Row) -> float:
    return float(row["cpu_ms"]) if row["cpu_ms"] is not None else -float(row["per_s"])


async def _round(server: Server, world: World, phase: Phase, connections: int, pids: Pids, seconds: float) -> Row:
    asks: Iterator[Any] = phase.asks(world)
    await ask_for(server, itertools.islice(phase.asks(world), connections), connections, seconds)  # wakes what sleeps
    ours, before = list(pids()), cpu_s(*pids())
    measured = await ask_for(server, asks, connections, seconds)
    spent = cpu_s(*{*ours, *pids()}) - before
    done = len(measured.taken_ms) * phase.resources
    return {
        "what": f"{phase.name}, {connections} connection{'s' * (connections > 1)}",
        "per_s": round(measured.per_s * phase.resources, 1),
        "p50_ms": round(measured.quantile(0.5), 2),
        "p99_ms": round(measured.quantile(0.99), 2),
        "cpu_ms": round(spent / done * 1000, 3) if ours and done else None,
        "budget_ms": phase.budget_ms,
        "failed": measured.failed,
    }
