"""The last observations of each kind: what one and the same code, or a code that came along with it, was said of.

Pure. Observations are given newest first.
"""

from collections.abc import Iterable, Sequence

import msgspec

from chartwire.record.search import Found


class _Coding(msgspec.Struct, frozen=True):
    system: str = ""
    code: str = ""


class _Code(msgspec.Struct, frozen=True):
    coding: tuple[_Coding, ...] = ()
    text: str = ""


class _Coded(msgspec.Struct):
    code: _Code = _Code()


_coded = msgspec.json.Decoder(_Coded)


def last_of_each(observations: Iterable[Found], most: int) -> list[Found]:
    """At most `most` observations of each code, group by group in the order of their newest ones.

    Codings that stand in one `code` (translations of each other) mean the same group; an observation without any is
    grouped by its text.
    """
    groups: list[list[Found]] = []
    by_name: dict[tuple[str, str], list[Found]] = {}
    for one in observations:
        names = _names(_coded.decode(one.stored.body).code)
        group = next((by_name[name] for name in names if name in by_name), None)
        if group is None:
            group = []
            groups.append(group)
        for name in names:
            by_name.setdefault(name, group)
        if len(group) < most:
            group.append(one)
    return [one for group in groups for one in group]


def _names(code: _Code) -> Sequence[tuple[str, str]]:
    return [(coding.system, coding.code) for coding in code.coding if coding.code] or [("", code.text)]
