"""Secrets in configuration files: references, what they stand for, and the names that an export proposes."""

import re
from typing import Any

from chartwire.app.configuration.kind import Resolve
from chartwire.core.errors import FaultsError, ValidationError

_NOT_A_LETTER = re.compile(r"[^A-Z0-9]+")


def resolved(pointer: str, reference: Any, standing: str | None, resolve: Resolve) -> str:
    """The secret of a reference; the standing one where it is not set here. Raises FaultsError at `pointer` for what is
    no reference, and where there is none to keep."""
    try:
        found = resolve(str(reference))
    except ValidationError as error:
        raise FaultsError(error.message, code=error.code, faults=[(pointer, error.code, error.message)]) from None
    if found is None and standing is None:
        rule = "is not set here, and there is no present one to keep"
        raise FaultsError(rule, code="secret_missing", faults=[(pointer, "secret_missing", rule)])
    return standing or "" if found is None else found


def variable(name: str) -> str:
    """A name as part of that of an environment variable: `Front desk` -> FRONT_DESK."""
    return _NOT_A_LETTER.sub("_", name.upper()).strip("_")
