"""What a FHIRPath expression looks like once read, and the one error of reading it.

http://hl7.org/fhirpath/N1/grammar.html
"""

from dataclasses import dataclass
from typing import Any

from chartwire.core.errors import ParseError


class FhirPathError(ParseError):
    """An expression that cannot be read, compiled or evaluated. `position` counts characters from 0."""

    def __init__(self, message: str, *, position: int = 0, code: str = "fhirpath_invalid") -> None:
        super().__init__(message, code=code, position=position)


@dataclass(frozen=True, slots=True)
class Expression:
    """Any part of an expression; `at` is where it begins."""

    at: int


@dataclass(frozen=True, slots=True)
class Literal(Expression):
    """A value written out: `type` is a System type, `value` as nodes.py keeps that type; None is `{}`."""

    value: Any
    type: str


@dataclass(frozen=True, slots=True)
class Member(Expression):
    """`name` of whatever stands before the dot, or of `$this`."""

    name: str


@dataclass(frozen=True, slots=True)
class Variable(Expression):
    """`%name`."""

    name: str


@dataclass(frozen=True, slots=True)
class Special(Expression):
    """`$this`, `$index` or `$total`."""

    name: str


@dataclass(frozen=True, slots=True)
class Call(Expression):
    """`name(arguments)` on whatever stands before the dot, or on `$this`."""

    name: str
    arguments: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Invoke(Expression):
    """`left.right`, where right is a `Member`, `Call` or `Special`."""

    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Indexer(Expression):
    """`left[index]`."""

    left: Expression
    index: Expression


@dataclass(frozen=True, slots=True)
class Sign(Expression):
    """`+operand` or `-operand`."""

    sign: str
    operand: Expression


@dataclass(frozen=True, slots=True)
class Binary(Expression):
    """`left operator right`; `at` is where the operator stands."""

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class TypeTest(Expression):
    """`operand is type` or `operand as type`; the type may be qualified (`FHIR.Patient`, `System.String`)."""

    operator: str
    operand: Expression
    type: str
