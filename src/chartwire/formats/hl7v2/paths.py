"""The path language for one value: `SEG(occurrence)-field(repetition).component.subcomponent`, counted from 1."""

import re
from functools import lru_cache
from typing import NamedTuple

from chartwire.core.errors import ParseError

_PATH = re.compile(
    r"(?P<segment>[A-Z][A-Z0-9]{2})(?:\((?P<occurrence>[1-9]\d{0,5})\))?"
    r"-(?P<field>[1-9]\d{0,5})(?:\((?P<repetition>[1-9]\d{0,6})\))?"
    r"(?:\.(?P<component>[1-9]\d{0,6})(?:\.(?P<sub>[1-9]\d{0,6}))?)?"
)
_STEPS = (
    re.compile(r"[A-Z][A-Z0-9]{2}"),
    re.compile(r"(?:\([1-9]\d{0,5}\))?"),
    re.compile(r"-[1-9]\d{0,5}"),
    re.compile(r"(?:\([1-9]\d{0,6}\))?"),
    re.compile(r"(?:\.[1-9]\d{0,6}){0,2}"),
)


class Path(NamedTuple):
    """A compiled path; a part that was not written is 1, so `PID-5` is `PID(1)-5(1).1.1` (as in HAPI's Terser)."""

    segment: str
    occurrence: int
    field: int
    repetition: int
    component: int
    sub: int


@lru_cache(maxsize=4096)
def compile_path(text: str) -> Path:
    """The Path of `text`. Raises ParseError `bad_path`, with the position (characters) where reading stopped."""
    match = _PATH.fullmatch(text)
    if match is None:
        raise ParseError("not a path of the form SEG(n)-field(n).component.subcomponent", code="bad_path",
                         position=_reads_until(text), location="path")  # fmt: skip
    parts = match.groupdict(default="1")
    return Path(
        parts["segment"],
        int(parts["occurrence"]),
        int(parts["field"]),
        int(parts["repetition"]),
        int(parts["component"]),
        int(parts["sub"]),
    )


def _reads_until(text: str) -> int:
    position = 0
    for step in _STEPS:
        match = step.match(text, position)
        if match is None:
            break
        position = match.end()
    return position
