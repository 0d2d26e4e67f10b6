"""Fields: one pattern passes nearly all good ones at once; what it does not pass is taken apart and explained."""

import re
from typing import Final

from chartwire.formats.hl7v2.document import NULL
from chartwire.formats.hl7v2.escapes import Delimiters, unescaper
from chartwire.formats.hl7v2.validate.dictionary import (
    TIME_STAMP,
    Part,
    Version,
    is_hl7_table,
    table,
    version_of,
)
from chartwire.formats.hl7v2.validate.issues import Findings, Place
from chartwire.formats.hl7v2.validate.leaves import PATTERNS, holds_stray_escape, judge_leaf

CODED: Final = frozenset({"CE", "CWE", "CNE", "CF"})
"""Data types whose first component is a code of the field's table, unless the third names another coding system."""

_CODES: Final = frozenset({"ID", "IS"})
SIMPLE: Final = frozenset({"DT", "DTM", "FT", "GTS", "ID", "IS", "NM", "SI", "SNM", "ST", "TM", "TN", "TX"})
"""Data types without components."""

_OTHER_VERSIONS: Final = ("2.5.1", "2.8.2", "2.2")
_VALUE_TYPES_KEPT_MAX: Final = 200
REPETITIONS_JUDGED_MAX: Final = 1000
"""Of more repetitions of one field the first are judged: a hostile message must not cost seconds."""

_LENGTH_IN_PATTERN_MAX: Final = 1000
_NO_LIMIT: Final = 1 << 30
_SYSTEM: Final = 2


def listed(part: Part) -> frozenset[str] | None:
    """The codes that a simple value may have, None where any value will do."""
    return table(part.table) if part.table and part.type in _CODES else None


def length_of(part: Part) -> int:
    """How many characters a simple value may have, 0 for any number: of numbers, times and codes the form says it."""
    return 0 if part.type in PATTERNS or listed(part) is not None else part.length


class Form:
    """How one version writes with certain delimiters: what all checks of fields share."""

    def __init__(self, version: Version, delimiters: Delimiters) -> None:
        self.version = version
        self.delimiters = delimiters
        self.unescape = unescaper(delimiters, "utf-8")
        self.long = "length_exceeded" if version.normative_lengths else "length_above_conformance"
        self._patterns: dict[Part, re.Pattern[str]] = {}
        self._value_checks: dict[str, FieldCheck | None] = {}

    def pattern(self, part: Part) -> re.Pattern[str]:
        """What passes a field of this kind: its repetitions, joined."""
        part = part._replace(required=False)
        if self.version.type(part.type) is not None:
            part = part._replace(length=0, table="")  # judged apart, so that one pattern serves all fields of the type
        found = self._patterns.get(part)
        if found is None:
            one = self._within(part, 0)
            mark = re.escape(self.delimiters.repetition)
            many = f"(?:{mark}{one})*" if mark and part.maximum == 0 else ""
            found = self._patterns[part] = re.compile(one + many, re.ASCII)
        return found

    def value_check(self, kind: str) -> "FieldCheck | None":
        """The check of an OBX-5 whose OBX-2 is `kind`; None where no version of HL7 has such a data type."""
        if kind not in self._value_checks:
            if len(self._value_checks) >= _VALUE_TYPES_KEPT_MAX:
                self._value_checks.clear()
            self._value_checks[kind] = self._made_value_check(kind)
        return self._value_checks[kind]

    def _made_value_check(self, kind: str) -> "FieldCheck | None":
        part = Part(kind, maximum=0)
        if kind in SIMPLE or self.version.type(kind) is not None:
            return FieldCheck(self, part)
        for number in _OTHER_VERSIONS:  # withdrawn before this version, or added after it
            version = version_of(number)
            if version.type(kind) is not None:
                return FieldCheck(Form(version, self.delimiters), part)
        return None

    def _within(self, part: Part, level: int) -> str:
        """The pattern of a part: of a field (level 0), component (1) or subcomponent (2), empty ones included."""
        parts = self.version.type(part.type)
        marks = (self.delimiters.component, self.delimiters.subcomponent)
        if part.withdrawn:
            return ""
        if parts is None or level > 1:
            return self._leaf(parts[0] if parts else part, level, part.required)
        inside = self._chain(parts, re.escape(marks[level]), level + 1) if marks[level] else ""
        ends = "".join(map(re.escape, self.delimiters[1:3]))
        return rf"(?![{ends}]|\Z){inside}" if part.required else f"(?:{inside})?"

    def _chain(self, parts: tuple[Part, ...], mark: str, level: int) -> str:
        tail, bound = "", False
        for part in reversed(parts[1:]):
            tail = f"{mark}{self._within(part, level)}{tail}"
            bound = bound or part.required
            tail = tail if bound else f"(?:{tail})?"
        return self._within(parts[0], level) + tail

    def _leaf(self, part: Part, level: int, required: bool) -> str:
        codes = listed(part)
        if part.type in PATTERNS:
            body = PATTERNS[part.type]
        elif codes is not None:
            body = "|".join(map(re.escape, sorted(codes, key=len, reverse=True)))
        else:
            return self._text(part, level, required)
        body = f'{body}|""'
        return f"(?:{body})" if required else f"(?:{body})?"

    def _text(self, part: Part, level: int, required: bool) -> str:
        """Letters other than delimiters. Where anything may stand, the delimiters of the levels below may too."""
        _, component, repetition, escape, sub, _ = self.delimiters
        barred = repetition + escape + (component + sub if part.type or level == 2 else component if level else "")
        most = part.length if 0 < part.length <= _LENGTH_IN_PATTERN_MAX else ""
        letters = f"[^{re.escape(barred)}]" if barred else r"[\s\S]"
        return f"{letters}{{{int(required)},{most}}}"


class FieldCheck:
    """The check of one field. `sound` answers at once for nearly all good values; `explain` finds what is wrong."""

    __slots__ = ("_codes", "_form", "_length", "_pattern", "_system", "part")

    def __init__(self, form: Form, part: Part) -> None:
        self.part = part
        self._form = form
        self._pattern = None if part.withdrawn else form.pattern(part)
        self._length = (form.version.type(part.type) is None and length_of(part)) or _NO_LIMIT
        self._codes = table(part.table) if part.table and part.type in CODED else None
        self._system = f"HL7{part.table}"

    def sound(self, raw: str) -> bool:
        """Whether nothing is wrong with a field that is not empty. False may also mean: not known at once."""
        if self._pattern is None or len(raw) > self._length or self._pattern.fullmatch(raw) is None:
            return False
        return self._codes is None or self._is_listed(raw)

    def _is_listed(self, raw: str) -> bool:
        assert self._codes is not None
        delimiters = self._form.delimiters
        if delimiters.repetition in raw:
            return False
        parts = raw.split(delimiters.component, 3)
        foreign = len(parts) > _SYSTEM and parts[_SYSTEM] not in ("", self._system)
        return foreign or not parts[0] or parts[0] in self._codes

    def explain(self, raw: str, place: Place, findings: Findings) -> None:
        """Tell what is wrong with the field."""
        part, form = self.part, self._form
        if part.withdrawn:
            findings.add("field_withdrawn", place)
            return
        mark = form.delimiters.repetition
        repetitions = raw.split(mark) if mark else [raw]
        if 0 < part.maximum < len(repetitions):
            findings.add("field_repeats", place, maximum=part.maximum)
        for number, text in enumerate(repetitions[:REPETITIONS_JUDGED_MAX], 1):
            if text and text != NULL:
                self._explain_one(text, place._replace(repetition=number), findings)

    def _explain_one(self, text: str, place: Place, findings: Findings) -> None:
        part = self.part
        parts = self._form.version.type(part.type)
        if parts is None or not self._form.delimiters.component:
            self._judge(part, text, place, "", findings)
            return
        if part.type == TIME_STAMP and self._form.delimiters.component not in text:
            self._judge(parts[0], text, place, "", findings)  # PID-7 says more to people than PID-7.1
            return
        values = self._divide(part, parts, text, place, findings)
        if self._codes is not None and values[0] not in ("", NULL):
            system = values[_SYSTEM] if len(values) > _SYSTEM else ""
            if system in ("", self._system) and values[0] not in self._codes:
                strict = is_hl7_table(part.table) and (part.type == "CNE" or system != "")
                self._tell_table(part.table, strict, place._replace(component=1), part.type, findings)

    def _divide(self, part: Part, parts: tuple[Part, ...], text: str, place: Place, findings: Findings) -> list[str]:
        """Judge the components of a field, or the subcomponents of a component."""
        delimiters = self._form.delimiters
        mark = delimiters.subcomponent if place.component else delimiters.component
        values = text.rstrip(mark).split(mark, len(parts)) if mark else [text]
        if len(values) > len(parts):
            findings.add("component_further", place, type=part.type)
        for number, inner in enumerate(parts, 1):
            there = place._replace(sub=number) if place.component else place._replace(component=number)
            value = values[number - 1] if number <= len(values) else ""
            if value == NULL:
                continue
            if value:
                self._judge_inner(inner, value, there, part.type, findings)
            elif inner.required:
                findings.add("component_required", there, kind=part.type)
        return values

    def _judge_inner(self, part: Part, text: str, place: Place, kind: str, findings: Findings) -> None:
        if part.withdrawn:
            findings.add("component_withdrawn", place, kind=kind)
            return
        parts = self._form.version.type(part.type)
        if parts is not None and not place.sub:
            self._divide(part, parts, text, place, findings)
        else:
            self._judge(parts[0] if parts else part, text, place, kind, findings)

    def _judge(self, part: Part, raw: str, place: Place, kind: str, findings: Findings) -> None:
        """Judge a value without further parts."""
        delimiters = self._form.delimiters
        barred = delimiters.subcomponent if place.component else delimiters.component + delimiters.subcomponent
        if part.type and any(mark in raw for mark in barred):
            findings.add("component_unexpected", place, type=part.type)
            return
        text = raw
        if delimiters.escape and delimiters.escape in raw:
            if holds_stray_escape(raw, delimiters.escape):
                findings.add("escape_unknown", place)
            text = self._form.unescape(raw)
        self._judge_value(part, text, place, kind, findings)

    def _judge_value(self, part: Part, text: str, place: Place, kind: str, findings: Findings) -> None:
        bare = text.strip()
        codes = listed(part)
        if bare != text and (codes is not None or part.type in PATTERNS):
            findings.add("value_padded", place, kind=kind)
        if codes is not None:
            if bare not in codes:
                strict = part.type == "ID" and is_hl7_table(part.table)
                self._tell_table(part.table, strict, place, kind, findings)
        elif 0 < length_of(part) < len(text):
            findings.add(self._form.long, place, kind=kind, maximum=part.length)
        broken = judge_leaf(part.type, bare)
        if broken:
            findings.add(broken, place, kind=kind)

    def _tell_table(self, table: str, strict: bool, place: Place, kind: str, findings: Findings) -> None:
        rule = "value_not_in_table" if strict else "value_not_suggested"
        findings.add(rule, place, kind=kind, table=table)
