"""What one conversion carries along: the source, the zone, text decoding, findings and the resources made so far."""

import re
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from chartwire.core.errors import MappingError
from chartwire.core.ids import source_key_id
from chartwire.core.limits import RESOURCES_PER_MESSAGE_MAX
from chartwire.core.source import Source
from chartwire.formats.hl7v2 import NULL, Document
from chartwire.formats.hl7v2.escapes import unescaper
from chartwire.mapping.conversion import Content, Json, MapFinding, Mapped, PatientKey
from chartwire.mapping.tables import Tables

_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")

_NO_MARK: Final = "\ufdd0"
"""Stands for a delimiter that MSH-2 does not name: a noncharacter, so that splitting at it splits nothing."""


@lru_cache(8_192)
def _identity(resource_type: str, key: str) -> tuple[UUID, str]:
    identity = source_key_id(resource_type, key)
    return identity, str(identity)


@dataclass(frozen=True, slots=True)
class Drawing:
    """What one composite became: its reference and the resources made for it, in order."""

    reference: Json | None
    resources: list[Mapped]


REPETITIONS_MAX: Final = 1_000
_DRAWINGS_MAX: Final = 4_096
_drawings: dict[Hashable, Drawing] = {}


def _keep(key: Hashable, drawing: Drawing) -> None:
    if len(_drawings) >= _DRAWINGS_MAX:
        _drawings.clear()
    _drawings[key] = Drawing(
        drawing.reference, [replace(mapped, body=dict(mapped.body)) for mapped in drawing.resources]
    )


def _no_type(_authority: str, _universal: str) -> None:
    return None


class Context:
    """The state of one conversion; made anew for every message, never shared."""

    __slots__ = (
        "assume_type", "blanks", "component", "contents", "control_id", "escape", "event", "findings", "finds",
        "has_nulls", "keys", "keys_of", "memo", "ordinals", "repetition", "resources", "seen", "source", "sub",
        "tables", "trace", "trigger", "unescape", "unread_escape", "zone",
    )  # fmt: skip

    def __init__(self, document: Document, source: Source, event: str, tables: Tables) -> None:
        marks = document.delimiters
        self.source = source
        self.tables = tables
        self.event = event
        self.control_id = document.get("MSH-10") or ""
        self.trigger = event.partition("^")[2]
        self.zone: ZoneInfo | None = None
        self.assume_type: Callable[[str, str], str | None] = _no_type
        self.component = marks.component or _NO_MARK
        self.repetition = marks.repetition or _NO_MARK
        self.sub = marks.subcomponent or _NO_MARK
        self.blanks = f"{self.component}{self.repetition}{self.sub} \t"
        self.escape = marks.escape or _NO_MARK
        self.unescape: Callable[[str], str] = unescaper(marks, document.charset)
        self.unread_escape = f"{self.escape}X"
        self.has_nulls = NULL in document.text
        self.findings: list[MapFinding] = []
        self.finds = 0
        self.seen: set[tuple[str, str]] = set()
        self.resources: list[Mapped] = []
        self.contents: dict[UUID, Content] = {}
        self.keys: dict[tuple[str, str], Mapped] = {}
        self.ordinals: dict[tuple[str, str], int] = {}
        self.memo: dict[tuple[str, str, str], Any] = {}
        self.keys_of: dict[int, tuple[PatientKey, ...]] = {}
        self.trace: tuple[tuple[str, int], ...] = ()

    def text(self, raw: str) -> str | None:
        """A leaf as FHIR text: unescaped, trimmed, without control characters; None for empty and for `""`."""
        if raw.isalnum():
            return raw
        if self.escape in raw:
            raw = self.unescape(raw)
            if self.unread_escape in raw:
                raw = self._without_bytes(raw)
        raw = raw.strip()
        if not raw or raw == NULL:
            return None
        if not raw.isprintable():
            raw = _CONTROLS.sub("", raw).strip()
        return raw or None

    def paragraph(self, raw: str) -> str | None:
        """As `text`, leading blanks kept: for lines of TX, FT and NTE-3."""
        if self.escape in raw:
            raw = self.unescape(raw)
            if self.unread_escape in raw:
                raw = self._without_bytes(raw)
        raw = _CONTROLS.sub("", raw.replace("\r\n", "\n").replace("\r", "\n")).rstrip()
        return raw if raw.strip() and raw != NULL else None

    def _without_bytes(self, raw: str) -> str:
        escape = re.escape(self.escape)
        self.find("undecodable_text", "", "bytes that the charset cannot read are left out of the value")
        return re.sub(f"{escape}X(?:[0-9A-Fa-f]{{2}})+{escape}", "", raw)

    def cleared(self, raw: str) -> bool:
        """Whether a field is nothing but `""`."""
        if raw == NULL:
            return True
        if NULL not in raw:
            return False
        for mark in (NULL, self.component, self.sub, self.repetition):
            raw = raw.replace(mark, "") if mark else raw
        return not raw

    def repetitions(self, raw: str, label: str) -> list[str]:
        """The repetitions of a field, at most REPETITIONS_MAX; what is beyond leaves a finding."""
        parts = raw.split(self.repetition, REPETITIONS_MAX)
        if len(parts) > REPETITIONS_MAX:
            self.find("too_many_repetitions", label, f"more than {REPETITIONS_MAX} repetitions; the rest is left out")
            parts.pop()
        return parts

    def speaks(self, raw: str) -> bool:
        """Whether a field says anything: not empty, not blank, not only delimiters and `""`."""
        if raw.isalnum():
            return True
        rest = raw.strip(self.blanks)
        return bool(rest) and (NULL not in rest or bool(rest.replace(NULL, "").strip(self.blanks)))

    def find(self, code: str, location: str, message: str, severity: str = "warning") -> None:
        """Report once per (code, location). Never pass a value of the message."""
        self.finds += 1
        if (code, location) not in self.seen:
            self.seen.add((code, location))
            self.findings.append(MapFinding(code, location, message, severity))

    def draft(self, resource_type: str, key: str, *, directory: bool = False) -> Mapped:
        """A resource with its id and nothing else yet; not among the resources until `add`.

        Raises MappingError `too_many_resources` above RESOURCES_PER_MESSAGE_MAX.
        """
        if len(self.keys) >= RESOURCES_PER_MESSAGE_MAX:
            raise MappingError("too many resources in one message", code="too_many_resources", rule=resource_type)
        identity, text = _identity(resource_type, key)
        body: Json = {"resourceType": resource_type, "id": text}
        mapped = Mapped(resource_type, key, identity, body, directory=directory)
        self.keys[resource_type, key] = mapped
        return mapped

    def remember(
        self, name: tuple[str, str, str], draw: Callable[["Context", list[str]], Json | None], parts: list[str]
    ) -> Json | None:
        """What a composite becomes, drawn once: within this message, and across messages of the same dialect.

        Across messages only drawings without findings are kept, and every conversion gets bodies of its own (their
        inner lists and objects are shared: bodies are for reading).
        """
        if name in self.memo:
            found: Json | None = self.memo[name]
            return dict(found) if found is not None else None
        key = (name, self.tables, self.source.authority, self.zone, self.unescape, self.component, self.sub)
        drawing = _drawings.get(key)
        if drawing is None:
            before, told, known = len(self.resources), self.finds, len(self.keys)
            reference = draw(self, parts)
            made = self.resources[before:]
            if self.finds == told and len(self.keys) - known == len(made):
                _keep(key, Drawing(reference, made))
        else:
            reference = drawing.reference
            for mapped in drawing.resources:
                self._take(mapped)
        self.memo[name] = reference
        return dict(reference) if reference is not None else None

    def _take(self, mapped: Mapped) -> None:
        if (mapped.type, mapped.key) not in self.keys:
            own = replace(mapped, body=dict(mapped.body), lineage=dict(mapped.lineage))
            self.keys[mapped.type, mapped.key] = own
            self.resources.append(own)

    def add(self, mapped: Mapped) -> None:
        """Take a finished resource into the conversion."""
        self.resources.append(mapped)
