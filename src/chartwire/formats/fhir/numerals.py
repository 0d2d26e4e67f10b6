"""Numbers of FHIR JSON that are written back as they were written (R4 2.24.0.1: their precision counts).

A Decimal keeps `1.50`, and writes `1e5` as `1E+5` and `0.00000001` as `1E-8`: those keep their own text.
"""

from decimal import Decimal
from typing import Any, Final, Self

import msgspec

_PLAIN_FROM: Final = -6
"""The exponent of the first digit, from which on a Decimal is written without an exponent."""


class Numeral(Decimal):
    """A number with the text by which it was written."""

    literal: str

    def __new__(cls, literal: str) -> Self:
        """The number of a JSON literal. Raises decimal.InvalidOperation for what is none."""
        number = super().__new__(cls, literal)
        number.literal = literal
        return number

    def __str__(self) -> str:
        return self.literal


DECIMALS: Final = (Decimal, Numeral)
"""The types of numbers with a fraction or an exponent."""


def read_number(literal: str) -> Decimal:
    """A JSON number with a fraction or an exponent. Raises decimal.InvalidOperation for one out of all bounds."""
    number = Decimal(literal)
    return Numeral(literal) if number.adjusted() < _PLAIN_FROM or "e" in literal or "E" in literal else number


def encode_number(value: Any) -> msgspec.Raw:
    """The `enc_hook` of encoders that write resources. Raises NotImplementedError for any other value."""
    if isinstance(value, Numeral):
        return msgspec.Raw(value.literal.encode())
    raise NotImplementedError
