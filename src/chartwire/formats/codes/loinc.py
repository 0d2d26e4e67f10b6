"""LOINC (https://loinc.org): the table of terms, and where it is there the hierarchy of components."""

from collections.abc import Iterator, Mapping

from chartwire.formats.codes.concepts import Concept, Lines, rows

SYSTEM = "http://loinc.org"
_PROPERTIES = (
    "COMPONENT",
    "PROPERTY",
    "TIME_ASPCT",
    "SYSTEM",
    "SCALE_TYP",
    "METHOD_TYP",
    "CLASS",
    "CLASSTYPE",
    "STATUS",
)
"""As http://hl7.org/fhir/R4/loinc.html names them."""


def read(files: Mapping[str, Lines]) -> Iterator[Concept]:
    """Terms from `table` (Loinc.csv or LoincTableCore.csv), then parts and steps from `hierarchy`."""
    columns = ("LOINC_NUM", "LONG_COMMON_NAME", *_PROPERTIES)
    for code, display, *values in rows(files["table"](), columns, what="the table of LOINC"):
        properties = {name: value for name, value in zip(_PROPERTIES, values, strict=True) if value}
        yield Concept(code, display, (), properties, properties.get("STATUS") == "DEPRECATED")
    if "hierarchy" in files:
        steps = rows(files["hierarchy"](), ("CODE", "CODE_TEXT", "IMMEDIATE_PARENT"), what="the hierarchy of LOINC")
        for code, display, parent in steps:
            yield Concept(code, display, (parent,) if parent else ())
