"""Segments of the messages that the simulated hospital sends, as nested lists for chartwire.formats.hl7v2.message."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from chartwire.formats.hl7v2.encode import Component, Field
from simulators import vocabulary as words

Segment = list[Field]
_STRUCTURES = {
    "ADT^A04": "ADT_A01", "ADT^A08": "ADT_A01", "ADT^A11": "ADT_A09", "ADT^A12": "ADT_A09", "ADT^A13": "ADT_A01",
    "ADT^A31": "ADT_A05", "ADT^A40": "ADT_A39",
}  # fmt: skip
"""MSH-9.3 where it is not made of the event itself."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Who sends: MSH-3 and MSH-4, the assigning authority of its numbers, and where it sends to (MSH-5, MSH-6)."""

    application: str = "HARBOR"
    facility: str = "PORTALDER"
    authority: str = "PORTALDER"
    receiving_application: str = "CHARTWIRE"
    receiving_facility: str = "HUB"
    version: str = "2.5.1"


@dataclass(slots=True)
class Person:
    """One human. `mrn` is the number in use; `order_key` stays the same through merges."""

    order_key: str
    mrn: str
    family: str
    given: str
    middle: str
    sex: str
    born: date
    street: str
    city: tuple[str, str, str]
    phones: list[str]
    email: str
    language: tuple[str, str]
    race: tuple[str, str]
    ethnicity: tuple[str, str]
    marital: str
    insurer: tuple[str, str, str]
    member_id: str
    clinician: int
    second_id: str = ""
    relative: str = ""
    allergies: list[tuple[str, str, str, str, str]] = field(default_factory=list)
    diagnoses: list[tuple[str, str]] = field(default_factory=list)


@dataclass(slots=True)
class Visit:
    """One encounter: PV1-19 number, PV1-2 class, place and clinician by position in the vocabulary.

    `last` is the event that could be taken back now; `former` the place before a transfer.
    """

    number: str
    kind: str
    room: int
    clinician: int
    began: datetime
    last: str
    former: int | None = None
    ended: datetime | None = None


@dataclass(slots=True)
class Booking:
    """One appointment with its present state."""

    person: Person
    placer: str
    filler: str
    starts: datetime
    visit_type: tuple[str, str, int]
    clinician: int
    room: int
    status: str = "Booked"


@dataclass(slots=True)
class Order:
    """One laboratory order; `stage` is the report's last status sent: empty, P, F or C."""

    person: Person
    placer: str
    filler: str
    panel: tuple[str, str]
    analytes: list[words.Analyte]
    values: list[str]
    collected: datetime
    clinician: int
    stage: str = ""


def segment(name: str, values: Mapping[int, Field]) -> Segment:
    """A segment with the given fields by number."""
    fields: Segment = [None] * (max(values) + 1)
    fields[0] = name
    for number, value in values.items():
        fields[number] = value
    return fields


def stamp(moment: datetime) -> str:
    """A time to the second with its offset: 20261120081530-0800."""
    return moment.strftime("%Y%m%d%H%M%S%z")


def header(profile: Profile, event: str, control_id: str, at: datetime) -> Segment:
    """MSH."""
    code, trigger = event.split("^")
    structure = _STRUCTURES.get(event)
    if structure is None:
        structure = {"SIU": "SIU_S12", "ORU": "ORU_R01"}.get(code, f"{code}_{trigger}")
    return segment("MSH", {
        3: profile.application, 4: profile.facility, 5: profile.receiving_application, 6: profile.receiving_facility,
        7: stamp(at), 9: (code, trigger, structure), 10: control_id, 11: "P", 12: profile.version,
    })  # fmt: skip


def evn(trigger: str, at: datetime) -> Segment:
    """EVN: recorded and happened at `at`."""
    return segment("EVN", {1: trigger, 2: stamp(at), 6: stamp(at)})


def pid(profile: Profile, person: Person, *, account: str = "") -> Segment:
    """PID with every identifier, both phones and the e-mail address."""
    ids: list[Component] = [(person.mrn, None, None, profile.authority, "MR")]
    if person.second_id:
        ids.append((person.second_id, None, None, "STATEREG", "PT"))
    city, state, postcode = person.city
    phones: list[Component] = [(_national(number), "PRN", "PH") for number in person.phones[:1]]
    phones += [(_national(number), "ORN", "CP") for number in person.phones[1:]]
    phones.append((None, "NET", "Internet", person.email))
    return segment("PID", {
        1: "1", 3: ids, 5: (person.family, person.given, person.middle or None, None, None, None, "L"),
        7: person.born.strftime("%Y%m%d"), 8: person.sex, 10: (*person.race, "CDCREC"),
        11: (person.street, None, city, state, postcode, "USA", "H"), 13: phones,
        15: (*person.language, "ISO639"), 16: person.marital,
        18: (account, None, None, profile.authority, "AN") if account else None, 22: (*person.ethnicity, "CDCREC"),
    })  # fmt: skip


def mrg(profile: Profile, mrn: str) -> Segment:
    """MRG: the number that ends."""
    return segment("MRG", {1: (mrn, None, None, profile.authority, "MR")})


def pd1(profile: Profile, person: Person) -> Segment:
    """PD1 with the primary care clinician."""
    return segment("PD1", {4: clinician(profile, person.clinician)})


def pv1(profile: Profile, visit: Visit) -> Segment:
    """PV1 of a visit as it stands."""
    former = location(profile, visit.former) if visit.former is not None else None
    return segment("PV1", {
        1: "1", 2: visit.kind, 3: location(profile, visit.room), 6: former, 7: clinician(profile, visit.clinician),
        10: "MED", 19: (visit.number, None, None, profile.authority, "VN"), 36: "01" if visit.ended else None,
        44: stamp(visit.began), 45: stamp(visit.ended) if visit.ended else None,
    })  # fmt: skip


def snapshots(profile: Profile, person: Person) -> list[Segment]:
    """NK1, AL1, DG1 and IN1: all that is known of the person now, since each is a snapshot."""
    found: list[Segment] = []
    if person.relative:
        kind = words.RELATIONS[len(person.relative) % len(words.RELATIONS)]
        name = (person.family, person.relative)
        found.append(segment("NK1", {1: "1", 2: name, 3: (*kind, "HL70063"), 5: _national(person.phones[0])}))
    for place, (kind_code, code, text, severity, reaction) in enumerate(person.allergies, start=1):
        system = "RXNORM" if kind_code == "DA" else "SCT"
        found.append(segment("AL1", {1: place, 2: kind_code, 3: (code, text, system), 4: severity, 5: reaction}))
    for place, (code, text) in enumerate(person.diagnoses, start=1):
        found.append(segment("DG1", {1: place, 3: (code, text, "I10"), 6: "F"}))
    code, name_of_payer, plan = person.insurer
    found.append(segment("IN1", {
        1: "1", 2: (plan, f"{name_of_payer} {plan}"), 3: (code, None, None, profile.authority, "XX"),
        4: name_of_payer, 8: f"G{code}1", 16: (person.family, person.given), 17: ("SEL", "Self", "HL70063"),
        18: person.born.strftime("%Y%m%d"), 36: person.member_id,
    }))  # fmt: skip
    return found


def scheduling(profile: Profile, booking: Booking, reason: tuple[str, str] | None, *, in_aig: bool) -> list[Segment]:
    """SCH, RGS and the resources of an appointment, to stand around PID: SCH first, the others after it."""
    code, text, minutes = booking.visit_type
    starts = stamp(booking.starts)
    sch = segment("SCH", {
        1: (booking.placer, profile.application), 2: (booking.filler, profile.application),
        6: (*reason, "L") if reason else ("ROUTINE", "Routine appointment", "HL70276"), 7: (code, text, "L"),
        9: minutes, 10: ("min", "minutes", "UCUM"), 11: (None, None, f"M{minutes}", starts),
        16: clinician(profile, booking.clinician), 25: (booking.status, booking.status, "HL70278"),
    })  # fmt: skip
    service = segment("AIS", {1: "1", 3: (code, text, "L"), 4: starts, 7: minutes, 8: ("min", "minutes", "UCUM")})
    who = clinician(profile, booking.clinician)
    if in_aig:
        person = segment("AIG", {1: "1", 3: who, 4: ("D", "Doctor", "HL70182"), 8: starts})
    else:
        person = segment("AIP", {1: "1", 3: who, 4: ("D", "Doctor", "HL70182"), 6: starts})
    place = segment("AIL", {1: "1", 3: location(profile, booking.room), 6: starts})
    return [sch, segment("RGS", {1: "1", 2: "A"}), service, person, place]


def clinician(profile: Profile, position: int) -> Field:
    """XCN of a clinician with an identifier of the sending facility."""
    family, given, _ = words.CLINICIANS[position]
    number = f"D{1001 + position}"
    return (number, family, given, None, None, "Dr", None, None, profile.authority, None, None, None, "EI")


def location(profile: Profile, position: int) -> Field:
    """PL: point of care, room, bed, facility."""
    ward, room, bed = words.ROOMS[position]
    return (ward, room, bed or None, profile.facility)


def _national(digits: str) -> str:
    return f"({digits[:3]}) {digits[3:6]}-{digits[6:]}"
