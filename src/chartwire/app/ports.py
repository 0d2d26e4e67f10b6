"""Ports for `chartwire up`: chosen before its processes start, so that a restarted one comes back where it was."""

import socket
from dataclasses import dataclass

from chartwire.core.errors import ConflictError


@dataclass(frozen=True, slots=True)
class Wanted:
    """One port that is needed. `port` 0 takes any free one; `preferred` is tried first then; `option` sets it."""

    name: str
    host: str
    port: int
    option: str = ""
    preferred: int = 0


def choose(wanted: list[Wanted]) -> dict[str, int]:
    """A free port for each name. Raises ConflictError (`port_taken`) that says which option mends it."""
    held: list[socket.socket] = []
    chosen: dict[str, int] = {}
    try:
        for want in wanted:
            taken = _hold_any(want) if want.port == 0 else _hold(want, want.port)
            held.append(taken)
            chosen[want.name] = int(taken.getsockname()[1])
    finally:
        for one in held:
            one.close()
    return chosen


def _hold_any(want: Wanted) -> socket.socket:
    if want.preferred:
        try:
            return _bound(want.host, want.preferred)
        except OSError:
            return _bound(want.host, 0)
    return _bound(want.host, 0)


def _hold(want: Wanted, port: int) -> socket.socket:
    try:
        return _bound(want.host, port)
    except OSError as error:
        hint = f"; choose another by {want.option}, 0 for any free one" if want.option else ""
        raise ConflictError(
            f"port {port} on {want.host} is not to be had for {want.name} ({error.strerror}){hint}", code="port_taken"
        ) from None


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    held = socket.socket(family, socket.SOCK_STREAM)
    try:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind((host, port))
        if port:
            held.listen(1)  # with SO_REUSEADDR alone, bind succeeds beside a listener on some systems
    except BaseException:
        held.close()
        raise
    return held
