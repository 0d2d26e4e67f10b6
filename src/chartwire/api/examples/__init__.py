"""Examples of the API: a story of requests (`story.yaml`, written by hand) and the answers that it got (`answers.json`,
recorded by the test that plays the story against a real database).

A step names an operation and gives what goes into its path, query and body; `keep` names values of the answer for later
steps, which write them `$name`. The test fails where an answer's status or shape is no longer what was recorded.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

_NAME = re.compile(r"\$([a-z_]+)")


@dataclass(frozen=True, slots=True)
class Step:
    """One request of the story; path, query and body may hold `$name`. `keep` leads from names to JSON pointers;
    `status` is what comes, where that is not the operation's usual one."""

    operation: str
    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    keep: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int = 0


@dataclass(frozen=True, slots=True)
class Example:
    """A step with its names filled in, and the answer that it got; None for one without content."""

    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Any
    answer: Any


@cache
def story() -> tuple[Step, ...]:
    """The steps, in the order in which they are played."""
    told = yaml.safe_load(_file("story.yaml"))
    return tuple(Step(**step) for step in told)


@cache
def examples() -> Mapping[str, Example]:
    """The example of each operation that has one: its first step in the story."""
    recorded: dict[str, Any] = json.loads(_file("answers.json"))
    values, answers = recorded["values"], recorded["answers"]
    found: dict[str, Example] = {}
    for step in story():
        if step.operation in answers and step.operation not in found:
            path, query, body = (filled(part, values) for part in (step.path, step.query, step.body))
            found[step.operation] = Example(path, query, body, answers[step.operation])
    return found


def filled(told: Any, values: Mapping[str, Any]) -> Any:
    """`told` with every `$name` replaced by its value. Raises KeyError for a name that no step kept."""
    if isinstance(told, str):
        whole = _NAME.fullmatch(told)
        return values[whole[1]] if whole else _NAME.sub(lambda found: str(values[found[1]]), told)
    if isinstance(told, Mapping):
        return {name: filled(value, values) for name, value in told.items()}
    if isinstance(told, list):
        return [filled(value, values) for value in told]
    return told


def _file(name: str) -> str:
    return files("chartwire.api.examples").joinpath(name).read_text("utf-8")
