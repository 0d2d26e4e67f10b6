"""The files of formats/fhir/data."""

import gzip
from importlib.resources import files
from typing import TypeVar

import msgspec

T = TypeVar("T")


def packaged(name: str, shape: type[T]) -> T:
    """The content of `<name>.json.gz`, decoded into a shape that msgspec knows."""
    compressed = (files("chartwire.formats.fhir") / "data" / f"{name}.json.gz").read_bytes()
    return msgspec.json.decode(gzip.decompress(compressed), type=shape)
