"""What the header of a message says of it: version, event, control id, character set."""

from typing import Final

from chartwire.formats.hl7v2.document import NULL, Document
from chartwire.formats.hl7v2.validate.dictionary import Version, knows
from chartwire.formats.hl7v2.validate.issues import Findings, Place, rules

_ANSWERS: Final = frozenset({"ACK", "MCF"})
"""Message codes that need no trigger event."""


def header_value(document: Document, field: int, component: int = 1) -> str:
    """A value of MSH without blanks around it, '' where there is none."""
    value = document.segments[0].value(field, component=component)
    return "" if value is None or value == NULL else value.strip()


def check_header(document: Document, version: Version, findings: Findings, *, told: bool) -> str | None:
    """Judge the header, and give the name of the structure to check by. `told`: the caller chose the version."""
    for finding in document.findings:
        if finding.code in rules():
            findings.add(finding.code, _path(finding.location))
    if not told:
        _check_version(header_value(document, 12), findings)
    if not header_value(document, 10):
        findings.add("control_id_missing", Place("MSH", field=10))
    return _structure(document, version, findings)


def _check_version(number: str, findings: Findings) -> None:
    if not number:
        findings.add("version_missing", Place("MSH", field=12))
    elif not knows(number):
        findings.add("version_unknown", Place("MSH", field=12))


def _structure(document: Document, version: Version, findings: Findings) -> str | None:
    code, trigger, named = (header_value(document, 9, component) for component in (1, 2, 3))
    expected = version.structure_of(code, trigger)
    if not code or (not trigger and expected is None and code not in _ANSWERS):
        findings.add("message_type_missing", Place("MSH", field=9))
    if expected is None:
        if named and version.structure(named) is not None:
            return named
        if code and trigger and "Z" not in (code[0], trigger[0]):
            findings.add("structure_unknown", Place("MSH", field=9))
        return None
    if named and named != expected and version.structure(named) != version.structure(expected):
        findings.add("structure_differs", Place("MSH", field=9, component=3), expected=expected)
    return expected


def _path(location: str) -> str:
    """`PID[2]-5` of the parser as `PID(2)-5`."""
    return location.replace("[1]", "").replace("[", "(").replace("]", ")")
