"""Changes of configuration in words, and as JSON."""

import json
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from chartwire.app.configuration.planning import Change

_MARKS = {"create": "+", "change": "~", "retire": "-"}


def changes_text(changes: Iterable[Change], last: str) -> str:
    """One line an object, and one below it for each member that changes; `last` where there are changes."""
    lines = list(_lines(changes))
    return "\n".join([*lines, last]) if lines else "nothing to change"


def change_row(change: Change) -> dict[str, Any]:
    """A change as JSON."""
    members = [{"member": one.member, "old": one.old, "new": one.new} for one in change.differences]
    return {"section": change.kind.section, "name": change.name, "action": change.action, "differences": members}


def _lines(changes: Iterable[Change]) -> Iterator[str]:
    for section, entries in groupby(changes, key=lambda change: change.kind.section):
        yield section
        for change in entries:
            yield f"  {_MARKS[change.action]} {change.name} ({change.action})"
            for one in change.differences:
                yield f"      {one.member}: {_shown(one.old)} -> {_shown(one.new)}"


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
