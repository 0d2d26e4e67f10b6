"""Values of search parameters: alternatives, parts, and what is escaped in them (R4 3.1.1.4.0.2)."""

from chartwire.record.search.errors import InvalidValueError

AFTER_SLASH = "0"
"""The character after `/`: where what lies below an address, or is of a type, ends."""
_ESCAPED = frozenset(",$|")
_ESCAPES = str.maketrans({letter: f"\\{letter}" for letter in ("\\", *_ESCAPED)})


def split(text: str, separator: str) -> list[str]:
    """Cut at each separator that is not escaped. The parts keep their escapes: `unescaped` takes them out."""
    if "\\" not in text:
        return text.split(separator)
    parts, escaped = [""], False
    for letter in text:
        if letter == separator and not escaped:
            parts.append("")
            continue
        parts[-1] += letter
        escaped = letter == "\\" and not escaped
    return parts


def escaped(text: str) -> str:
    """A text as it is written in a value, so that `unescaped` gives it back."""
    return text.translate(_ESCAPES)


def unescaped(text: str) -> str:
    """A part as it is meant. Raises InvalidValueError for a backslash before what needs none."""
    if "\\" not in text:
        return text
    pieces = text.split("\\\\")
    for number, piece in enumerate(pieces):
        head, *tails = piece.split("\\")
        if any(not tail or tail[0] not in _ESCAPED for tail in tails):
            raise InvalidValueError(r"only `,` `$` `|` and `\` are escaped by a backslash")
        pieces[number] = head + "".join(tails)
    return "\\".join(pieces)
