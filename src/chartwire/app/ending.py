"""How a process ends: first it tells balancers that it leaves and goes on working, then it stops in order."""

import asyncio
import os
import signal
import threading

_HURRIED = 130


class Ending:
    """`leaving`: `/health/ready` answers 503, all else goes on. `stop`: take nothing more, finish what is in hand."""

    def __init__(self) -> None:
        self.leaving = asyncio.Event()
        self.stop = asyncio.Event()

    def leave(self) -> None:
        """Say so, and go on."""
        self.leaving.set()

    def end(self) -> None:
        """Stop in order, now."""
        self.leaving.set()
        self.stop.set()


def end_as_told(ending: Ending) -> None:
    """For a process whose supervisor decides when: SIGUSR1 to leave, SIGTERM to stop; SIGKILL comes when it must."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, ending.leave)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.end)


def end_alone(ending: Ending, delay_s: float, timeout_s: float) -> None:
    """For a process that stands alone: SIGTERM or SIGINT lets it leave, stop `delay_s` seconds later, and end as it is
    when that takes longer than `timeout_s`. A second signal ends it at once.
    """
    loop = asyncio.get_running_loop()

    def heard() -> None:
        if ending.leaving.is_set():
            os._exit(_HURRIED)
        ending.leave()
        loop.call_later(delay_s, ending.end)
        end_after(delay_s + timeout_s)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, heard)


def end_after(timeout_s: float) -> None:
    """End this process in `timeout_s` seconds, whatever it does then."""

    def wait() -> None:
        threading.Event().wait(timeout_s)
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
