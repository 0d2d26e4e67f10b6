"""The files of formats/fhir/data.

What callers name is looked up in a file first, and only what is there is kept decoded: a name may come from anybody.
"""

import gzip
from importlib.resources import files
from typing import TypeVar

import msgspec

T = TypeVar("T")

VERSIONS = ("4.0.1", "6.1.0", "7.0.0", "3.1.1")
"""Which version a canonical without one means, the first that has it: 6.1.0 is what United States rules ask for."""


def packaged(name: str, shape: type[T]) -> T:
    """The content of `<name>.json.gz`, decoded into a shape that msgspec knows."""
    compressed = (files("chartwire.formats.fhir") / "data" / f"{name}.json.gz").read_bytes()
    return msgspec.json.decode(gzip.decompress(compressed), type=shape)
