"""From a configuration file to plain values and back: YAML or TOML, variables, secret references.

`vars` in the file gives variables their values, `--var NAME=VALUE` others; `${NAME}` stands for one in any text, `$${`
for the characters themselves. Secrets stand outside: `env:NAME`, `file:PATH` (from the file's own directory).
"""

import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from chartwire.app.configuration.kind import Kind, Values
from chartwire.core.errors import FaultsError, ValidationError

FORMAT = 1
FILE_BYTES_MAX = 4 * 1024 * 1024
_VARIABLE = re.compile(r"\$(\$?)\{([A-Za-z_][A-Za-z0-9_]*)\}")
_ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

Sections = dict[str, list[Values]]


def read_file(path: Path, overrides: Mapping[str, str], kinds: Sequence[Kind]) -> Sections:
    """The sections of a file, variables put in. Raises FaultsError, ValidationError, OSError."""
    text = path.read_bytes()
    if len(text) > FILE_BYTES_MAX:
        raise ValidationError(f"a configuration file has at most {FILE_BYTES_MAX} bytes", code="config_file")
    content = _parsed(path, text)
    if content.pop("chartwire", None) != FORMAT:
        raise _fault("/chartwire", f"is {FORMAT}, the version of this form")
    variables = content.pop("vars", {})
    if not isinstance(variables, dict) or not all(isinstance(one, str) for one in variables.values()):
        raise _fault("/vars", "maps names to texts")
    strange = sorted(overrides.keys() - variables.keys())
    if strange:
        raise _fault("/vars", f"does not name {', '.join(strange)}, which --var sets")
    sections = _sections(content, kinds)
    return {name: [_filled(one, f"/{name}/{n}", {**variables, **overrides}) for n, one in enumerate(entries)]
            for name, entries in sections.items()}  # fmt: skip


def as_written(sections: Sections, kinds: Sequence[Kind]) -> dict[str, Any]:
    """The sections as they stand in a file: a mapping where an organisation has exactly one object."""
    singles = {kind.section for kind in kinds if kind.single}
    return {name: entries[0] if name in singles else entries for name, entries in sections.items()}


def write_text(written: Mapping[str, Any]) -> str:
    """Sections `as_written`, as YAML."""
    return yaml.safe_dump({"chartwire": FORMAT, **written}, sort_keys=False, allow_unicode=True, width=100)


class Resolver:
    """Looks secrets up in the environment, and in files that are named from `directory`, as kind.Resolve says."""

    def __init__(self, directory: Path, environ: Mapping[str, str] = os.environ) -> None:
        self._directory, self._environ = directory, environ

    def __call__(self, reference: str) -> str | None:
        kind, _, name = reference.partition(":")
        if kind == "env" and _ENVIRONMENT_NAME.fullmatch(name):
            return self._environ.get(name)
        if kind == "file" and name:
            path = self._directory / name
            return path.read_text(encoding="utf-8").strip() if path.exists() else None
        raise ValidationError("is a reference, env:NAME or file:PATH: a secret does not stand in the file",
                              code="secret_in_file")  # fmt: skip


def _parsed(path: Path, text: bytes) -> dict[str, Any]:
    try:
        content = tomllib.loads(text.decode()) if path.suffix == ".toml" else yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ValidationError(f"{path.name} is not YAML{place}", code="config_file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValidationError(f"{path.name} is not TOML: {error}", code="config_file") from None
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise ValidationError(f"{path.name} is not a mapping of sections", code="config_file")
    return content


def _sections(content: Mapping[str, Any], kinds: Sequence[Kind]) -> Sections:
    """Every section as a list of mappings."""
    known = {kind.section: kind for kind in kinds}
    sections: Sections = {}
    for name, told in content.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; the nearest is {near[0]}" if near else ""
            raise _fault(f"/{name}", f"is no section: known are {', '.join(known)}{hint}")
        entries = [told] if known[name].single else told
        if not isinstance(entries, list) or not all(isinstance(one, dict) for one in entries):
            raise _fault(f"/{name}", "is a mapping" if known[name].single else "is a list of mappings")
        sections[name] = entries
    return sections


def _filled(value: Any, pointer: str, variables: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {str(key): _filled(one, f"{pointer}/{key}", variables) for key, one in value.items()}
    if isinstance(value, list):
        return [_filled(one, f"{pointer}/{n}", variables) for n, one in enumerate(value)]
    return "".join(_pieces(value, pointer, variables)) if isinstance(value, str) else value


def _pieces(text: str, pointer: str, variables: Mapping[str, str]) -> Iterator[str]:
    done = 0
    for found in _VARIABLE.finditer(text):
        yield text[done : found.start()]
        done = found.end()
        if found[1]:
            yield f"${{{found[2]}}}"
        elif found[2] in variables:
            yield variables[found[2]]
        else:
            raise _fault(pointer, f"names the variable {found[2]}, which neither vars nor --var sets")
    yield text[done:]


def _fault(pointer: str, rule: str) -> FaultsError:
    return FaultsError(f"`{pointer}` {rule}", code="config_file", faults=[(pointer, "config_file", rule)])
