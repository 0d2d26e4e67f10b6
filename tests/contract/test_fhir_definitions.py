"""The tables of FHIR are what definitions/fhir makes of its sources, as far as these are at hand, and fit each other."""

import gzip
import hashlib
import json
from pathlib import Path

import pytest
from definitions.fhir.packages import Package
from definitions.fhir.search import compartments, search_parameters
from definitions.fhir.terminology import terminology

from chartwire.formats.fhir import definitions

REPOSITORY = Path(__file__).parents[2]
DATA = REPOSITORY / "src" / "chartwire" / "formats" / "fhir" / "data"
SHARED = REPOSITORY.parent / "shared"
CONTENT = {
    name: gzip.decompress((DATA / f"{name}.json.gz").read_bytes()) for name in ("search", "terminology", "types")
}


class Corpus(Package):
    """The definitions of R4 as the corpus keeps them: the same resources as in the package, one file a type."""

    def __init__(self, folder: Path, official: set[str]) -> None:
        self.version = "4.0.1"
        self.resources = {
            kind: [
                json.loads(line) for line in gzip.decompress((folder / f"{kind}.ndjson.gz").read_bytes()).splitlines()
            ]
            for kind in ("SearchParameter", "CompartmentDefinition", "CodeSystem", "ValueSet")
        }
        self.official = [one for one in self.resources["SearchParameter"] if one["url"] in official]


@pytest.mark.corpus
@pytest.mark.skipif(not (SHARED / "corpora" / "fhir-r4-defs").is_dir(), reason="../shared/corpora is absent")
def test_parameters_compartments_and_codes_are_what_the_definitions_give():
    made = {name: json.loads(content) for name, content in CONTENT.items()}
    official = {one["url"] for codes in made["search"]["parameters"].values() for one in codes.values()}
    base = Corpus(SHARED / "corpora" / "fhir-r4-defs", official)
    guides = [Package(SHARED / "definitions" / f"us-core-{version}.tgz") for version in ("311", "610", "700")]
    assert search_parameters(base, guides) == made["search"]["parameters"]
    assert compartments(base) == made["search"]["compartments"]
    codes = terminology([base, *guides])
    assert codes["systems"] == made["terminology"]["systems"]
    assert codes["sets"] == made["terminology"]["sets"]


@pytest.mark.parametrize("name", ["types", "search", "structures", "terminology"])
def test_the_note_beside_the_tables_names_their_hash(name):
    content = gzip.decompress((DATA / f"{name}.json.gz").read_bytes())
    assert hashlib.sha256(content).hexdigest() in (DATA / "NOTICE.txt").read_text("utf-8")


def test_all_tables_together_stay_below_a_megabyte():
    assert sum(path.stat().st_size for path in DATA.glob("*.gz")) < 1_000_000


def test_every_required_binding_of_a_served_type_names_a_value_set_that_is_known():
    unknown = {
        element["binding"]["valueSet"]
        for name in definitions.served_types()
        for element in definitions.structure(name)["snapshot"]["element"]
        if element.get("binding", {}).get("strength") == "required"
        and definitions.value_set(element["binding"]["valueSet"]) is None
    }
    assert unknown == {"http://loinc.org/vs/LL379-9|4.0.1"}, "an answer list of LOINC, of MolecularSequence alone"


def test_every_extension_that_a_profile_of_us_core_names_is_known_or_of_another_guide():
    known = {canonical.partition("|")[0] for canonical in definitions.structure_canonicals()}
    named = {
        profile.partition("|")[0]
        for type_name in definitions.resource_types()
        for canonical in definitions.profiles_of(type_name)
        for element in definitions.structure(canonical)["snapshot"]["element"]
        for told in element.get("type", ())
        for profile in told.get("profile", ())
    }
    assert {profile for profile in named - known if "/us/core/" in profile} == set()
