"""Which identifiers identify a patient: the source's (authority, type) pairs, never AN or VN, never a placeholder.

domain-rules.md section 3. The lists stand in maps/identity.yaml.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from chartwire.core.source import IdentifierRule, Source
from chartwire.formats.hl7v2 import NULL, Segment
from chartwire.mapping.context import Context
from chartwire.mapping.conversion import PatientKey
from chartwire.mapping.language import Reader

MERGE_EVENTS: Final = frozenset(
    f"ADT^{event}"
    for event in ("A18", "A24", "A30", "A34", "A35", "A36", "A37", "A39", "A40", "A41", "A42", "A43", "A44", "A45",
                  "A46", "A47", "A48", "A49", "A50", "A51")
)  # fmt: skip
"""Events that touch the records of two patients or keys: merges, moves, changes of identifiers, link and unlink."""


@dataclass(frozen=True, slots=True)
class IdentityRules:
    """Types that never identify a patient, and patterns (over the whole value, case aside) that are placeholders."""

    never: frozenset[str]
    placeholder: re.Pattern[str]

    def keys(self, context: Context, segment: Segment | None, field: int) -> tuple[PatientKey, ...]:
        """The identifying keys among the CX repetitions of a field, strongest first, each once."""
        if segment is None:
            return ()
        label = f"{segment.name}-{field}"
        ranked = []
        for position, (value, authority, universal, kind) in enumerate(
            _identifiers(context, segment.raw(field), label)
        ):
            rule = self._rule(context.source, authority, universal, kind)
            if rule is None:
                continue
            if self.placeholder.fullmatch(value):
                context.find("placeholder_identifier", label, "a placeholder does not identify a patient")
                continue
            rank, assumed = rule
            name = authority or universal or context.source.authority
            ranked.append((rank, position, PatientKey(name, kind or assumed, value)))
        ranked.sort(key=lambda item: item[:2])
        return tuple(dict.fromkeys(key for _, _, key in ranked))

    def _rule(self, source: Source, authority: str, universal: str, kind: str) -> tuple[int, str] | None:
        """The place of the first rule that takes the identifier, and the type to use where it has none."""
        if kind in self.never:
            return None
        for rank, rule in enumerate(source.identifiers):
            if not kind and rule.type in self.never:
                continue
            if (rule.type in {kind, "*"} or not kind) and _same_authority(rule, source, authority, universal):
                return rank, "MR" if rule.type == "*" else rule.type
        return None

    def assumed_type(self, source: Source, authority: str, universal: str) -> str | None:
        """The type of an identifier that names none, by the first rule of the source that takes it."""
        rule = self._rule(source, authority, universal, "")
        return rule[1] if rule else None


def _same_authority(rule: IdentifierRule, source: Source, authority: str, universal: str) -> bool:
    wanted = rule.authority or source.authority
    return wanted == "*" or wanted in {authority, universal} or (not authority and not universal and
                                                                 wanted == source.authority)  # fmt: skip


def _identifiers(context: Context, raw: str, label: str) -> Iterator[tuple[str, str, str, str]]:
    """(value, namespace, universal id, type) of every CX with a value; '' where a part is empty."""
    for part in context.repetitions(raw, label):
        pieces = part.split(context.component)
        value = context.text(pieces[0].partition(context.sub)[0]) if pieces[0] not in {"", NULL} else None
        if value is None:
            continue
        holder = (pieces[3].split(context.sub) if len(pieces) > 3 else [])[:2]
        namespace, universal = (context.text(piece) or "" for piece in (*holder, "", "")[:2])
        kind = (context.text(pieces[4]) or "") if len(pieces) > 4 and pieces[4] else ""
        yield value, namespace, universal, kind


def read_identity(text: str, file: str) -> IdentityRules:
    """The rules of a file: `never` (types) and `placeholders` (patterns). Raises MapError."""
    reader = Reader(text, file)
    never: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    for key, node in reader.items(reader.root, ("never", "placeholders")):
        if key == "never":
            never = reader.texts(node)
        else:
            patterns = reader.texts(node)
    return IdentityRules(frozenset(never), re.compile("|".join(patterns) or r"(?!)", re.IGNORECASE))
