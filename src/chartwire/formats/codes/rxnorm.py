"""RxNorm (https://www.nlm.nih.gov/research/umls/rxnorm): RXNCONSO.RRF, which has no line of heads."""

from collections.abc import Iterator, Mapping
from itertools import chain

from chartwire.formats.codes.concepts import Concept, Lines, rows

SYSTEM = "http://www.nlm.nih.gov/research/umls/rxnorm"
_HEADS = "RXCUI|LAT|TS|LUI|STT|SUI|ISPREF|RXAUI|SAUI|SCUI|SDUI|SAB|TTY|CODE|STR|SRL|SUPPRESS|CVF|"
_OTHER_NAMES = {"SY", "PSN", "TMSY", "ET"}
"""Term types that give a concept another name, not its kind."""
_SUPPRESSED = {"O", "Y", "E"}


def read(files: Mapping[str, Lines]) -> Iterator[Concept]:
    """One concept for each RXCUI of RxNorm itself, by its name of the term type (TTY) that says what it is."""
    columns = ("RXCUI", "SAB", "TTY", "STR", "SUPPRESS")
    told = rows(chain([_HEADS], files["concepts"]()), columns, what="RXNCONSO.RRF", dialect="|")
    found: dict[str, Concept] = {}
    for code, source, kind, name, suppressed in told:
        if source == "RXNORM":
            concept = Concept(code, name, (), {"TTY": kind}, suppressed in _SUPPRESSED)
            known = found.setdefault(code, concept)
            if known.properties["TTY"] in _OTHER_NAMES and kind not in _OTHER_NAMES:
                found[code] = concept
    yield from found.values()
