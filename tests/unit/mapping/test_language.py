"""The mapping language: what compiles, and how a fault is told: file, line, and the word that was probably meant."""

from importlib import resources
from typing import Any

import pytest
from tests.mapping_messages import message
from tests.mapping_soundness import source

from chartwire.formats.hl7v2 import parse
from chartwire.mapping import MapError, Mapper
from chartwire.mapping.convert import compile_maps
from chartwire.mapping.language import parse_path

RESOURCE = """\
resource: Patient
group: PATIENT
key: {call: patient_key}
body:
"""
MESSAGE = """\
map: TRY
events: [ADT^A01]
structure: ADT
recorded: [MSH-7]
resources: [Patient]
"""
SEGMENTS = (
    "PID|1||12345^^^HOSP^MR||DOE^JANE~ROE^JANE||19800229|F|||1 MAIN^^TOWN||555-123-4567~555-765-4321",
    "PV1|1|I|WARD^2^B",
    "NK1|1|DOE^JOHN|SPO",
    "NK1|2|DOE^ANN|CHD",
)


def shipped(name: str) -> str:
    return (resources.files("chartwire.mapping") / "maps" / name).read_text("utf-8")


def mapper(body: str, head: str = RESOURCE, **others: str) -> Mapper:
    texts = {name: shipped(name) for name in ("tables.yaml", "fragments.yaml", "structures.yaml", "identity.yaml")}
    for folder in ("resources",):
        for item in (resources.files("chartwire.mapping") / "maps" / folder).iterdir():
            if item.name.startswith(("pract", "organ", "place")):
                texts[f"{folder}/{item.name}"] = item.read_text("utf-8")
    texts |= {"resources/patient.yaml": head + body, "messages/try.yaml": MESSAGE} | others
    return compile_maps(texts)


def drawn(body: str, *segments: str) -> dict[str, Any]:
    conversion = mapper(body).convert(parse(message("ADT^A01", *(segments or SEGMENTS))), source())
    patient = next(mapped for mapped in conversion.resources if mapped.type == "Patient")
    return {name: value for name, value in patient.body.items() if name not in {"resourceType", "id"}}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("  text: PID-5.2", {"text": "JANE"}),
        ("  a.b: =fixed", {"a": {"b": "fixed"}}),
        ("  a: {value: {deep: [1]}}", {"a": {"deep": [1]}}),
        ("  names[]: {each: PID-5, as: HumanName}", {"names": [{"family": "DOE", "given": ["JANE"]}, {"family": "ROE", "given": ["JANE"]}]}),
        ("  families: {each: PID-5, by: '+'}", {"families": "DOE+ROE"}),
        ("  a: {first: [PID-6, PID-8]}", {"a": "F"}),
        ("  a: {join: [PID-5.1, PID-6, PID-5.2], by: ', '}", {"a": "DOE, JANE"}),
        ("  a: {join: [PID-5.1, PID-5.2], by: ' ', as: upper}", {"a": "DOE JANE"}),
        ("  a: {product: [{value: 6}, {value: 7}]}", {"a": 42}),
        ("  a: {from: PID-8, table: AdministrativeSex}", {"a": "female"}),
        ("  a: {from: PID-6, default: =none}", {"a": "none"}),
        ("  a: {value: yes, when: {PID-8: [F, M]}}", {"a": True}),
        ("  a: {cases: [{value: 1, when: {PID-8: M}}, {value: 2}]}", {"a": 2}),
        ("  a: {object: {b: PID-8, c: PID-6}}", {"a": {"b": "F"}}),
        ("  a: {object: {b: PID-8, c: PID-6}, require: c}", {}),
        ("  kin[]: {each: NEXT_OF_KIN, object: {n: NK1-2.2}, when: {NK1-3: CHD}}", {"kin": [{"n": "ANN"}]}),
        ("  a: {from: NK1-2.2, within: NEXT_OF_KIN}", {"a": "JOHN"}),
        ("  a: {object: {b: $sex}, let: {sex: PID-8}}", {"a": {"b": "F"}}),
        ("  p[]: {each: PID-13, as: ContactPoint, fill: {use: home}}",
         {"p": [{"system": "phone", "value": f"555-{rest}", "use": "home"} for rest in ("123-4567", "765-4321")]}),
        ("  a: {from: PV1-3, as: Place}", None),
        ("absent:\n  a: =nothing known", {"a": "nothing known"}),
    ],
)  # fmt: skip
def test_every_construct_draws_what_it_says(body, expected):
    text = "  b: PID-99\n" + body if body.startswith("absent") else body
    found = drawn(text)
    if expected is None:
        assert found["a"]["reference"].startswith("Location/")
    else:
        assert found == expected


@pytest.mark.parametrize(
    ("body", "line", "words"),
    [
        ("  a: {from: PID-5, as: HumanNam}", 5, "no transform HumanNam (did you mean HumanName?)"),
        ("  a: {from: PID-5, as: dat}", 5, "did you mean date?"),
        ("  a: {form: PID-5}", 5, "unknown key form (did you mean from?)"),
        ("  a: PID_5", 5, "'PID_5' is no source path"),
        ("\n\n  a: {from: PID-8, table: AdministrativSex}", 7, "did you mean AdministrativeSex?"),
        ("  a: {from: PV1-2, make: Practitoner}", 5, "did you mean Practitioner?"),
        ("  a: {each: NEXT_OF_KINN, object: {b: NK1-2}}", 5, "did you mean NEXT_OF_KIN?"),
        ("  a: {from: OBR-4}", 5, "no OBR in group PATIENT of ADT"),
        ("  a: {each: PID-5, object: {b: PID-8}}", 5, "PID-8 cannot be read inside a composite"),
        ("  a: .1", 5, "component paths (.1) stand only inside a composite"),
        ("  a: $nothing", 5, "nothing is called $nothing"),
        ("  a: {call: patient_kee}", 5, "did you mean patient_key?"),
        ("  a: {value: 1, when: {vauled: PID-5}}", 5, "did you mean valued?"),
        ("  a: {value: 1, when: {is: {nubmer: PID-5}}}", 5, "did you mean number?"),
        ("  a: {value: 1, when: {}}", 5, "a condition is expected here"),
        ("  a: {first: [PID-5], order: appointment_start}", 5, "did you mean appointment_start_order?"),
        ("  a: [PID-5, PID-9]", 5, "write a[] for a list"),
        ("  a: PID-5\n  a: PID-9", 6, "a stands here twice"),
        ("  1a: PID-5", 5, "'1a' is no target path"),
        ("  a: {from: PID-5, each: PID-9}", 5, "is expected, not 2"),
        ("  a: {b: [}", 5, "not YAML"),
    ],
)
def test_a_fault_is_told_with_file_line_and_a_suggestion(body, line, words):
    with pytest.raises(MapError) as told:
        mapper(body)
    assert (told.value.file, told.value.line) == ("patient.yaml", line)
    assert words in told.value.message


@pytest.mark.parametrize(
    ("head", "words"),
    [
        ("resource: Patient\ngroup: PATIENT\nbody:\n", "key is missing"),
        (RESOURCE.replace("PATIENT", "PATIENTS"), "did you mean PATIENT?"),
        (RESOURCE.replace("group", "gruop"), "did you mean group?"),
        ("duplicates: twice\n" + RESOURCE, "duplicates is one of first, ordinal"),
    ],
)
def test_a_fault_of_a_resource_map_s_head_is_told_too(head, words):
    with pytest.raises(MapError, match=r"patient\.yaml:\d+: ") as told:
        mapper("  a: PID-5", head)
    assert words in told.value.message


def test_a_message_map_names_only_what_exists():
    with pytest.raises(MapError) as told:
        mapper("  a: PID-5", **{"messages/try.yaml": MESSAGE.replace("[Patient]", "[Patent]")})
    assert told.value.message == "messages/try.yaml:5: no resource map Patent (did you mean Patient?)"


def test_a_maker_that_makes_itself_is_refused():
    itself = "resource: Location\nname: Loop\ncomposite: true\nkey: .1\nbody:\n  partOf: {from: ., make: Loop}\n"
    with pytest.raises(MapError, match="makes itself"):
        mapper("  a: {from: PV1-3, make: Loop}", **{"resources/loop.yaml": itself})


def test_a_path_counts_from_one():
    assert [str(parse_path(text)) for text in ("PID-5", "PID-5.1", "PID-5.1.2", ".1", ".1.2")] == [
        "PID-5", "PID-5.1", "PID-5.1.2", ".1", ".1.2",
    ]  # fmt: skip
    assert [parse_path(text) for text in ("PID-0", "PID", "pid-5", "PID-5.0", "5", "PID-5.1.2.3")] == [None] * 6
