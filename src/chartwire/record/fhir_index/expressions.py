"""The expressions of search parameters, as far as they are chains: members, types and conditions, one after the other.

Nearly all are (R4 and US Core: all but `Patient.deceased.exists() and ...`); the rest is left to FHIRPath. A union is
several chains.
"""

import re
from dataclasses import dataclass
from typing import Literal

StepKind = Literal["member", "type", "extension", "equals", "has-extension", "resolves"]

_AS = re.compile(r"(.+) as ([A-Za-z]\w*)")
_STEPS: tuple[tuple[StepKind, re.Pattern[str]], ...] = (
    ("type", re.compile(r"(?:as|ofType)\(([A-Za-z]\w*)\)")),
    ("extension", re.compile(r"extension\('([^']+)'\)")),
    ("resolves", re.compile(r"where\(resolve\(\) is ([A-Z]\w*)\)")),
    ("has-extension", re.compile(r"where\(hasExtension\('([^']+)'\)\)")),
    ("equals", re.compile(r"where\((\w+ ?= ?'[^']*')\)")),
    ("member", re.compile(r"([A-Za-z]\w*)")),
)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a chain; `word` is the member, type or address; `equals` has the member in `word` and a `value`."""

    kind: StepKind
    word: str
    value: str = ""


Chain = tuple[Step, ...]


def alternatives(expression: str) -> list[str]:
    """The parts of a union; one where there is none."""
    return [part.strip() for part in _split(expression, "|")]


def chain_of(expression: str) -> Chain | None:
    """The steps of an expression without union; None for what is no chain."""
    text = expression.strip()
    if match := _AS.fullmatch(text):
        inner = chain_of(match[1])
        return inner and (*inner, Step("type", match[2]))
    steps: list[Step] = []
    for position, piece in enumerate(_split(text, ".")):
        inner = chain_of(piece[1:-1]) if position == 0 and piece.startswith("(") else _step(piece)
        if inner is None:
            return None
        steps += inner
    return tuple(steps)


def _step(piece: str) -> Chain | None:
    for kind, pattern in _STEPS:
        if match := pattern.fullmatch(piece):
            word, _, value = match[1].partition("=") if kind == "equals" else (match[1], "", "")
            return (Step(kind, word.strip(), value.strip().strip("'")),)
    return None


def _split(text: str, separator: str) -> list[str]:
    """Cut at a separator that stands in no bracket and no quotes."""
    pieces, depth, quoted = [""], 0, False
    for letter in text:
        if letter == "'":
            quoted = not quoted
        elif not quoted:
            depth += (letter == "(") - (letter == ")")
            if letter == separator and depth == 0:
                pieces.append("")
                continue
        pieces[-1] += letter
    return pieces
