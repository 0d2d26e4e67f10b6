"""The numbers that a message is found by besides its columns: which fields hold them, as data.

Data types of HL7 v2.9 chapter 2A: CX has its assigning authority in component 4, EI in component 2, both by their first
subcomponent (the namespace); a plain ST has none.
"""

from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

from chartwire.core.errors import ParseError
from chartwire.core.limits import MESSAGE_KEYS_MAX
from chartwire.formats.hl7v2 import NULL, Document, Segment, parse

KeyKind = Literal["patient", "visit", "placer_order", "filler_order", "accession", "appointment"]

_CX, _EI, _ST = 4, 2, 0
_LETTERS_MAX: Final = 199

# segment -> (field, where its authority stands, what it is a number of)
FIELDS: Final[dict[str, tuple[tuple[int, int, KeyKind], ...]]] = {
    "PID": ((3, _CX, "patient"), (18, _CX, "visit")),
    "MRG": ((1, _CX, "patient"), (3, _CX, "visit"), (5, _CX, "visit")),
    "PV1": ((19, _CX, "visit"), (50, _CX, "visit")),
    "ORC": ((2, _EI, "placer_order"), (3, _EI, "filler_order")),
    "OBR": (
        (2, _EI, "placer_order"),
        (3, _EI, "filler_order"),
        (18, _ST, "accession"),
        (19, _ST, "accession"),
        (20, _ST, "accession"),
    ),
    "IPC": ((1, _EI, "accession"),),
    "SPM": ((30, _CX, "accession"),),
    "SCH": ((1, _EI, "appointment"), (2, _EI, "appointment")),
    "ARQ": ((1, _EI, "appointment"), (2, _EI, "appointment")),
}


class MessageKey(NamedTuple):
    """One number: `authority` is '' where none is named."""

    kind: KeyKind
    value: str
    authority: str


def message_keys(document: Document) -> tuple[MessageKey, ...]:
    """The numbers of a message, each once, at most MESSAGE_KEYS_MAX in the order of `FIELDS`."""
    found: dict[MessageKey, None] = {}
    mark = document.delimiters.repetition
    for name, fields in FIELDS.items():
        for segment in document.all(name):
            for key in _of_segment(segment, fields, mark):
                found[key] = None
            if len(found) >= MESSAGE_KEYS_MAX:
                return tuple(found)[:MESSAGE_KEYS_MAX]
    return tuple(found)


def keys_of(raw: bytes, charset: str | None) -> tuple[MessageKey, ...]:
    """The numbers of a message by its bytes; none where they cannot be read."""
    try:
        return message_keys(parse(raw, charset=charset))
    except ParseError:
        return ()


def _of_segment(segment: Segment, fields: tuple[tuple[int, int, KeyKind], ...], mark: str) -> Iterator[MessageKey]:
    for field, authority_at, kind in fields:
        raw = segment.raw(field)
        if not raw:
            continue
        repetitions = raw.count(mark) + 1 if mark else 1
        for repetition in range(1, min(repetitions, MESSAGE_KEYS_MAX) + 1):
            value = _leaf(segment, field, repetition, 1)
            if value:
                yield MessageKey(kind, value, _leaf(segment, field, repetition, authority_at) if authority_at else "")


def _leaf(segment: Segment, field: int, repetition: int, component: int) -> str:
    value = segment.value(field, repetition, component)
    return "" if value is None or value == NULL else value.strip()[:_LETTERS_MAX]
