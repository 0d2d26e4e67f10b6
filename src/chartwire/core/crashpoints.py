"""Named points where a test may kill, stop or break a process: before and after every commit, send and ACK.

`CHARTWIRE_CRASHPOINT` names one point, when it hits, and how:

    name            the first passage ends the process as kill -9 would
    name:17         the 17th passage does
    name@text       each passage whose subject (a message's bytes) holds the text does: a message that kills
    name:17!stop    the process stands still there (SIGSTOP) until something continues it
    name@text!raise the passage raises CrashpointError: a fault of Chartwire that one message brings out

Outside tests the variable is absent and a point costs one dictionary look-up.
"""

import os
import signal

_told, _, _action = os.environ.get("CHARTWIRE_CRASHPOINT", "").partition("!")
_told, _, _marker = _told.partition("@")
_wanted, _, _nth = _told.partition(":")
_subject_holds = _marker.encode()
_passages_left = {_wanted: int(_nth or 1)} if _wanted else {}


class CrashpointError(Exception):
    """The fault that a test asked for."""


def hit(name: str, subject: bytes = b"") -> None:
    """Pass the point `name` with what is being worked on. Raises CrashpointError where a test asked for that."""
    if name in _passages_left and _subject_holds in subject:
        _passages_left[name] -= 1
        if _passages_left[name] == 0:
            _passages_left[name] = 1 if _marker else 0
            _act()


def _act() -> None:
    if _action == "raise":
        raise CrashpointError
    os.kill(os.getpid(), signal.SIGSTOP if _action == "stop" else signal.SIGKILL)
