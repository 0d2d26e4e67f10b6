"""What is wrong with a search, told with the parameter and how to mend it; never with its value."""

import re

from chartwire.core.errors import FaultsError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,63}")


class SearchError(FaultsError):
    """A search that cannot be carried out. `code` is `unknown_parameter`, `invalid_parameter`, `search_too_costly` or
    `search_too_complex`; its one fault names the parameter."""

    def __init__(self, parameter: str, detail: str, *, code: str) -> None:
        name = shown(parameter)
        super().__init__(f"{name}: {detail}", code=code, faults=[(f"/{name}", code, detail)])


def shown(parameter: str) -> str:
    """The name of a parameter as it may be told: what is no name could be anything."""
    return parameter if _NAME.fullmatch(parameter) else "parameter"


class InvalidValueError(Exception):
    """A value that its parameter cannot have; the text says what it can."""
