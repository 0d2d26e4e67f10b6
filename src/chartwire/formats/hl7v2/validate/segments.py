"""Segments: which fields must stand in them, which may, and what their fields say about each other."""

from collections.abc import Callable
from typing import Final

from chartwire.formats.hl7v2.document import HEADERS, NULL, Segment
from chartwire.formats.hl7v2.validate.dictionary import Part, is_open
from chartwire.formats.hl7v2.validate.fields import REPETITIONS_JUDGED_MAX, FieldCheck, Form
from chartwire.formats.hl7v2.validate.issues import Findings, Place

_JUDGED_ELSEWHERE: Final = {"MSH": {1, 2, 9, 10, 12}, "FHS": {1, 2}, "BHS": {1, 2}, "OBX": {2}}
"""Required fields that are judged with what stands around them."""

_VALUE_TYPE: Final = 2
_VALUE: Final = 5
_IDENTIFIERS: Final = {"PID": 3, "MRG": 1}


class SegmentCheck:
    """The check of one segment of one version. Checks of fields are made when a field is first filled."""

    def __init__(self, form: Form, name: str, parts: tuple[Part, ...]) -> None:
        self.name = name
        self._form = form
        self._parts = parts
        apart = _JUDGED_ELSEWHERE.get(name, set())
        self._required = [n for n, part in enumerate(parts, 1) if part.required and n not in apart]
        self._checks: list[FieldCheck | None] = [None, *[None] * len(parts)]
        self._first = 3 if name in HEADERS else 1
        self._more: Callable[[Form, list[str], Segment, Findings], None] | None = _ACROSS.get(name)

    def check(self, segment: Segment, findings: Findings) -> None:
        """Tell what is wrong within the segment."""
        fields = segment.line.split(self._form.delimiters.field)
        if self._first > 1:
            fields.insert(1, self._form.delimiters.field)
        checks, known = self._checks, len(self._parts)
        for number, raw in enumerate(fields[self._first : known + 1], self._first):
            if raw:
                check = checks[number] or self._made(number)
                if not check.sound(raw) and raw != NULL:
                    check.explain(raw, Place(self.name, segment.occurrence, number), findings)
        for number in self._required:
            if number >= len(fields) or not fields[number]:
                findings.add("field_required", Place(self.name, segment.occurrence, number))
        if len(fields) > known + 1:
            self._tell_further(fields, segment, findings)
        if len(fields) < 2 or not any(fields[1:]):
            findings.add("segment_empty", Place(self.name, segment.occurrence), name=self.name)
        if self._more is not None:
            self._more(self._form, fields, segment, findings)

    def _made(self, number: int) -> FieldCheck:
        part = self._parts[number - 1]
        if self.name == "OBX" and number == _VALUE_TYPE:
            part = part._replace(table="", length=0)  # judged with the value that it is about
        check = self._checks[number] = FieldCheck(self._form, part)
        return check

    def _tell_further(self, fields: list[str], segment: Segment, findings: Findings) -> None:
        known = len(self._parts)
        if is_open(self.name):
            return
        for number in range(known + 1, len(fields)):
            if fields[number]:
                place = Place(self.name, segment.occurrence, number)
                findings.add("field_unexpected", place, maximum=known)
                return


def _observation(form: Form, fields: list[str], segment: Segment, findings: Findings) -> None:
    """OBX-5 is of the data type that OBX-2 names."""
    value = fields[_VALUE] if len(fields) > _VALUE else ""
    if not value or value == NULL:
        return
    kind = fields[_VALUE_TYPE].strip()
    place = Place("OBX", segment.occurrence, _VALUE)
    if not kind:
        findings.add("value_type_missing", place)
        return
    check = form.value_check(kind)
    if check is None:
        findings.add("value_type_unknown", place._replace(field=_VALUE_TYPE))
    elif not check.sound(value):
        check.explain(value, place, findings)


def _identified(form: Form, fields: list[str], segment: Segment, findings: Findings) -> None:
    """Each identifier says who assigned it and what kind it is."""
    number = _IDENTIFIERS[segment.name]
    parts, kind = form.version.segment(segment.name) or (), form.version.type("CX") or ()
    if parts[number - 1].type != "CX" or len(kind) < 5 or len(fields) <= number or not fields[number]:
        return
    mark = form.delimiters.repetition
    place = Place(segment.name, segment.occurrence, number)
    repetitions = fields[number].split(mark, REPETITIONS_JUDGED_MAX) if mark else [fields[number]]
    for repetition, one in enumerate(repetitions[:REPETITIONS_JUDGED_MAX], 1):
        values = [*one.split(form.delimiters.component), "", "", "", "", ""]
        if not values[0] or one == NULL:
            continue
        for component, rule in ((4, "identifier_without_authority"), (5, "identifier_without_type")):
            if not values[component - 1] and not kind[component - 1].required:
                findings.add(rule, place._replace(repetition=repetition, component=component), kind="CX")


_ACROSS: Final = {"OBX": _observation, "PID": _identified, "MRG": _identified}
