"""Every corpus message of a mapped event becomes a sound Bundle, or is refused for a named reason."""

from collections import Counter
from pathlib import Path

import msgspec
import pytest
from tests.mapping_soundness import problems, source

from chartwire.channels.soundness import Examiner
from chartwire.core.errors import MappingError, ParseError
from chartwire.core.source import IdentifierRule
from chartwire.formats.hl7v2 import Document, parse, split
from chartwire.mapping import event_of, load_maps, to_bundle

CORPORA = Path(__file__).resolve().parents[3] / "shared" / "corpora"
ANY = (IdentifierRule("*", "MR"), IdentifierRule("*", "PI"), IdentifierRule("*", "*"))

pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif(not CORPORA.is_dir(), reason="../shared/corpora is absent"),
]


@pytest.fixture(scope="module")
def documents() -> list[tuple[str, Document]]:
    found = []
    for path in sorted(CORPORA.rglob("*")):
        if path.suffix in {".json", ".csv", ".xml", ".gz", ".yml", ".py"} or not path.is_file():
            continue
        data = path.read_bytes()
        if b"MSH" not in data[:3000]:
            continue
        for member in split(data):
            try:
                document = parse(member)
            except ParseError:
                continue
            if load_maps().supports(event_of(document)):
                found.append((path.relative_to(CORPORA).as_posix(), document))
    return found


def test_every_bundle_is_sound(documents):
    assert len(documents) >= 700
    feed = source(identifiers=ANY)
    faults = {
        name: found
        for name, document in documents
        if (found := problems(load_maps().convert(document, feed, anonymous=True)))
    }
    assert not faults


def test_what_is_refused_lacks_an_identifier(documents):
    feed = source(identifiers=ANY)
    reasons: Counter[str] = Counter()
    for _, document in documents:
        try:
            load_maps().convert(document, feed)
        except MappingError as error:
            reasons[f"{error.code} {error.field}"] += 1
    print(f"refused of {len(documents)}: {dict(reasons)}")
    assert set(reasons) <= {"patient_identifier_missing PID-3", "merge_identifier_missing MRG-1"}
    assert reasons.total() < len(documents) / 3


def test_the_same_bytes_give_the_same_bundle(documents):
    feed = source(identifiers=ANY)
    for _, document in documents[::5]:
        again = parse(document.raw, charset=document.charset)
        one, other = (to_bundle(load_maps().convert(read, feed, anonymous=True)) for read in (document, again))
        assert msgspec.json.encode(one) == msgspec.json.encode(other)


def test_what_the_maps_make_of_every_message_is_fhir(documents):
    """No structural error in any resource, so no message of the corpora would become a dead letter by it."""
    feed, examiner = source(identifiers=ANY), Examiner()
    flagged: Counter[str] = Counter()
    faults = {}
    for name, document in documents:
        sound = examiner.examine(load_maps().convert(document, feed, anonymous=True).resources)
        if sound.fault is not None:
            faults[name] = (sound.fault.rule, sound.fault.location)
        flagged.update(rule for rule, _ in sound.flagged)
    assert not faults
    assert set(flagged) <= {"code-beyond-maximum", "code-required", "pat-1", "per-1"}
    assert sum(flagged.values()) <= 25
