"""JSON from a template: a .yaml beside the channel, with `$name` where a fact goes. Pure.

An empty fact is left out with all that names it: a member of a mapping, or a whole entry of a list. What is empty then
goes too.
"""

import re
from collections.abc import Callable, Mapping
from functools import cache
from importlib import resources
from typing import Any, Final

import yaml

_FACT: Final = re.compile(r"\$([a-z_]+)")
_ABSENT: Final = object()


@cache
def template(name: str) -> Any:
    """The template in `<name>.yaml`."""
    return yaml.safe_load(resources.files(__package__).joinpath(f"{name}.yaml").read_text("utf-8"))


def filled(shape: Any, facts: Mapping[str, str], escape: Callable[[str], str] = str) -> dict[str, Any]:
    """The JSON of a template, a mapping. `escape` makes a fact plain text in the receiver's markup. Raises KeyError for
    a fact that is not known."""
    made: dict[str, Any] = _filled(shape, {name: escape(fact) for name, fact in facts.items()})
    return made


def _filled(shape: Any, facts: Mapping[str, str]) -> Any:
    if isinstance(shape, dict):
        members = {name: _filled(value, facts) for name, value in shape.items()}
        return {name: value for name, value in members.items() if value is not _ABSENT} or _ABSENT
    if isinstance(shape, list):
        entries = [_filled(entry, facts) for entry in shape if not _lacks(entry, facts)]
        return [entry for entry in entries if entry is not _ABSENT] or _ABSENT
    return _text(shape, facts) if isinstance(shape, str) else shape


def _lacks(entry: Any, facts: Mapping[str, str]) -> bool:
    """Whether an entry of a list would lose a member."""
    return isinstance(entry, dict) and any(_filled(value, facts) is _ABSENT for value in entry.values())


def _text(text: str, facts: Mapping[str, str]) -> Any:
    named = _FACT.findall(text)
    if any(not facts[name] for name in named):
        return _ABSENT
    return _FACT.sub(lambda found: facts[found[1]], text)
