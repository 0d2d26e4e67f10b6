"""The validator of HL7 v2 messages."""

from typing import Final

from chartwire.formats.hl7v2.document import Document, Segment
from chartwire.formats.hl7v2.escapes import Delimiters
from chartwire.formats.hl7v2.validate.dictionary import Version, version_of
from chartwire.formats.hl7v2.validate.fields import Form
from chartwire.formats.hl7v2.validate.header import check_header, header_value
from chartwire.formats.hl7v2.validate.issues import Findings, Issue, Place
from chartwire.formats.hl7v2.validate.segments import SegmentCheck
from chartwire.formats.hl7v2.validate.structure import Misplaced, Structure

_FORMS_KEPT_MAX: Final = 32


class Validator:
    """Checks messages of HL7 v2.1 to 2.8.2: structure, cardinality, data types, tables, lengths.

    The checks of a segment or structure are compiled when the first message needs them and kept. Holds nothing of any
    message; may be shared. `version` is checked against whatever MSH-12 says.
    """

    def __init__(self, *, version: str | None = None) -> None:
        self._told = version
        self._compiled: dict[tuple[str, Delimiters], _Compiled] = {}

    def check(self, document: Document) -> list[Issue]:
        """Every issue: those of the header, of the order of segments, then segment by segment. Never raises.

        Local (Z) segments may stand anywhere. Of many issues that are alike the first five are given and the rest
        counted. The version is that of MSH-12, else the nearest lower one that has tables.
        """
        compiled = self._compile(self._told or header_value(document, 12), document.delimiters)
        findings = Findings(compiled.version.number)
        structure = check_header(document, compiled.version, findings, told=self._told is not None)
        if structure is not None:
            compiled.check_structure(structure, document.segments, findings)
        for segment in document.segments:
            compiled.check_segment(segment, findings)
        return findings.all()

    def _compile(self, number: str, delimiters: Delimiters) -> "_Compiled":
        version = version_of(number)
        key = (version.number, delimiters)
        found = self._compiled.get(key)
        if found is None:
            if len(self._compiled) >= _FORMS_KEPT_MAX:
                self._compiled.clear()
            found = self._compiled[key] = _Compiled(version, delimiters)
        return found


class _Compiled:
    """The checks of one version and one set of delimiters, made as they are needed."""

    def __init__(self, version: Version, delimiters: Delimiters) -> None:
        self.version = version
        self._form = Form(version, delimiters)
        self._segments: dict[str, SegmentCheck] = {}
        self._structures: dict[str, Structure] = {}

    def check_segment(self, segment: Segment, findings: Findings) -> None:
        """Judge one segment by itself."""
        name = segment.name
        check = self._segments.get(name)
        if check is None:
            parts = None if name[0] == "Z" else self.version.segment(name)
            if parts is None:
                rule = "segment_local" if name[0] == "Z" else "segment_unknown"
                findings.add(rule, Place(name, segment.occurrence), name=name)
                return
            check = self._segments[name] = SegmentCheck(self._form, name, parts)
        check.check(segment, findings)

    def check_structure(self, name: str, segments: list[Segment], findings: Findings) -> None:
        """Judge the order of the segments."""
        structure = self._structures.get(name)
        if structure is None:
            structure = self._structures[name] = Structure(name, self.version.structure(name) or "")
        for misplaced in structure.check([segment.name for segment in segments]):
            self._tell(misplaced, structure, segments, findings)

    def _tell(self, misplaced: Misplaced, structure: Structure, segments: list[Segment], findings: Findings) -> None:
        name = misplaced.names[0]
        if misplaced.kind == "unexpected" and self.version.segment(name) is None:
            return  # told as unknown
        segment = segments[misplaced.place]
        place = Place(segment.name, segment.occurrence)
        names = ", ".join(misplaced.names)
        if misplaced.times > 1:
            name = f"{name} ({misplaced.times} times)"
        findings.add(f"segment_{misplaced.kind}", place, name=name, names=names, structure=structure.name)
