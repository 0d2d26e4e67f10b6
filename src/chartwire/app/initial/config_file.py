"""The settings file of an installation: only what differs from the defaults, each with what it means."""

import json
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chartwire.app.knobs import KNOBS

_WIDTH = 100
_HEAD = """\
# Settings of this Chartwire installation, made by `chartwire init`. All settings: /docs/guide/reference/settings.
# `chartwire config check --config FILE` tells what is in force; a change holds from the next start.
"""


def render(values: Mapping[str, Any]) -> str:
    """TOML of `values`, by names of app/knobs.py (a secret's with `_file` behind it)."""
    parts = [_HEAD]
    for name, value in values.items():
        knob = KNOBS[name if name in KNOBS else name.removesuffix("_file")]
        told = [knob.meaning, *([f"Danger: {knob.danger}"] if knob.danger else [])]
        comment = [f"# {line}" for sentence in told for line in textwrap.wrap(sentence, _WIDTH)]
        parts.append("\n".join([*comment, f"{name} = {_toml(value)}", ""]))
    return "\n".join(parts)


def _toml(value: Any) -> str:
    """A value in TOML: texts, numbers, truths and lists of texts are written as in JSON."""
    if isinstance(value, Path):
        value = str(value)
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)
