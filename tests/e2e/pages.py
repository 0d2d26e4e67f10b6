"""The shell blocks of a page, run as a reader would: one after the other, in one shell.

A block in a fence ```sh is run. The fence ```text right behind it is what it prints, where `...` stands for anything.
`sh fails`: a command of it is meant to fail; otherwise none may. `sh first-terminal`: what the harness has done before.
"""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_FENCE = re.compile(r"^```(sh(?: [a-z-]+)*|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SETUP = """set -E -o pipefail
trap 'FAILED="$FAILED [$BASH_COMMAND]"' ERR
"""


@dataclass(frozen=True, slots=True)
class Block:
    """One fence: where it begins, its words behind `sh`, its commands, what they are said to print (None: not said)."""

    line: int
    words: frozenset[str]
    commands: str
    printed: str | None


def blocks(page: str) -> list[Block]:
    """The shell blocks of a page in order."""
    found: list[Block] = []
    end = 0
    for fence in _FENCE.finditer(page):
        info, text = fence.groups()
        if info != "text":
            line = page.count("\n", 0, fence.start()) + 2
            found.append(Block(line, frozenset(info.split()[1:]), text, None))
        elif found and not page[end : fence.start()].strip():
            last = found.pop()
            found.append(Block(last.line, last.words, last.commands, text))
        end = fence.end()
    return found


def fits(printed: str, expected: str) -> bool:
    """Whether a text is the expected one; `...` stands for anything, blanks at line ends for nothing."""
    pattern = ".*".join(re.escape(part) for part in _trimmed(expected).split("..."))
    return re.fullmatch(pattern, _trimmed(printed), re.DOTALL) is not None


def _trimmed(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


class Shell:
    """A bash that keeps its variables and functions from block to block."""

    def __init__(self, directory: Path, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=directory,
            env=environment,
            text=True,
        )
        self._send(_SETUP)

    def run(self, commands: str) -> tuple[str, str]:
        """What the commands print on both outputs, and which of them failed."""
        mark = "= the block has ended ="
        self._send(f"FAILED=\n{{\n{commands}\n}} </dev/null\nprintf '\\n%s\\n%s\\n' '{mark}' \"$FAILED\"\n")
        lines: list[str] = []
        while (line := self._output.readline()) and line.rstrip("\n") != mark:
            lines.append(line)
        assert line, f"the shell ended: {''.join(lines)}"
        return "".join(lines), self._output.readline().strip()

    def close(self) -> None:
        """End the shell."""
        self._process.communicate()

    @property
    def _output(self) -> IO[str]:
        assert self._process.stdout is not None
        return self._process.stdout

    def _send(self, text: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(text)
        self._process.stdin.flush()
