"""The faults of the soak, each a coroutine that returns when the process that it hit works again."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.chaos.run import Run

_POINTS = {
    "listener-0": ("intake.before_flush", "intake.after_flush", "mllp.before_ack", "mllp.after_ack"),
    "worker-0": ("worker.before_commit", "worker.after_commit", "worker.before_single", "delivery.after_send"),
    "worker-1": ("worker.before_batch", "delivery.before_send", "delivery.before_record", "delivery.after_record"),
}


async def kill_a_process(run: Run) -> None:
    """kill -9 of any role."""
    process = run.random.choice(list(run.hub.processes.values()))
    await process.kill()
    run.faults[f"kill -9 {process.name}"] += 1
    await process.start()


async def kill_at_a_point(run: Run) -> None:
    """A process is started anew with a crash point, dies there, and comes back."""
    name = run.random.choice(list(_POINTS))
    point = run.random.choice(_POINTS[name])
    process = run.hub.processes[name]
    await process.kill()
    await process.start(f"{point}:{run.random.randint(1, 50)}")
    await process.died(300)
    run.faults[point] += 1
    await process.start()


async def kill_the_database(run: Run) -> None:
    """kill -9 of PostgreSQL and its children; sometimes it stays away longer than the listener keeps trying."""
    run.hub.server.kill()
    run.faults["kill -9 postgres"] += 1
    await asyncio.sleep(run.random.choice((0.0, 0.5, 6.0)))
    await run.hub.server.start_again()


async def stop_a_worker(run: Run) -> None:
    """SIGSTOP of a worker at any moment, past its lease, then SIGCONT."""
    worker = run.random.choice(run.hub.workers)
    worker.signal(signal.SIGSTOP)
    run.faults["SIGSTOP past the lease"] += 1
    await asyncio.sleep(run.random.uniform(6.0, 15.0))
    worker.signal(signal.SIGCONT)


FAULTS: tuple[Callable[[Run], Awaitable[None]], ...] = (
    kill_a_process,
    kill_at_a_point,
    kill_the_database,
    stop_a_worker,
)


def memory_mb(pid: int) -> float:
    """Resident memory of a process; 0 when it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS")), 0.0)
