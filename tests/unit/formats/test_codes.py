import pytest

from chartwire.core.errors import ParseError
from chartwire.formats.codes import Concept, recognised
from chartwire.formats.codes.concepts import Lines


def lines(text: str) -> Lines:
    return lambda: text.splitlines(keepends=True)


def read(files: dict[str, str]) -> dict[str, list[Concept]]:
    return {
        release.system: [*release.read({role: lines(files[name]) for role, name in roles.items()})]
        for release, roles in recognised(files)
    }


LOINC_HEADS = (
    '"LOINC_NUM","COMPONENT","PROPERTY","TIME_ASPCT","SYSTEM","SCALE_TYP","METHOD_TYP","CLASS","CLASSTYPE",'
    '"LONG_COMMON_NAME","SHORTNAME","EXTERNAL_COPYRIGHT_NOTICE","STATUS","VersionFirstReleased"\n'
)
LOINC = LOINC_HEADS + (
    '"99901-1","Moonlight","MCnc","Pt","Ser","Qn","","CHEM","1","Moonlight, ""bright"", in Serum","Moonl","","ACTIVE","1.0"\n'
    '"99902-9","Starlight","-","Pt","Patient","Doc","","DOC.CLIN","2","Starlight note","Starl","","DEPRECATED","1.0"\n'
)


def test_terms_of_loinc_have_their_long_name_their_axes_and_their_parts_above_them():
    hierarchy = (
        "PATH_TO_ROOT,SEQUENCE,IMMEDIATE_PARENT,CODE,CODE_TEXT\n,1,,LP1-1,Lights\nLP1-1,1,LP1-1,99901-1,Moonlight\n"
    )
    found = read({"Loinc_2.99/LoincTable/Loinc.csv": LOINC, "x/ComponentHierarchyBySystem.csv": hierarchy})
    concepts = found["http://loinc.org"]
    assert concepts[0].display == 'Moonlight, "bright", in Serum'
    assert concepts[0].properties == {
        "COMPONENT": "Moonlight",
        "PROPERTY": "MCnc",
        "TIME_ASPCT": "Pt",
        "SYSTEM": "Ser",
        "SCALE_TYP": "Qn",
        "CLASS": "CHEM",
        "CLASSTYPE": "1",
        "STATUS": "ACTIVE",
    }
    assert [concept.inactive for concept in concepts[:2]] == [False, True]
    assert [(concept.code, concept.parents) for concept in concepts[2:]] == [("LP1-1", ()), ("99901-1", ("LP1-1",))]


def test_concepts_of_snomed_have_their_preferred_term_and_the_steps_that_are_in_force():
    files = {
        "S/sct2_Concept_Snapshot_INT_20300101.txt": (
            "id\teffectiveTime\tactive\tmoduleId\tdefinitionStatusId\n1\t0\t1\t0\t0\n2\t0\t1\t0\t0\n3\t0\t0\t0\t0\n"
        ),
        "S/sct2_Description_Snapshot-en_INT_20300101.txt": (
            "id\teffectiveTime\tactive\tmoduleId\tconceptId\tlanguageCode\ttypeId\tterm\tcaseSignificanceId\n"
            '11\t0\t1\t0\t1\ten\t900000000000003001\tInvented finding "so called" (finding)\t0\n'
            "12\t0\t1\t0\t2\ten\t900000000000003001\tSmall invented finding (finding)\t0\n"
            "13\t0\t1\t0\t2\ten\t900000000000013009\tSmall finding\t0\n"
            "14\t0\t0\t0\t2\ten\t900000000000003001\tOld name\t0\n"
        ),
        "S/sct2_Relationship_Snapshot_INT_20300101.txt": (
            "id\teffectiveTime\tactive\tmoduleId\tsourceId\tdestinationId\trelationshipGroup\ttypeId\tcharacteristicTypeId\tmodifierId\n"
            "21\t0\t1\t0\t2\t1\t0\t116680003\t0\t0\n22\t0\t0\t0\t2\t3\t0\t116680003\t0\t0\n23\t0\t1\t0\t2\t3\t0\t363698007\t0\t0\n"
        ),
        "S/der2_cRefset_LanguageSnapshot-en_INT_20300101.txt": (
            "id\teffectiveTime\tactive\tmoduleId\trefsetId\treferencedComponentId\tacceptabilityId\n"
            "x\t0\t1\t0\t9\t13\t900000000000548007\ny\t0\t1\t0\t9\t11\t900000000000549004\n"
        ),
    }
    assert read(files)["http://snomed.info/sct"] == [
        Concept("1", 'Invented finding "so called" (finding)'),
        Concept("2", "Small finding", ("1",)),
        Concept("3", "3", (), {}, True),
    ]
    assert [release.version_of(roles["concepts"]) for release, roles in recognised(files)] == ["20300101"]


def test_a_concept_of_rxnorm_is_what_its_own_term_type_says_whatever_comes_first():
    def row(code: str, source: str, kind: str, name: str, suppressed: str = "N") -> str:
        return f"{code}|ENG{'|' * 10}{source}|{kind}|x|{name}||{suppressed}||\n"

    text = (
        row("1", "RXNORM", "PSN", "moonamine tablet")
        + row("1", "RXNORM", "SCD", "moonamine 5 MG Oral Tablet")
        + row("1", "MMSL", "CD", "moonamine")
        + row("2", "RXNORM", "IN", "moonamine", "O")
    )
    assert read({"rrf/RXNCONSO.RRF": text})["http://www.nlm.nih.gov/research/umls/rxnorm"] == [
        Concept("1", "moonamine 5 MG Oral Tablet", (), {"TTY": "SCD"}),
        Concept("2", "moonamine", (), {"TTY": "IN"}, True),
    ]


def test_codes_of_icd_10_cm_get_their_dot_and_stand_below_the_longest_code_that_they_begin_with():
    def row(number: int, code: str, mark: str, name: str) -> str:
        return f"{number:05d} {code:<7} {mark} {name[:60]:<60} {name}\n"

    text = row(1, "Z99", "0", "Invented states") + row(2, "Z991", "0", "Invented state one")
    text += row(3, "Z9912", "1", "Invented state one, second kind")
    assert read({"icd10cm-order-2030.txt": text})["http://hl7.org/fhir/sid/icd-10-cm"] == [
        Concept("Z99", "Invented states", (), {"billable": "0"}),
        Concept("Z99.1", "Invented state one", ("Z99",), {"billable": "0"}),
        Concept("Z99.12", "Invented state one, second kind", ("Z99.1",), {"billable": "1"}),
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "cvx.txt",
            "998|Invented|Invented vaccine, whole|a note|Active|False|2030/01/01\n3|Old|Old vaccine||Inactive|False|x\n",
        ),
        (
            "web_cvx.csv",
            'CVX Code,Short,Full,Note,Status\n998,Invented,"Invented vaccine, whole",,Active\n3,Old,Old,,Inactive\n',
        ),
    ],
)
def test_vaccine_codes_come_from_bars_and_from_commas(name, text):
    assert read({name: text})["http://hl7.org/fhir/sid/cvx"] == [
        Concept("998", "Invented", (), {"status": "Active"}),
        Concept("03", "Old", (), {"status": "Inactive"}, True),
    ]


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("Loinc.csv", "LOINC_NUM,COMPONENT\n1,2\n", "has no column LONG_COMMON_NAME"),
        ("Loinc.csv", LOINC_HEADS + '"99901-1","cut"\n', "cut short"),
        ("icd10cm_order_2030.txt", "something else entirely\n", "other columns"),
        ("cvx.txt", "1|2\n", "a short and a full name"),
    ],
)
def test_a_file_of_another_form_is_refused_with_the_place(name, text, told):
    with pytest.raises(ParseError, match=told) as refused:
        read({name: text})
    assert refused.value.location


def test_of_several_files_that_fit_the_shortest_path_counts_and_files_of_nobody_are_passed_over():
    names = ["prescribe/rrf/RXNCONSO.RRF", "rrf/RXNCONSO.RRF", "readme.txt", "sct2_Concept_Snapshot_INT_20300101.txt"]
    assert [(release.title, roles) for release, roles in recognised(names)] == [
        ("RxNorm", {"concepts": "rrf/RXNCONSO.RRF"})
    ]
