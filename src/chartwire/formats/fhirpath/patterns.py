"""Which regular expressions of users may run: those that cannot backtrack without end.

Python's engine backtracks. Its time stays polynomial, of a low degree, where no repeated group holds another repetition
or a choice, and few repetitions are open-ended; with the short subjects of meter.py that is milliseconds.
"""

import re

from chartwire.formats.fhirpath.syntax import FhirPathError

LOOPS_MAX = 2
"""Open-ended repetitions, one more where the pattern begins with `^`."""
_SHORT_REPEAT = 9
_PART = re.compile(
    r"""
    (?P<escape>\\.)
  | (?P<set>\[\^?\]?(?:\\.|[^\]\\])*\])
  | (?P<open>\((?:\?:)?(?!\?))
  | (?P<close>\))
  | (?P<choice>\|)
  | (?P<repeat>[*+?]\??|\{\d{1,4}(?:,\d{0,4})?\}\??)
  | (?P<plain>[^\\\[\](){}*+?|])
    """,
    re.VERBOSE | re.DOTALL,
)


def check_pattern(pattern: str, position: int) -> None:
    """Raise FhirPathError for a pattern of a kind that may run without end; `position` is where it stands."""
    groups, loops, at = [False], 0, 0
    inner = False
    while at < len(pattern):
        part = _PART.match(pattern, at)
        if part is None or (part.lastgroup == "escape" and part[0][1] in "123456789"):
            raise _refused("may have sets, groups, choices and repetitions only", position)
        at = part.end()
        if part.lastgroup == "open":
            groups.append(False)
        elif part.lastgroup == "choice":
            groups[-1] = True
        elif part.lastgroup == "close":
            inner = _closed(groups, position)
            continue
        elif part.lastgroup == "repeat":
            times = _times(part[0])
            if inner and times > 1:
                raise _refused("must not repeat a group that holds a repetition or a choice", position)
            groups[-1] = groups[-1] or times > 1
            loops += times > _SHORT_REPEAT
        inner = False
    if loops > LOOPS_MAX + pattern.startswith("^"):
        raise _refused(f"must not have more than {LOOPS_MAX} long repetitions", position)


def _closed(groups: list[bool], position: int) -> bool:
    """Whether the group that ends here holds a repetition or a choice; the group around it then does too."""
    if len(groups) == 1:
        raise _refused("closes a group that it did not open", position)
    held = groups.pop()
    groups[-1] = groups[-1] or held
    return held


def _times(repeat: str) -> int:
    """The most times that a repetition allows; an open end counts as many."""
    sign = repeat.rstrip("?") or "?"
    if sign[0] in "*+":
        return 1_000_000
    if sign[0] == "?":
        return 1
    least, comma, most = sign[1:-1].partition(",")
    return int(most or 1_000_000) if comma else int(least)


def _refused(rule: str, position: int) -> FhirPathError:
    return FhirPathError(f"the pattern {rule}", position=position, code="fhirpath_pattern")
