"""Ids on the command line: taken as a UUID or with the prefix that the API shows, shown with it."""

from uuid import UUID

from chartwire.core.errors import ValidationError
from chartwire.core.ids import PREFIXES, from_prefixed, to_prefixed


def read_id(text: str, noun: str) -> UUID:
    """The UUID of `text`, such as `msg_01J...` or a plain one. Raises ValidationError (`bad_id`) naming the noun."""
    try:
        return UUID(text)
    except ValueError:
        pass
    prefix, mark, _ = text.partition("_")
    if not mark:
        raise ValidationError(f"{text} is no {noun} id: give a UUID or an id as the API shows it", code="bad_id")
    return from_prefixed(prefix, text)


def shown(kind: str, value: UUID) -> str:
    """An id as the API shows it; `kind` is a word of PREFIXES."""
    return to_prefixed(PREFIXES[kind], value)
