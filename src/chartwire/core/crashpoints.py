"""Named points where a test may kill the process: before and after every commit, send and ACK.

`CHARTWIRE_CRASHPOINT=name` or `name:17` (the 17th passage) makes that point end the process as kill -9 would.
Outside tests the variable is absent and a point costs one dictionary look-up.
"""

import os
import signal

_wanted, _, _nth = os.environ.get("CHARTWIRE_CRASHPOINT", "").partition(":")
_passages_left = {_wanted: int(_nth or 1)} if _wanted else {}


def hit(name: str) -> None:
    """Pass the point `name`; the process dies here by SIGKILL when a test asked for it."""
    if name in _passages_left:
        _passages_left[name] -= 1
        if _passages_left[name] <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
