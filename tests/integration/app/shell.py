"""Commands as a person at the installation types them."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from chartwire.app.cli import main


class Shell:
    """Runs `chartwire ... --json`; answers what it printed."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *words: str, code: int = 0) -> Any:
        found = main([*words, "--json"])
        out, err = self._capsys.readouterr()
        assert found == code, f"{found}: {out}{err}"
        return json.loads(out)


def written(path: Path, **sections: Any) -> str:
    """A configuration file with these sections; its path."""
    path.write_text(yaml.safe_dump({"chartwire": 1, **sections}), encoding="utf-8")
    return str(path)
