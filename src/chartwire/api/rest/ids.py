"""Ids in paths and parameters, and back."""

from uuid import UUID

from chartwire.api.problem import bad_parameter, not_found
from chartwire.core.errors import NotFoundError
from chartwire.core.ids import PREFIXES, from_prefixed, to_prefixed


def shown(noun: str, value: UUID) -> str:
    """The id of a resource type or noun of the store, with its prefix; `res` for a type without one."""
    return to_prefixed(PREFIXES.get(noun, "res"), value)


def shown_or_none(noun: str, value: UUID | None) -> str | None:
    """As `shown`, None for None."""
    return None if value is None else shown(noun, value)


def in_path(noun: str, text: str) -> UUID:
    """An id that is part of an address. Raises the one answer to unknown ids."""
    try:
        return from_prefixed(PREFIXES[noun], text)
    except NotFoundError:
        raise not_found() from None


def in_query(noun: str, name: str, text: str) -> UUID:
    """An id that is the value of a parameter. Raises ApiError."""
    try:
        return from_prefixed(PREFIXES[noun], text)
    except NotFoundError:
        raise bad_parameter(name, f"is an id that begins with {PREFIXES[noun]}_") from None
