"""What the service manager is told: sd_notify(3) and its watchdog, without a library.

systemd names a datagram socket in NOTIFY_SOCKET (`@` stands for an abstract one) and, for a watchdog, WATCHDOG_USEC and
WATCHDOG_PID. Where it does not, nothing is sent. The variables are taken away from the environment, so that children
do not speak in our name.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import MutableMapping

_BEATS_PER_TERM = 3
_US = 1_000_000


class ServiceManager:
    """The one who started this process, if it wants to be told."""

    def __init__(self, environ: MutableMapping[str, str] | None = None) -> None:
        told = os.environ if environ is None else environ
        self._address = told.pop("NOTIFY_SOCKET", "")
        term_us, whose = told.pop("WATCHDOG_USEC", ""), told.pop("WATCHDOG_PID", "")
        ours = not whose or whose == str(os.getpid())
        self._beat_s = int(term_us) / _US / _BEATS_PER_TERM if term_us.isdigit() and ours else 0.0

    def ready(self, status: str) -> None:
        """Everything answers now."""
        self._tell("READY=1", f"STATUS={status}")

    def status(self, sentence: str) -> None:
        """What it is busy with, for `systemctl status`."""
        self._tell(f"STATUS={sentence}")

    def stopping(self) -> None:
        """It ends, as it was told."""
        self._tell("STOPPING=1")

    async def keep_beating(self) -> None:
        """Show life as often as the watchdog wants, while the event loop turns; return at once where there is none."""
        while self._beat_s:
            self._tell("WATCHDOG=1")
            await asyncio.sleep(self._beat_s)

    def _tell(self, *lines: str) -> None:
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        text = "\n".join(line.replace("\n", " ") for line in lines)
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as speaking:
            speaking.sendto(text.encode(), socket.MSG_DONTWAIT, address)
