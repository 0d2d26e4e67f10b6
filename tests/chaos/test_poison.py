"""Poison beside good messages: it ends as a dead letter with its reason, and holds up nobody else."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from tests.chaos.hub import Hub, Process, Server
from tests.chaos.population import Message, Population
from tests.chaos.run import Run, limit_s, times
from tests.chaos.senders import Sender
from tests.conftest import Database

from chartwire.core.limits import LANE_ATTEMPTS_MAX

_DEADLY = "KILLS-ITS-READER"
_BREAKING = "BREAKS-ITS-READER"


@pytest.mark.timeout(limit_s(180))
async def test_a_message_that_kills_its_worker_each_time_is_buried_and_the_others_go_on(
    durable_server: Server, database: Database, tmp_path: Path, seed: int
) -> None:
    async with Hub(durable_server, database, tmp_path) as hub:
        run = Run("a message that kills", hub, seed)
        run.add_senders(1, 1, 8)
        deadly = _poison(run, f"Chaos^{_DEADLY}")
        buried = asyncio.Event()

        async def keep(worker: Process) -> None:
            """Start a worker again whenever the poison has killed it, as the supervisor does."""
            while True:
                await worker.start(f"worker.before_read@{_DEADLY}")
                dying = asyncio.create_task(worker.died(600))
                done = asyncio.create_task(buried.wait())
                await asyncio.wait({dying, done}, return_when=asyncio.FIRST_COMPLETED)
                if not dying.done():
                    dying.cancel()
                    return
                await dying
                run.faults["worker killed by a message"] += 1

        await hub.start("listener-0")
        keepers = [asyncio.create_task(keep(hub.add(name))) for name in ("worker-0", "worker-1")]
        async with run.traffic():
            await run.acked(20)
            await _send(run, deadly)
            before = await _processed(hub)
            state = "select state || ' ' || coalesce(error_code, '') from message where control_id = $1"
            async with asyncio.timeout(90):
                while await hub.value(state, deadly.control_id) != "dead attempts_exhausted":
                    await asyncio.sleep(0.05)
            assert await _processed(hub) > before, "good messages were carried while the poison was about"
            buried.set()
            await asyncio.gather(*keepers)
            await run.acked(20)
        run.dead.add(deadly.control_id)
        await run.end()
        assert run.faults["worker killed by a message"] == LANE_ATTEMPTS_MAX


@pytest.mark.timeout(limit_s(120))
async def test_messages_that_break_the_code_or_its_maps_are_buried_and_take_no_other_of_their_batch_along(
    durable_server: Server, database: Database, tmp_path: Path, seed: int
) -> None:
    async with Hub(durable_server, database, tmp_path) as hub:
        run = Run("messages that break the code or its maps", hub, seed)
        run.add_senders(1, 1, 8)
        points = dict.fromkeys(("worker-0", "worker-1"), f"worker.before_read@{_BREAKING}!raise")
        await hub.start("listener-0", *points, crashpoints=points)
        reasons = {}
        async with run.traffic():
            for number in range(times(6, 1000)):
                await run.acked(15)
                bad = _poison(run, f"Chaos^{_BREAKING}") if number % 2 else _merge_without_loser(run)
                reasons[bad.control_id] = "internal_error" if number % 2 else "merge_identifier_missing"
                await _send(run, bad)
                run.faults["message that breaks its reader" if number % 2 else "message without a map"] += 1
        run.dead.update(reasons)
        await run.end()
        found = await hub.rows("select control_id, error_code from message where state = 'dead'")
        assert {row["control_id"]: row["error_code"] for row in found} == reasons


def _poison(run: Run, name: str) -> Message:
    """A registration under a number of its own, whose bearer has this name."""
    message = Population(run.random.getrandbits(24)).message("ADT^A04", f"BAD{run.random.getrandbits(24)}")
    return replace(message, data=message.data.replace(b"Chaos^Casey", name.encode()))


def _merge_without_loser(run: Run) -> Message:
    """A merge that passes the door and that no map can read."""
    return Population(run.random.getrandbits(24)).message("ADT^A40", f"BAD{run.random.getrandbits(24)}")


async def _send(run: Run, message: Message) -> None:
    """Send one message on a connection of its own, until it is answered."""
    sender = Sender(run.hub.mllp_port, iter([message]), run.seed, pause_s=0.0)
    await sender.run(asyncio.Event())
    run.extra += sender.log


async def _processed(hub: Hub) -> int:
    return int(await hub.value("select count(*) from message where state = 'processed'"))
