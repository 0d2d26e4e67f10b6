"""api/rest/fields.py: every member reads what it wrote, writes nothing that it read, and leaves the rest as it was."""

import copy
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chartwire.api.rest import models
from chartwire.api.rest.bookings import Named
from chartwire.api.rest.checks import Faults, is_npi, merge_patch, plain
from chartwire.api.rest.fields import NOUNS
from chartwire.api.rest.judging import values_of, written_body
from chartwire.api.rest.ordering import Order
from chartwire.core.ids import PREFIXES, to_prefixed, uuid7
from chartwire.record.custom_values import EXTENSION
from chartwire.record.localtime import TIMEZONE_EXTENSION
from chartwire.record.writing import EXTERNAL_ID

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=8)
URL = "http://example.org/kept"
MR = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}]}


def maybe(strategy):
    return st.none() | strategy


def record(**members):
    """An object some of whose members are there."""
    return st.fixed_dictionaries({}, optional=members)


# FHIR bodies as feeds leave them: with members that the practice object does not show.
TELECOMS = st.lists(
    record(
        system=st.sampled_from(["phone", "fax", "email", "url", "sms"]),
        value=WORDS,
        use=st.sampled_from(["home", "work", "mobile"]),
        rank=st.integers(1, 3),
    ),
    max_size=5,
)
IDENTIFIERS = st.lists(
    record(
        type=st.just(MR) | st.just({"coding": [{"code": "NPI"}]}),
        system=st.sampled_from(["urn:a", "http://hl7.org/fhir/sid/us-npi", EXTERNAL_ID]),
        value=WORDS,
        assigner=st.just({"display": "HOSP"}),
    ),
    max_size=4,
)
HUMAN_NAMES = st.lists(
    record(
        use=st.sampled_from(["official", "nickname", "maiden"]),
        family=WORDS,
        given=st.lists(WORDS, min_size=1, max_size=2),
        text=WORDS,
        period=st.just({"start": "2000"}),
    ).filter(lambda one: one.keys() & {"family", "given", "text"}),
    max_size=3,
)
CONCEPT = record(text=WORDS, coding=st.lists(record(code=WORDS, display=WORDS), max_size=2))
EXTENSIONS = st.lists(
    st.just({"url": URL, "valueString": "x"})
    | WORDS.map(lambda word: {"url": EXTENSION + "insurer", "valueString": word})
    | st.just({"url": TIMEZONE_EXTENSION, "valueCode": "Europe/Berlin"}),
    max_size=3,
    unique_by=lambda one: one["url"],
)
ADDRESSES = st.lists(record(line=st.lists(WORDS, min_size=1, max_size=2), city=WORDS, type=st.just("both")), max_size=2)
IDS = [uuid7() for _ in range(4)]
PARTICIPANTS = st.lists(
    st.sampled_from(
        [{"actor": {"reference": f"{kind}/{one}"}, "status": "needs-action"} for kind, one in zip(
            ["Patient", "Practitioner", "Practitioner", "Location"], IDS, strict=True)]
        + [{"actor": {"type": "Practitioner", "display": "Dr Welby"}, "status": "accepted"}]
    ),
    max_size=4,
    unique_by=json.dumps,
)  # fmt: skip
TIMES = st.sampled_from(["2026-11-20", "2026-11-20T09:30:00-05:00", "2026-11-20T14:30:00.000Z"])
BODIES = {
    "Patient": record(
        telecom=TELECOMS,
        identifier=IDENTIFIERS,
        name=HUMAN_NAMES,
        address=ADDRESSES,
        gender=st.sampled_from(["male", "female"]),
        birthDate=st.just("1980-01-02"),
        active=st.booleans(),
        deceasedBoolean=st.booleans(),
        communication=st.lists(record(language=CONCEPT, preferred=st.booleans()), max_size=2),
        extension=EXTENSIONS,
    ),
    "Appointment": record(
        status=st.sampled_from(["booked", "proposed", "checked-in", "cancelled", "noshow"]),
        start=TIMES,
        end=TIMES,
        minutesDuration=st.integers(1, 60),
        participant=PARTICIPANTS,
        reasonCode=st.lists(CONCEPT, max_size=2),
        description=WORDS,
        serviceType=st.lists(CONCEPT, max_size=2),
        appointmentType=CONCEPT,
        cancelationReason=CONCEPT,
        comment=WORDS,
        identifier=IDENTIFIERS,
        extension=EXTENSIONS,
    ),
    "Practitioner": record(
        name=HUMAN_NAMES,
        identifier=IDENTIFIERS,
        telecom=TELECOMS,
        active=st.booleans(),
        qualification=st.lists(record(code=CONCEPT, period=st.just({"start": "2001"})), max_size=2),
        extension=EXTENSIONS,
    ),
    "Location": record(
        name=WORDS,
        physicalType=CONCEPT,
        status=st.sampled_from(["active", "suspended"]),
        telecom=TELECOMS,
        address=ADDRESSES.map(lambda found: found[0] if found else {}).filter(bool),
        partOf=st.just({"reference": f"Location/{IDS[3]}", "display": "Site"}),
        identifier=IDENTIFIERS,
        extension=EXTENSIONS,
    ),
}

# What a caller may send, cleaned as the checks clean it.
VALUES = {
    "status": None,
    "identifiers": st.lists(st.builds(models.Identifier, WORDS, maybe(st.just("urn:a")), maybe(st.just("MR"))), max_size=3),
    "mrn": WORDS,
    "npi": WORDS,
    "external_id": WORDS,
    "name": st.builds(
        lambda family, given, preferred: models.PersonName("", family, given, [], [], preferred),
        WORDS,
        st.lists(WORDS, max_size=2),
        maybe(WORDS),
    ),
    "birth_date": st.just("1990-05-06"),
    "gender": st.sampled_from(["male", "female"]),
    "deceased": st.booleans(),
    "phones": st.lists(st.builds(models.Phone, WORDS, st.just("phone"), maybe(st.just("home"))), max_size=3),
    "emails": st.lists(st.builds(models.Email, WORDS, maybe(st.just("work"))), max_size=3),
    "address": st.builds(
        models.Address, st.lists(WORDS, min_size=1, max_size=2), maybe(WORDS), st.none(), st.none(), st.none(), st.none(),
        st.none(),
    ),
    "language": st.sampled_from(["de", "en-US"]),
    "custom": st.lists(WORDS.map(lambda word: {"url": EXTENSION + "insurer", "valueString": word}), max_size=1),
    "cancelled_by": st.sampled_from(["patient", "practice"]),
    "cancel_reason": WORDS,
    "starts_at": st.sampled_from(["2026-12-01T08:00:00.000Z", "2026-12-01T09:00:00.000+01:00"]),
    "ends_at": st.just("2026-12-01T08:30:00.000Z"),
    "duration_minutes": st.integers(1, 90),
    "timezone": st.sampled_from(["America/Toronto", "Asia/Kolkata"]),
    "patient_id": st.just([Named(IDS[1], None)]),
    "provider_ids": st.lists(st.sampled_from([Named(IDS[0], "Dr A"), Named(IDS[2], None)]), max_size=2, unique=True),
    "location_id": st.just([Named(IDS[2], "Room")]),
    "part_of_id": st.just(Named(IDS[2], "Floor")),
    "service_type": WORDS,
    "reason": WORDS,
    "comment": WORDS,
    "specialty": WORDS,
    "active": st.booleans(),
    "kind": WORDS,
}  # fmt: skip
STATUSES = {
    "Patient": ["active", "inactive"],
    "Location": ["active", "suspended"],
    "Appointment": ["booked", "confirmed", "arrived", "checked_in", "fulfilled", "cancelled", "no_show"],
}
FIELDS = [pytest.param(noun, field, id=f"{noun.name}.{field.name}") for noun in NOUNS.values() for field in noun.fields]


def value_of(noun, field):
    if field.name == "status":
        return st.sampled_from(STATUSES[noun.kind])
    if (noun.kind, field.name) == ("Location", "name"):
        return WORDS
    return VALUES[field.name]


def shown(noun, field, value):
    """What a written value reads as."""
    if field.name == "name" and isinstance(value, models.PersonName):
        text = " ".join([*value.given, *([value.family] if value.family else [])])
        return models.PersonName(text, value.family, value.given, [], [], value.preferred)
    if field.name == "custom":
        return {"insurer": value[0]["valueString"]} if value else {}
    if field.name in {"starts_at", "ends_at"}:
        return datetime.fromisoformat(value).astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if field.name in noun.target:
        ids = [
            to_prefixed(PREFIXES[noun.target[field.name]], one.id)
            for one in (value if isinstance(value, list) else [value])
        ]
        return ids if field.name == "provider_ids" else ids[0]
    return value


@pytest.mark.parametrize(("noun", "field"), FIELDS)
def test_a_member_reads_what_it_wrote_writes_nothing_that_it_read_and_leaves_the_rest(noun, field):
    @settings(max_examples=40)
    @given(BODIES[noun.kind], value_of(noun, field))
    def holds(body, value):
        written = copy.deepcopy(body)
        field.lens.write(written, value)
        assert field.lens.read(written) == shown(noun, field, value)
        again = copy.deepcopy(written)
        field.lens.write(again, value)
        assert again == written
        kept = {key: held for key, held in body.items() if key not in field.lens.members and key != "_status"}
        assert {key: written.get(key) for key in kept} == kept
        if "extension" in field.lens.members:
            assert ({"url": URL, "valueString": "x"} in body.get("extension", [])) == (
                {"url": URL, "valueString": "x"} in written.get("extension", [])
            )

    holds()


@pytest.mark.parametrize("noun", NOUNS.values(), ids=lambda noun: noun.name)
def test_an_object_written_back_as_it_was_read_leaves_the_body_as_it_was(noun):
    def as_written(field, body):
        """What the checks make of a shown value."""
        value = field.lens.read(body)
        if field.name == "custom":
            return [one for one in body.get("extension", ()) if one["url"].startswith(EXTENSION)]
        if field.name in noun.target and value:
            kind = noun.target[field.name]
            found = value if isinstance(value, list) else [value]
            by_id = {to_prefixed(PREFIXES[kind], one): Named(one, None) for one in IDS}
            return by_id[value] if field.name == "part_of_id" else [by_id[one] for one in found]
        return value

    @given(BODIES[noun.kind])
    def holds(body):
        names = [part.get("actor", {}).get("display") for part in body.get("participant", ())]
        written = copy.deepcopy(body)
        for field in noun.fields:
            if field.name == "provider_ids" and "Dr Welby" in names:
                continue
            field.lens.write(written, as_written(field, written))
        assert written == body

    holds()


@pytest.mark.parametrize("kind", ["Patient", "Practitioner"])
def test_what_is_shown_passes_when_it_is_sent_though_a_caller_could_not_have_said_it(kind):
    noun = NOUNS[kind]

    @settings(max_examples=50)
    @given(BODIES[kind])
    def holds(body):
        faults, shown = Faults(), plain(noun.read(body)) | {"custom": {}}
        values = values_of(Order(noun, "replace", shown), body, shown, faults)
        assert not faults
        values["custom"] = [one for one in body.get("extension", ()) if one["url"].startswith(EXTENSION)]
        assert written_body(noun, body, values) == (body, {})

    holds()


def test_a_merge_patch_merges_objects_replaces_all_else_and_takes_nulls_away():
    standing = {"a": {"b": 1, "c": [1, 2]}, "d": 4}
    assert merge_patch(standing, {"a": {"b": None, "c": [3]}, "e": 5}) == {"a": {"c": [3]}, "d": 4, "e": 5}
    assert standing["a"]["b"] == 1


def test_an_npi_is_checked_by_its_last_digit():
    assert is_npi("1234567893")
    assert not any(is_npi(text) for text in ("1234567890", "123456789", "12345678931", "12345a7893", "१२३४५६७८९३"))
